"""Odd requests that pass, each with the only form in which a backend may get it.

Law: a row is a name, what was sent, and what arrives. `FORMS` leave the connection open: what is sent next is a
request of its own. `LAST_FORMS` end it.
"""

from tests.proxy.vectors import CL3, END, TE, H, post

VOUCH = b"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: h\r\n"
CHUNKED = TE + VOUCH
NEXT = b"GET /next HTTP/1.1\r\n" + H + b"\r\n"
NEXT_SEEN = b"GET /next HTTP/1.1\r\n" + H + VOUCH + b"\r\n"

Row = tuple[bytes, bytes]


def get(target: bytes, seen: bytes | None = None) -> Row:
    """A GET of a target, and the target that arrives (the same, if none is given)."""
    first = b"GET " + target + b" HTTP/1.1\r\n" + H + b"\r\n"
    return first, b"GET " + (seen or target) + b" HTTP/1.1\r\n" + H + VOUCH + b"\r\n"


def fields(sent: bytes, seen: bytes, body: bytes = b"") -> Row:
    """A POST with these lines behind its Host, and the lines that arrive."""
    return post(H + sent, body), post(H + seen + VOUCH, body)


def host(value: bytes) -> Row:
    """A POST with this Host, which arrives as it came and is vouched for."""
    said = b"Host: " + value + b"\r\n"
    return post(said), post(said + VOUCH.replace(b"Host: h", b"Host: " + value))


def chunks(sent: bytes, seen: bytes, coding: bytes = TE) -> Row:
    """A body in chunks, and the one in which it arrives."""
    return post(H + coding, sent), post(H + CHUNKED, seen)


def cookies(sent: bytes, seen: bytes) -> Row:
    """A Cookie field, and what arrives of it."""
    return fields(b"Cookie: " + sent + b"\r\n", b"Cookie: " + seen + b"\r\n")


UPGRADE = b"Connection: Upgrade\r\n"
ABC = b"3\r\nabc\r\n0\r\n\r\n"

