"""Responses as backends should not send them, and odd ones that pass.

Law: `BAD` become a 502 and end their connection; `CUT` show their fault when their head is out, so that their answer
stays incomplete behind what came before it. `GOOD` rows say for which request the response is, what the client gets,
and whether the connection is used again.
"""

from waitroom.proxy.fields import FIELDS
from waitroom.proxy.upstream import PROVISIONALS

ONE = b"HTTP/1.1 200 OK\r\n"
CL3 = b"Content-Length: 3\r\n"
TE = b"Transfer-Encoding: chunked\r\n"
ABC = b"3\r\nabc\r\n0\r\n\r\n"


def ok(fields: bytes, body: bytes = b"abc") -> bytes:
    """A 200 with these field lines."""
    return ONE + fields + b"\r\n" + body


def status(text: bytes) -> bytes:
    """A response with this first line."""
    return text + b"\r\n" + CL3 + b"\r\nabc"


BAD = {
    "both lengths": ok(CL3 + TE, ABC),
    "both lengths, other order": ok(TE + CL3, ABC),
    "both lengths, other case": ok(b"content-length: 3\r\nTRANSFER-ENCODING: chunked\r\n", ABC),
    "two lengths": ok(CL3 + b"Content-Length: 4\r\n"),
    "two equal lengths": ok(CL3 + CL3),
    "listed length": ok(b"Content-Length: 3, 3\r\n"),
    "signed length": ok(b"Content-Length: +3\r\n"),
    "negative length": ok(b"Content-Length: -1\r\n"),
    "hexadecimal length": ok(b"Content-Length: 0x3\r\n"),
    "empty length": ok(b"Content-Length:\r\n"),
    "length of 19 digits": ok(b"Content-Length: 0000000000000000003\r\n"),
    "length beyond 64 bits": ok(b"Content-Length: 18446744073709551619\r\n"),
    "length of a 204, twice": b"HTTP/1.1 204 No\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "another coding": ok(b"Transfer-Encoding: gzip, chunked\r\n", ABC),
    "coding: identity": ok(b"Transfer-Encoding: identity\r\n"),
    "coding: gzip": ok(b"Transfer-Encoding: gzip\r\n"),
    "coding: chunked twice": ok(TE + TE, ABC),
    "coding: chunked, chunked": ok(b"Transfer-Encoding: chunked, chunked\r\n", ABC),
    "coding: chunked and a parameter": ok(b"Transfer-Encoding: chunked;x\r\n", ABC),
    "coding: quoted": ok(b'Transfer-Encoding: "chunked"\r\n', ABC),
    "coding: vertical tab": ok(b"Transfer-Encoding: \x0bchunked\r\n", ABC),
    "coding: empty": ok(b"Transfer-Encoding:\r\n", ABC),
    "coding: space before colon": ok(b"Transfer-Encoding : chunked\r\n", ABC),
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 3\n\r\n\r\nabc",
    "bare LF behind a field": ok(b"X: a\nContent-Length: 3\r\n"),
    "bare LF everywhere": b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc\r\n\r\n",
    "bare CR behind the status": b"HTTP/1.1 200 OK\rContent-Length: 3\r\n\r\nabc",
    "folded": ok(b"X: a\r\n b\r\n" + CL3),
    "folded at once": ok(b" X: a\r\n" + CL3),
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "status of four digits": status(b"HTTP/1.1 2000 OK"),
    "status of zero": status(b"HTTP/1.1 000 OK"),
    "status below 100": status(b"HTTP/1.1 099 OK"),
    "signed status": status(b"HTTP/1.1 +20 OK"),
    "status in letters": status(b"HTTP/1.1 abc OK"),
    "two spaces before the status": status(b"HTTP/1.1  200 OK"),
    "tab before the status": status(b"HTTP/1.1\t200 OK"),
    "reason without a space": status(b"HTTP/1.1 200OK"),
    "space first": status(b" HTTP/1.1 200 OK"),
    "empty line first": status(b"\r\nHTTP/1.1 200 OK"),
    "lower-case version": status(b"http/1.1 200 OK"),
    "HTTP/2": status(b"HTTP/2 200 OK"),
    "HTTP/1.2": status(b"HTTP/1.2 200 OK"),
    "HTTP/0.9": b"<html>hello</html>\r\n\r\n",
    "ICY": status(b"ICY 200 OK"),
    "another protocol": b"SSH-2.0-OpenSSH\r\n\r\n",
    "a request": b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "NUL first": b"\x00" + ok(CL3),
    "NULs first": b"\x00" * 8 + ok(CL3),
    "NUL in the reason": b"HTTP/1.1 200 O\x00K\r\n\r\n",
    "DEL in the reason": status(b"HTTP/1.1 200 O\x7fK"),
    "CR in the reason": status(b"HTTP/1.1 200 O\rK"),
    "NUL in a value": ok(b"X: \x00\r\n" + CL3),
    "CR in a value": ok(b"X: a\rSet-Cookie: b\r\n" + CL3),
    "LF in a value": ok(b"X: a\nSet-Cookie: b\r\n" + CL3),
    "NUL in a name": ok(b"X\x00: a\r\n" + CL3),
    "space before colon": ok(b"Content-Length : 3\r\n"),
    "space before colon, other case": ok(b"X : 1\r\ncontent-LENGTH\t: 3\r\n"),
    "space before colon, no name": ok(b" : a\r\n" + CL3),
    "space in a name": ok(b"X Y: a\r\n" + CL3),
    "no colon": ok(b"Xa\r\n" + CL3),
    "no name": ok(b": a\r\n" + CL3),
    "too many fields": ok(b"X: 1\r\n" * FIELDS + CL3),
    "101 unasked": b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "101 unasked, then an answer": b"HTTP/1.1 101 Switching\r\n\r\n" + ok(CL3),
    "bad head behind a 1xx": b"HTTP/1.1 100 Continue\r\n\r\n" + ok(CL3 + TE, ABC),
    "NUL behind a 1xx": b"HTTP/1.1 100 Continue\r\n\r\n\x00" + ok(CL3),
    "both lengths in a 1xx": b"HTTP/1.1 103 E\r\n" + CL3 + TE + b"\r\n" + ok(CL3),
    "endless 1xx": b"HTTP/1.1 102 P\r\n\r\n" * (PROVISIONALS + 1),
}

