"""A client by hand for the transcripts: `printf 'GET ...' | python say.py HOST:PORT`.

Law: it sends its standard input, ends its half, and shows every byte that comes back and how that ended: `(end)` or
`(reset)`.
"""

import socket
import sys

PATIENCE_S = 60


def main(address: str) -> None:
    """Say, listen."""
    host, _, port = address.rpartition(":")
    out = sys.stdout.buffer
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
        connection.sendall(sys.stdin.buffer.read())
        connection.shutdown(socket.SHUT_WR)
        try:
            while data := connection.recv(65_536):
                out.write(data)
                out.flush()
            out.write(b"(end)\n")
        except ConnectionResetError:
            out.write(b"(reset)\n")


if __name__ == "__main__":
    main(sys.argv[1])
