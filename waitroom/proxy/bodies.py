"""Where a message's body ends, by Content-Length or by chunks, and how a body is written in chunks again.

Law: a decoder takes bytes and gives the payload in them and what follows the body. Chunk extensions and trailers end
here.
"""

import httptools

from waitroom.proxy.fields import END_OF_HEAD


class LengthBody:
    """A body of known length."""

    __slots__ = ("_left", "done")

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = length == 0

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """The payload in `data`, and what comes after the body."""
        if len(data) < self._left:
            self._left -= len(data)
            return data, b""
        rest = data[self._left :]
        payload = data[: self._left] if rest else data
        self._left, self.done = 0, True
        return payload, rest


def _possible_end(data: bytes, start: int, *, within: bool) -> int:
    """Where a body may end next, at the latest. `within`: a CRLF CRLF before `start` was content, so that the last
    chunk is still to begin, on a line of its own. Without that, blank lines cost 200 times what other content does.
    """
    last = data.find(b"\n0", start - 1) if within else start - 3
    at = data.find(END_OF_HEAD, last) if last >= 0 else -1
    return len(data) if at < 0 else at + 4


class ChunkedBody:
    """A chunked body, read by llhttp.

    llhttp does not say where in its input a body ended, and would take what follows for the next message. A chunked
    body can only end with CRLF CRLF (of its last chunk or its trailers), so llhttp is fed pieces that end wherever
    one does.
    """

    __slots__ = ("_parser", "_pieces", "done")

    def __init__(self) -> None:
        self.done = False
        self._pieces: list[bytes] = []
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """The payload in `data`, and what comes after the body. Raises httptools.HttpParserError for bad framing; what
        came before it is `salvaged` then.
        """
        start, within = 0, False
        while start < len(data) and not self.done:
            # The first three bytes may end a CRLF CRLF that began in an earlier read.
            end = start + 1 if start < 3 else _possible_end(data, start, within=within)
            self._parser.feed_data(data if end - start == len(data) else data[start:end])
            within = within or start >= 3
            start = end
        payload = b"".join(self._pieces)
        self._pieces.clear()
        return payload, data[start:]

    @property
    def salvaged(self) -> bytes:
        """The payload that has been read and not been given."""
        return b"".join(self._pieces)

    def on_body(self, piece: bytes) -> None:
        """Part of a chunk (called by llhttp)."""
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        """The empty line after the last chunk (called by llhttp)."""
        self.done = True


Body = LengthBody | ChunkedBody


LAST_CHUNK = b"0\r\n\r\n"


def chunk(payload: bytes, *, last: bool) -> bytes:
    """`payload` as one chunk, with the end of the body if it is the last."""
    if not payload:
        return LAST_CHUNK if last else b""
    return b"%x\r\n%b\r\n%b" % (len(payload), payload, LAST_CHUNK if last else b"")