FORMS: dict[str, Row] = {
    "two slashes": get(b"//a"),
    "another host behind two slashes": get(b"//other/a"),
    "dots": get(b"/a/../../etc/passwd"),
    "encoded dots and slashes": get(b"/%2e%2e%2f%5c%00%0d%0a"),
    "bad percent signs": get(b"/%zz%1%"),
    "backslash": get(b"/a\\..\\b"),
    "delimiters": get(b"/:@!$&'()*+,;=~\"<>[]^`{|}"),
    "question marks": get(b"/?a?b=?"),
    "a request line in the query": get(b"/?x=%20HTTP/1.1%0d%0aHost:%20other"),
    "obs-text in the target": get(b"/\xc3\xa9\xff"),
    "absolute form": get(b"http://h/a", b"/a"),
    "absolute form, other case": get(b"HTTP://H/a", b"/a"),
    "absolute form, no path": get(b"http://h", b"/"),
    "absolute form, only a query": get(b"http://h?a/b", b"/?a/b"),
    "absolute form, two slashes": get(b"http://h//other/a", b"//other/a"),
    "absolute form in the path": get(b"/http://other/"),
    "host with a port": host(b"h:8080"),
    "host with an empty port": host(b"h:"),
    "host with a dot": host(b"h."),
    "host of IPv6": host(b"[::1]:80"),
    "host with an underscore": host(b"a_b"),
    "host with percent signs": host(b"%68"),
    "host without a space": (post(b"Host:h\r\n"), post(b"Host:h\r\n" + VOUCH)),
    "host with tabs": (post(b"hOST:\th \t\r\n"), post(b"hOST:\th \t\r\n" + VOUCH)),
    "length with blanks": fields(b"Content-Length:\t 3 \t\r\n", b"Content-Length:\t 3 \t\r\n", b"abc"),
    "length with zeros": fields(b"Content-Length: 0010\r\n", b"Content-Length: 10\r\n", b"0123456789"),
    "length with zeros, other case": fields(b"CONTENT-length:\t03 \r\n", b"CONTENT-length: 3\r\n", b"abc"),
    "length of zeros": fields(b"Content-Length: 00\r\n", b"Content-Length: 0\r\n"),
    "length of zero": fields(b"Content-Length: 0\r\n", b"Content-Length: 0\r\n"),
    "length named by connection": fields(b"Connection: Content-Length\r\n" + CL3, CL3, b"abc"),
    "host named by connection": fields(b"Connection: host, x\r\nX: 1\r\n", b""),
    "vouching named by connection": fields(b"Connection: X-Forwarded-For, X-Forwarded-Host\r\n", b""),
    "connection quoted": fields(b'Connection: "close", ,;\r\n', b""),
    "connection empty": fields(b"Connection:\r\nConnection: ,\r\n", b""),
    "length in another spelling": fields(CL3 + b"Content_Length: 9\r\n", CL3, b"abc"),
    "coding in another spelling": fields(CL3 + b"Transfer_Encoding: chunked\r\n", CL3, b"abc"),
    "connection in another spelling": fields(b"Proxy_Connection: close\r\n", b"Proxy_Connection: close\r\n"),
    "vouching in another spelling": fields(b"X_Forwarded_For: 6\r\nX-Forwarded_User: 6\r\nx_real-ip: 6\r\n", b""),
    "vouching with points": fields(b"X.Forwarded.For: 6\r\nX.Real.IP: 6\r\nX-Forwarded.Proto: https\r\n", b""),
    "vouching with any sign": fields(b"".join(b"X%cReal%cIP: 6\r\n" % (c, c) for c in b"!#$%&'*+.^_`|~"), b""),
    "framing with any sign": fields(
        CL3 + b"".join(b"Content%cLength: 9\r\nTransfer%cEncoding: chunked\r\n" % (c, c) for c in b"!#$%&'*+.^_`|~"),
        CL3,
        b"abc",
    ),
    "names alike": fields(b"Content-Lengths: 3\r\nHosts: x\r\n", b"Content-Lengths: 3\r\nHosts: x\r\n"),
    "empty value": fields(b"X:\r\nY: \t\r\n", b"X:\r\nY: \t\r\n"),
    "colons": fields(b"X::\r\nY:a:b\r\n", b"X::\r\nY:a:b\r\n"),
    "tabs in a value": fields(b"X:\ta\tb\t\r\n", b"X:\ta\tb\t\r\n"),
    "odd tokens": fields(b"!#$%&'*+.^`|~: a\r\n", b"!#$%&'*+.^`|~: a\r\n"),
    "a request for a body": fields(b"Content-Length: 29\r\n", b"Content-Length: 29\r\n", NEXT.replace(b"next", b"no")),
    "a last chunk for a body": fields(b"Content-Length: 5\r\n", b"Content-Length: 5\r\n", END),
    "GET with a body": (
        b"GET / HTTP/1.1\r\n" + H + CL3 + b"\r\nabc",
        b"GET / HTTP/1.1\r\n" + H + CL3 + VOUCH + b"\r\nabc",
    ),
    "GET with chunks": (
        b"GET / HTTP/1.1\r\n" + H + TE + b"\r\n" + ABC,
        b"GET / HTTP/1.1\r\n" + H + CHUNKED + b"\r\n" + ABC,
    ),
    "HEAD with a body": (
        b"HEAD / HTTP/1.1\r\n" + H + CL3 + b"\r\nabc",
        b"HEAD / HTTP/1.1\r\n" + H + CL3 + VOUCH + b"\r\nabc",
    ),
    "method in lower case": (
        b"get / HTTP/1.1\r\n" + H + b"\r\n",
        b"get / HTTP/1.1\r\n" + H + VOUCH + b"\r\n",
    ),
    "coding in capitals": chunks(ABC, ABC, b"TRANSFER-ENCODING: CHUNKED\r\n"),
    "coding without a space": chunks(ABC, ABC, b"Transfer-Encoding:chunked\r\n"),
    "coding behind a tab": chunks(ABC, ABC, b"Transfer-Encoding:\tchunked\r\n"),
    "coding with blanks behind": chunks(ABC, ABC, b"Transfer-Encoding: chunked \r\n"),
    "coding with TE and Trailer": chunks(ABC, ABC, TE + b"TE: trailers, chunked\r\nTrailer: Content-Length\r\n"),
    "zeros in a size": chunks(b"0003\r\nabc\r\n000\r\n\r\n", ABC),
    "capitals in a size": chunks(b"A\r\n0123456789\r\n0\r\n\r\n", b"a\r\n0123456789\r\n0\r\n\r\n"),
    "extensions": chunks(b'1;a\r\na\r\n2;b="c;\\"d";e=f\r\nbc\r\n0;z\r\n\r\n', ABC),
    "trailers": chunks(b"3\r\nabc\r\n0\r\nX: 1\r\nHost: other\r\n\r\n", ABC),
    "connection in the trailers": chunks(b"3\r\nabc\r\n0\r\nConnection: close\r\nUpgrade: x\r\n\r\n", ABC),
    "a request for a chunk": chunks(
        b"1d\r\n" + NEXT.replace(b"next", b"no") + b"\r\n0\r\n\r\n",
        b"1d\r\n" + NEXT.replace(b"next", b"no") + b"\r\n0\r\n\r\n",
    ),
    "a last chunk in a chunk": chunks(b"9\r\n\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n", b"9\r\n\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n"),
    "blank lines in chunks": chunks(
        b"8\r\n\r\n\r\n\r\n\r\n\r\n4\r\n\r\n\r\n\r\n000\r\n\r\n", b"c\r\n" + b"\r\n" * 7 + b"0\r\n\r\n"
    ),
    "last chunks in a chunk": chunks(
        b"f\r\n\r\n\r\n0\r\n\r\n\n0\r\n\r\n\r\n0\r\n\r\n", b"f\r\n\r\n\r\n0\r\n\r\n\n0\r\n\r\n\r\n0\r\n\r\n"
    ),
    "expect": fields(b"Expect: 100-continue\r\n" + CL3, b"Expect: 100-continue\r\n" + CL3, b"abc"),
    "expect without body": fields(b"Expect: 100-continue\r\n", b"Expect: 100-continue\r\n"),
    "expect what nobody knows": fields(b"Expect: 200-ok, x\r\n", b"Expect: 200-ok, x\r\n"),
    "expect named by connection": fields(b"Connection: expect\r\nExpect: 100-continue\r\n" + CL3, CL3, b"abc"),
    "h2c": fields(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n", b""),
    "h2c, other case": fields(UPGRADE + b"Upgrade: H2C\r\n", b""),
    "h2c unasked": fields(b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n", b""),
    "h2c with a body": fields(
        b"Connection: HTTP2-Settings\r\nHTTP2-Settings: a\r\nUpgrade: h2c\r\n" + CL3, CL3, b"abc"
    ),
    "h2c and another": (
        post(H + UPGRADE + b"Upgrade: h2c, websocket,h2c\r\n"),
        post(H + UPGRADE + b"Upgrade: websocket\r\n" + VOUCH),
    ),
    "two upgrades": (
        post(H + UPGRADE + b"Upgrade: h2c\r\nUpgrade: foo/2\r\n"),
        post(H + UPGRADE + b"Upgrade: foo/2\r\n" + VOUCH),
    ),
    "upgrade with a length of zero": (
        post(H + UPGRADE + b"Upgrade: x\r\nContent-Length: 0\r\n"),
        post(H + b"Content-Length: 0\r\n" + UPGRADE + b"Upgrade: x\r\n" + VOUCH),
    ),
    "our cookie behind another's comma": cookies(b"a=1, wr_main=x; b=2", b"b=2"),
    "our cookie behind another's blank": cookies(b"a=1 wr_main=x; b=2", b"b=2"),
    "our cookie behind another's quote": cookies(b'a="1" wr_main=x; b=2', b"b=2"),
    "our cookie within another's quotes": cookies(b'a="1; wr_main=x"; b=2', b'a="1; b=2'),
    "our cookie behind $Version": cookies(b"$Version=1; wr_main=x; $Path=/", b"$Version=1; $Path=/"),
    "our cookie quoted": cookies(b'"wr_main"="x"; a', b"a"),
    "our cookie in capitals": cookies(b"a; WR_MAIN=x", b"a"),
    "our cookie with a blank before =": cookies(b"wr_main =x; a", b"a"),
    "our cookie with a tab before =": cookies(b"a;\twr_main\t=x", b"a"),
    "our cookie behind a no-break space": cookies(b"\xa0wr_main=x; a", b"a"),
    "our cookie without a value": cookies(b"a=b; wr_main", b"a=b"),
    "our cookie with a prefix": cookies(b"__Host-wr_main=x; __SECURE-wr_main=x; a", b"a"),
    "our cookie for still pages": cookies(b"wr.still=1; a", b"a"),
    "our cookie in a second line": fields(
        b"Cookie: a\r\nCookie: wr_main=x\r\ncookie: b\r\n", b"Cookie: a\r\ncookie: b\r\n"
    ),
    "cookies like ours": cookies(
        b" awr_main=x; wr=1; a=wr_main; b=x wr_y;", b" awr_main=x; wr=1; a=wr_main; b=x wr_y;"
    ),
    "no cookie at all": cookies(b";;, ;", b";;, ;"),
    "empty lines first": (b"\r\n\r\n" + get(b"/")[0], get(b"/")[1]),
    "star": (
        b"OPTIONS * HTTP/1.1\r\n" + H + b"\r\n",
        b"OPTIONS * HTTP/1.1\r\n" + H + VOUCH + b"\r\n",
    ),
    "star as a URL": (
        b"OPTIONS http://h HTTP/1.1\r\n" + H + b"\r\n",
        b"OPTIONS * HTTP/1.1\r\n" + H + VOUCH + b"\r\n",
    ),
}

V1 = b"GET / HTTP/1.0\r\n"
SEEN = b"GET / HTTP/1.1\r\n"

LAST_FORMS: dict[str, Row] = {
    "close": fields(b"Connection: x, CLOSE\r\n", b""),
    "close with a body": fields(b"Connection: close\r\n" + CL3, CL3, b"abc"),
    "HTTP/1.0": (V1 + H + b"\r\n", SEEN + H + VOUCH + b"\r\n"),
    "HTTP/1.0 with a body": (V1 + H + CL3 + b"\r\nabc", SEEN + H + CL3 + VOUCH + b"\r\nabc"),
    "HTTP/1.0 expects nothing": (V1 + H + b"Expect: 100-continue\r\n\r\n", SEEN + H + VOUCH + b"\r\n"),
    "HTTP/1.0 upgrades nothing": (
        V1 + H + UPGRADE + b"Upgrade: websocket\r\n\r\n",
        SEEN + H + VOUCH + b"\r\n",
    ),
    "HTTP/1.0 with its host in the URL alone": (
        b"GET http://h/a HTTP/1.0\r\nX: 1\r\n\r\n",
        b"GET /a HTTP/1.1\r\n" + H + b"X: 1\r\n" + VOUCH + b"\r\n",
    ),
    "HTTP/1.0 with nothing but a URL": (
        b"GET HTTP://h?a HTTP/1.0\r\n\r\n",
        b"GET /?a HTTP/1.1\r\n" + H + VOUCH + b"\r\n",
    ),
    "HTTP/1.0 without host": (
        V1 + b"\r\n",
        SEEN + b"Host: %AUTHORITY%\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n\r\n",
    ),
}