CUT = {
    "size of no number": (b"x\r\nabc\r\n", b""),
    "no size": (b"\r\nabc\r\n0\r\n\r\n", b""),
    "space behind the size": (b"3 \r\nabc\r\n0\r\n\r\n", b""),
    "bare LF behind the size": (b"3\nabc\r\n0\r\n\r\n", b""),
    "bare LF behind the data": (b"3\r\nabc\n0\r\n\r\n", b"abc"),
    "overflow": (b"10000000000000003\r\nabc\r\n0\r\n\r\n", b""),
    "too much data": (b"3\r\nabcd\r\n0\r\n\r\n", b"abc"),
    "a second size": (b"3\r\nabc\r\nx\r\n", b"abc"),
    "NUL in an extension": (b"3;\x00\r\nabc\r\n0\r\n\r\n", b""),
    "length in a trailer": (b"3\r\nabc\r\n0\r\nContent-Length: 3\r\n\r\n", b"abc"),
    "trailer of no field": (b"3\r\nabc\r\n0\r\nX y\r\n\r\n", b"abc"),
    "bare LF ends the body": (b"3\r\nabc\r\n0\r\n\n", b"abc"),
}
"""Behind a head that says `chunked`; and what of it comes before the fault."""

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
HEAD = GET.replace(b"GET", b"HEAD")
OLD = b"GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"
Row = tuple[bytes, bytes, bytes, bool]


def same(response: bytes, *, reused: bool = True) -> Row:
    """It passes as it is."""
    return GET, response, response, reused


