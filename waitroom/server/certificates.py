"""From a certificate and its key to what a handshake of the public listener is made with.

Law: a renewal makes a new context. One that is loaded again keeps what it had of another kind of key: a client that
prefers the old kind would be shown the old certificate for ever.
"""

import os
import ssl

from waitroom.settings.certificates import Pair

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: those with forward secrecy (all browsers since 2014). What Python takes unasked depends on who has built
it: Debian's also takes keys sent under the certificate's, so that who steals it later reads what was recorded."""


def server_context(pair: Pair) -> ssl.SSLContext:
    """What handshakes are made with. Raises ssl.SSLError for what is not a certificate with its key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # OpenSSL 3's default; before, a client may ask for one after the other
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    with _InMemory(pair.cert) as cert, _InMemory(pair.key) as key:
        context.load_cert_chain(cert, key, password="")  # else OpenSSL would ask a terminal for it
    return context


class _InMemory:
    """A text under a path, for OpenSSL, which takes nothing else from Python. It is never on a disk."""

    def __init__(self, text: str) -> None:
        self._fd = os.memfd_create("pem")
        with os.fdopen(self._fd, "wb", closefd=False) as file:
            file.write(text.encode("latin-1"))

    def __enter__(self) -> str:
        return f"/proc/self/fd/{self._fd}"

    def __exit__(self, *_error: object) -> None:
        os.close(self._fd)
