"""Runs inside the machine: one page over TLS from its own port 443. Prints the status and the certificate's print.

Law: the standard library only; the certificate is taken as it is, since what is asked is which one it is.
"""

import hashlib
import socket
import ssl

PAGE = (
    b"GET / HTTP/1.1\r\nHost: exam.uni.example\r\nConnection: close\r\n"
    b"Accept: text/html\r\nSec-Fetch-Mode: navigate\r\n\r\n"
)
ANSWER_S = 60


def main() -> None:
    """Knock once."""
    context = ssl._create_unverified_context()
    with socket.create_connection(("127.0.0.1", 443), timeout=ANSWER_S) as plain, context.wrap_socket(plain) as door:
        door.sendall(PAGE)
        status = door.recv(65536).split(b" ", 2)[1].decode()
        print(status, hashlib.sha256(door.getpeercert(binary_form=True) or b"").hexdigest())


if __name__ == "__main__":
    main()
