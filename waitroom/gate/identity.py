"""Who asks: the student behind a request, where the settings say how one is known.

Law: a name is believed only from who may say it: a header from a trusted proxy, a token from who has its key. A cookie
proves nothing but that its browser has it. Said twice it is said by nobody. What was looked at once is remembered, so
that an admitted request costs a look into a dictionary.
"""

import re
from collections.abc import Callable

from waitroom import clock
from waitroom.admission.identity import Known, Registrar
from waitroom.gate.jar import HEADER_REMEMBERED_BYTES, HEADERS_REMEMBERED, Jar
from waitroom.proxy.decisions import Request

NAMES_REMEMBERED = 50_000
"""Names, or tokens, of a worker's students: some 500 bytes each."""

MAX_TOKEN_BYTES = 8_192

Source = Callable[[Request], bytes | None]
"""Finds what a request says of who asks, believed already or not."""

Verify = Callable[[bytes], tuple[bytes, int] | None]
"""The name in a token that is genuine, and the second until which it is (0: for good)."""


class Identities:
    """Finds students. `verify` reads tokens; without it, what the source finds is the name."""

    def __init__(self, registrar: Registrar, source: Source, verify: Verify | None = None) -> None:
        self._registrar = registrar
        self._source = source
        self._verify = verify
        self._seen: dict[bytes, tuple[Known | None, int]] = {}

    def of(self, request: Request) -> Known | None:
        """The student who asks; None where nobody is named, or by nobody who may."""
        said = self._source(request)
        if said is None or len(said) > MAX_TOKEN_BYTES:
            return None
        found = self._seen.get(said)
        if found is None:
            found = self._look(said)
            if len(self._seen) >= NAMES_REMEMBERED:
                self._seen.clear()
            self._seen[said] = found
        known, until_s = found
        return known if not until_s or clock.now_ms() < until_s * 1000 else None

    def _look(self, said: bytes) -> tuple[Known | None, int]:
        if self._verify is None:
            return self._registrar.known(said), 0
        genuine = self._verify(said)
        return (self._registrar.known(genuine[0]), genuine[1]) if genuine else (None, 0)


def own(jar: Jar, known: Known) -> Jar:
    """Of a browser's credentials those that may be this student's: a machine in a lab has had others."""
    held = jar.by_pool
    if all(known.may_use(one.owner) for one in held.values()):
        return jar
    return Jar({pool: one for pool, one in held.items() if known.may_use(one.owner)})


def from_header(name: str) -> Source:
    """A header that a trusted proxy sets. One that was there twice was set by somebody else too."""
    key = name.lower().encode()

    def found(request: Request) -> bytes | None:
        values = request.every(key)
        return values[0] if len(values) == 1 and request.trusted else None

    return found


def from_cookie(name: str) -> Source:
    """The value of a cookie."""
    pattern = re.compile(rb"(?:^|;)[ \t]*%b=\"?([^;\"]*)" % re.escape(name.encode()))
    read: dict[bytes, bytes | None] = {}

    def found(request: Request) -> bytes | None:
        headers = request.every(b"cookie")
        if not headers:
            return None
        header = headers[0] if len(headers) == 1 else b";".join(headers)
        if header in read:
            return read[header]
        values = set(pattern.findall(header))
        value = values.pop() if len(values) == 1 else None
        if len(header) <= HEADER_REMEMBERED_BYTES:
            if len(read) >= HEADERS_REMEMBERED:
                read.clear()
            read[header] = value
        return value

    return found


def from_token_header(name: str) -> Source:
    """A token in a header, whoever has sent it: it is signed."""
    key = name.lower().encode()

    def found(request: Request) -> bytes | None:
        values = request.every(key)
        if len(values) != 1:
            return None
        scheme, _, token = values[0].partition(b" ")
        return token.strip() if scheme.lower() == b"bearer" else values[0]

    return found
