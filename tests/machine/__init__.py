"""A machine of its own: Debian with systemd as process 1, in which an operator follows deploy/README.md to the letter.

*Machine*: a virtual machine of QEMU. *Agent*: the program inside it that runs the commands it is told. *Proof*: what
is done to the machine, and what must be seen afterwards.
Not part of `make test`: it takes minutes, and packages of Debian.
"""
