"""The head of a backend's response: what it says of its body, and the form in which a client gets it.

Law: what a backend may not say is the backend's fault (BackendError `protocol`), and its connection is not used
again. All fields but those about the connection go on as they came, in order, and none is added.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

from waitroom.errors import BackendError
from waitroom.proxy.fields import HOP_BY_HOP, Judge, is_chunked, length_of, split, tokens

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])((?: [\t -~\x80-\xff]*+)?)\r\n")  # RFC 9112 section 4


class ResponseHead(NamedTuple):
    """A response head, read. `lines` go to the client, without the empty line; `ready` is the same with it."""

    raw: bytes
    status: int
    length: int | None
    """None: by chunks, or up to the end of the connection."""
    chunked: bool
    persistent: bool
    lines: bytes
    ready: bytes
    framed: bool
    """Goes to any client as it is: there is a length, or there cannot be a body."""


NO_HEAD = ResponseHead(b"", 0, None, chunked=False, persistent=False, lines=b"", ready=b"", framed=False)


@dataclass(frozen=True, slots=True)
class ResponseReader:
    """Reads response heads. One a worker."""

    judge: Judge

    def read(self, raw: bytes) -> ResponseHead:
        """The head (with its empty line), or BackendError."""
        start = _STATUS_LINE.match(raw)
        if start is None:
            raise BackendError("no HTTP/1 status line", kind="protocol")
        block = raw[start.end() :]
        lines, _, by_name = split(block)
        refusal = self.judge.refusal(block, by_name)
        if refusal is not None:
            raise BackendError(refusal, kind="protocol")
        status = int(start[2])
        bodiless = status < 200 or status in (204, 304)  # RFC 9112 section 6.3
        chunked = is_chunked(by_name)
        if chunked is None:
            raise BackendError("a transfer coding that is not chunked", kind="protocol")
        connection = tokens(by_name[b"connection"]) if b"connection" in by_name else set()
        length = length_of(by_name)
        text = self._passed(start, lines, connection, bodiless=bodiless and status != 304, upgraded=status == 101)
        return ResponseHead(
            raw,
            status,
            0 if bodiless else length,
            chunked=chunked and not bodiless,
            persistent=b"close" not in connection and (start[1] == b"1" or b"keep-alive" in connection),
            lines=text,
            ready=text + b"\r\n",
            framed=bodiless or length is not None,
        )

    @staticmethod
    def _passed(
        start: re.Match[bytes], lines: list[bytes], connection: set[bytes], *, bodiless: bool, upgraded: bool
    ) -> bytes:
        """Status line and fields for the client, each with its CRLF."""
        passed = [b"HTTP/1.1 %b%b" % (start[2], start[3] or b" ")]
        for line in lines:
            key = line[: line.index(b":")].lower()
            if key in HOP_BY_HOP or key in connection:
                if not (upgraded and key in (b"connection", b"upgrade")):
                    continue
            elif bodiless and key == b"content-length":  # RFC 9110 section 8.6: not in 1xx and 204
                continue
            passed.append(line)
        passed.append(b"")
        return b"\r\n".join(passed)
