"""The machine while it runs: started, told what to do by its agent, stopped.

Law: with KVM where a kernel boots under it, else in emulation (ten times slower, and as true). The disks are never
written to: what the machine writes lasts over its reboots and is gone with it.
"""

import contextlib
import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

MEMORY_MIB, CORES = 6_000, 2
KVM = ("-accel", "kvm", "-cpu", "host,arch-capabilities=off")
TCG = ("-accel", "tcg,thread=multi", "-cpu", "max")
KERNEL_SPEAKS_S = 15
"""A kernel that has not said its version by then will not boot."""

BOOT_S = 240
LOOK_S = 0.2
PUBLIC_PORT = 8080


@dataclass(slots=True)
class Machine:
    """One that is up."""

    public: int
    """Where the host reaches the public port."""
    console: Path
    slow: bool
    """In emulation."""
    channel: socket.socket
    process: subprocess.Popen[bytes]
    _waiting: bytes = field(default=b"")

    def hear(self, within_s: float) -> dict[str, object]:
        """What the agent says next."""
        ends = time.monotonic() + within_s
        while b"\n" not in self._waiting:
            self.channel.settimeout(max(0.01, ends - time.monotonic()))
            try:
                read = self.channel.recv(65536)
            except TimeoutError as late:
                raise SystemExit(f"the machine said nothing for {within_s} s; its console: {self.console}") from late
            if not read:
                raise SystemExit(f"the machine is gone; its console: {self.console}")
            self._waiting += read
        line, _, self._waiting = self._waiting.partition(b"\n")
        said: dict[str, object] = json.loads(line)
        return said

    def run(self, command: str, *, within_s: float = 120) -> tuple[int, str]:
        """A shell's exit code and all that it said."""
        self.channel.sendall(json.dumps({"run": command, "timeout_s": within_s}).encode() + b"\n")
        said = self.hear(within_s + 30)
        return int(str(said["code"])), str(said["said"]).strip()

    def do(self, command: str, *, within_s: float = 120) -> str:
        """The same, which must succeed."""
        code, said = self.run(command, within_s=within_s)
        if code:
            raise AssertionError(f"{command}: exit {code}\n{said}")
        return said

    def until(self, command: str, fits: str, *, within_s: float = 120) -> str:
        """Ask until the answer fits a regular expression."""
        ends = time.monotonic() + within_s
        while not re.search(fits, said := self.run(command)[1]):
            if time.monotonic() > ends:
                raise AssertionError(f"{command}: after {within_s} s still\n{said}")
            _lives(self.process, LOOK_S)
        return said

    def reboot(self) -> None:
        """As `systemctl reboot` does it; up again at the end."""
        self.do("systemctl --no-block reboot")
        self.hear(BOOT_S + 150)

    def cut(self, command: str) -> None:
        """Run what ends the machine without a word; up again at the end."""
        self.channel.sendall(json.dumps({"run": command, "timeout_s": BOOT_S}).encode() + b"\n")
        self.hear(BOOT_S)


@contextlib.contextmanager
def booted(disks: tuple[Path, Path, Path], carried: Path, folder: Path, public: int) -> Iterator[Machine]:
    """A machine that is up, its public port on the host's loopback address."""
    for accelerator in (KVM, TCG) if Path("/dev/kvm").exists() else (TCG,):
        with _started(accelerator, disks, carried, folder, public) as machine:
            if machine is not None:
                yield machine
                return


@contextlib.contextmanager
def _started(
    accelerator: tuple[str, ...], disks: tuple[Path, Path, Path], carried: Path, folder: Path, public: int
) -> Iterator[Machine | None]:
    disk, kernel, initrd = disks
    console, port = folder / "console.log", folder / "agent.sock"
    with subprocess.Popen([
        "qemu-system-x86_64", *accelerator, "-m", str(MEMORY_MIB), "-smp", str(CORES), "-display", "none",
        "-kernel", kernel, "-initrd", initrd, "-append", "root=/dev/vda rw console=ttyS0 panic=-1",
        "-drive", f"file={disk},format=raw,if=virtio,snapshot=on",
        "-drive", f"file={carried},format=raw,if=virtio,snapshot=on",
        "-nic", f"user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{public}-:{PUBLIC_PORT}",
        "-serial", f"file:{console}", "-device", "virtio-serial",
        "-chardev", f"socket,id=agent,path={port},server=on,wait=off",
        "-device", "virtserialport,chardev=agent,name=waitroom.agent",
    ]) as process:  # fmt: skip
        try:
            channel = _channel(port, process)
            machine = Machine(public, console, accelerator is TCG, channel, process) if channel else None
            if machine and accelerator is KVM and not _speaks(console, process):
                machine = None
            if machine:
                machine.hear(BOOT_S)
            yield machine
        finally:
            process.kill()


def _channel(port: Path, process: subprocess.Popen[bytes]) -> socket.socket | None:
    """To the agent; None if QEMU ended at once."""
    channel = socket.socket(socket.AF_UNIX)
    while _lives(process, LOOK_S):
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            channel.connect(str(port))
            return channel
    return None


def _lives(process: subprocess.Popen[bytes], for_s: float) -> bool:
    """Whether QEMU still runs, so many seconds from now."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(for_s)
    return process.poll() is None


def _speaks(console: Path, process: subprocess.Popen[bytes]) -> bool:
    """Whether the kernel says a word."""
    ends = time.monotonic() + KERNEL_SPEAKS_S
    while time.monotonic() < ends and _lives(process, LOOK_S):
        if "Linux version" in console.read_text(errors="replace"):
            return True
    return False