GOOD: dict[str, Row] = {
    "length of zero": same(ok(b"Content-Length: 0\r\n", b"")),
    "length with zeros": (GET, ok(b"content-length:\t003\r\n"), ok(b"content-length: 3\r\n"), True),
    "length of zeros": (GET, ok(b"Content-Length: 000\r\n", b""), ok(b"Content-Length: 0\r\n", b""), True),
    "space before a colon": (GET, ok(b"X : a : b\r\nY \t:\r\n" + CL3), ok(b"X: a : b\r\nY:\r\n" + CL3), True),
    "length with blanks": same(ok(b"Content-Length:\t 3 \r\n")),
    "no reason": (GET, status(b"HTTP/1.1 200"), status(b"HTTP/1.1 200 "), True),
    "reason of obs-text": same(status(b"HTTP/1.1 200 \xe9\xff\t(x)")),
    "status of 999": same(status(b"HTTP/1.1 999 X")),
    "odd fields": same(ok(b"x-A:1\r\nX-a:\r\n!#$: \xff\t\r\n" + CL3)),
    "two cookies": same(ok(b"Set-Cookie: a=1\r\nSET-COOKIE: a=2\r\n" + CL3)),
    "HTTP/1.0": (GET, ok(CL3).replace(b"/1.1", b"/1.0"), ok(CL3), False),
    "HTTP/1.0 that keeps": (GET, ok(b"Connection: keep-alive\r\n" + CL3).replace(b"/1.1", b"/1.0"), ok(CL3), True),
    "HTTP/1.0 in chunks": (GET, ok(TE, ABC).replace(b"/1.1", b"/1.0"), ok(TE, ABC), False),
    "HTTP/1.0 in chunks that keeps": (
        GET,
        ok(b"Connection: keep-alive\r\n" + TE, ABC).replace(b"/1.1", b"/1.0"),
        ok(TE, ABC),
        False,
    ),
    "close": (GET, ok(b"Connection: x, Close\r\n" + CL3), ok(CL3), False),
    "connection names framing": (GET, ok(b"Connection: content-length\r\n" + CL3), ok(CL3), True),
    "connection names a field": (GET, ok(b"Connection: X-Gone\r\nX-gone: 1\r\n" + CL3), ok(CL3), True),
    "hop by hop": (GET, ok(b"Keep-Alive: 5\r\nUpgrade: h2c\r\nTrailer: x\r\n" + CL3), ok(CL3), True),
    "426": (
        GET,
        b"HTTP/1.1 426 U\r\nUpgrade: h2c, exam/1\r\n" + CL3 + b"\r\nabc",
        b"HTTP/1.1 426 U\r\n" + CL3 + b"Connection: Upgrade\r\nUpgrade: exam/1\r\n\r\nabc",
        True,
    ),
    "426 to what does not pass": (
        GET,
        b"HTTP/1.1 426 U\r\nConnection: upgrade\r\nUpgrade: h2c\r\n" + CL3 + b"\r\nabc",
        b"HTTP/1.1 426 U\r\n" + CL3 + b"\r\nabc",
        True,
    ),
    "more than it said": (GET, ok(CL3, b"abcd"), ok(CL3), False),
    "a second response": (GET, ok(CL3) + ok(CL3, b"xyz"), ok(CL3), False),
    "a second response behind chunks": (GET, ok(TE, ABC) + ok(CL3), ok(TE, ABC), False),
    "chunks": (GET, ok(TE, b"003\r\nabc\r\n000\r\n\r\n"), ok(TE, ABC), True),
    "chunks in capitals": (GET, ok(b"TRANSFER-encoding:CHUNKED\r\n", ABC), ok(TE, ABC), True),
    "chunk extensions": (GET, ok(TE, b'3;a="b"\r\nabc\r\n0;c\r\n\r\n'), ok(TE, ABC), True),
    "trailers": (GET, ok(TE, b"3\r\nabc\r\n0\r\nSet-Cookie: a\r\n\r\n"), ok(TE, ABC), True),
    "a last chunk in a chunk": same(ok(TE, b"9\r\n\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n")),
    "chunks to HTTP/1.0": (OLD, ok(TE, ABC), ok(b"Connection: close\r\n"), True),
    "length to HTTP/1.0": (OLD, ok(CL3), ok(CL3 + b"Connection: keep-alive\r\n"), True),
    "HEAD": (HEAD, ok(b"Content-Length: 99\r\n", b""), ok(b"Content-Length: 99\r\n", b""), True),
    "HEAD in chunks": (HEAD, ok(TE, b""), ok(b"", b""), True),
    "HEAD with a body": (HEAD, ok(CL3), ok(CL3, b""), False),
    "HEAD with chunks": (HEAD, ok(TE, ABC), ok(b"", b""), False),
    "204 with a length": (GET, b"HTTP/1.1 204 No\r\n" + CL3 + b"\r\n", b"HTTP/1.1 204 No\r\n\r\n", True),
    "204 with a body": (GET, b"HTTP/1.1 204 No\r\n" + CL3 + b"\r\nabc", b"HTTP/1.1 204 No\r\n\r\n", False),
    "204 in chunks": (GET, b"HTTP/1.1 204 No\r\n" + TE + b"\r\n" + ABC, b"HTTP/1.1 204 No\r\n\r\n", False),
    "304 with a length": same(b"HTTP/1.1 304 Not\r\n" + CL3 + b"\r\n"),
    "304 with a body": (
        GET,
        b"HTTP/1.1 304 Not\r\n" + CL3 + b"\r\nabc",
        b"HTTP/1.1 304 Not\r\n" + CL3 + b"\r\n",
        False,
    ),
    "100 first": same(b"HTTP/1.1 100 Continue\r\n\r\n" + ok(CL3)),
    "102 and 103 first": same(b"HTTP/1.1 102 P\r\n\r\nHTTP/1.1 103 E\r\nLink: </a>\r\n\r\n" + ok(CL3)),
    "103 with a length": (
        GET,
        b"HTTP/1.1 103 E\r\n" + CL3 + b"\r\n" + ok(CL3),
        b"HTTP/1.1 103 E\r\n\r\n" + ok(CL3),
        True,
    ),
    "103 that closes": (
        GET,
        b"HTTP/1.1 103 E\r\nConnection: close\r\n\r\n" + ok(CL3),
        b"HTTP/1.1 103 E\r\n\r\n" + ok(CL3),
        True,
    ),
    "199": same(b"HTTP/1.1 199 X\r\n\r\n" + ok(CL3)),
}
