"""The head of a backend's response: what it says of its body, and the form in which a client gets it.

Law: what a backend may not say is the backend's fault (BackendError `protocol`), and its connection is not used
again. All fields but those about the connection go on as they came, in order, and none is added.
"""

import re
from dataclasses import dataclass

from waitroom.errors import BackendError
from waitroom.proxy.fields import (
    CRLF,
    HOP_BY_HOP,
    NEVER_UNNAMED,
    FieldError,
    Lines,
    Mark,
    connection_options,
    framing,
    headers,
    in_one_reading,
    protocols,
)

_BLANK_BEFORE_COLON = re.compile(
    rb"^(?!content-length[ \t]|transfer-encoding[ \t])([!#$%&'*+\-.^_`|~0-9A-Za-z]++)[ \t]+:",
    re.IGNORECASE | re.MULTILINE,
)
"""A proxy removes these blanks from a response (RFC 9112 section 5.1). Those behind a name that frames it: refused."""

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])((?: [\t -~\x80-\xff]*+)?)\r\n")  # RFC 9112 section 4


@dataclass(slots=True, eq=False)
class ResponseHead:
    """A response head, read; a value that nobody changes (as requesthead.Block).

    `lines` go to the client, without the empty line; `ready` is the same with it.
    """

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
    events: bool = False
    """Server-sent events."""
    mark: Mark = Mark.NONE
    """The body is one that its status leaves out."""


NO_HEAD = ResponseHead(b"", 0, None, chunked=False, persistent=False, lines=b"", ready=b"", framed=False)


class ResponseReader:
    """Reads response heads. One a worker."""

    def __init__(self) -> None:
        self._lines = Lines(lambda key, line: None if key in HOP_BY_HOP else in_one_reading(key, line))

    def read(self, raw: bytes) -> ResponseHead:
        """The head (with its empty line), or BackendError."""
        start = _STATUS_LINE.match(raw)
        if start is None:
            raise BackendError("no HTTP/1 status line", kind="protocol")
        try:
            block = raw[start.end() :]
            if b" :" in block or b"\t:" in block:
                block = _BLANK_BEFORE_COLON.sub(rb"\1:", block)
            read = self._lines.read(block)
            values = read.by_name
            length, chunked = framing(values)
        except FieldError as error:
            raise BackendError(str(error), kind="protocol") from None
        status = int(start[2])
        connection = connection_options(values)
        without = connection - NEVER_UNNAMED
        if status < 200 or status == 204:
            without |= {b"content-length"}  # RFC 9110 section 8.6
        kept = read.passed(without)
        if status == 101:
            kept += [b": ".join(field) for field in headers(block) if field[0].lower() in (b"connection", b"upgrade")]
        elif status == 426 and (wanted := protocols(values)):  # RFC 9110 section 15.5.22
            kept += (b"Connection: Upgrade", b"Upgrade: " + wanted)
        bodiless = status < 200 or status in (204, 304)  # RFC 9112 section 6.3
        head = b"HTTP/1.1 %b%b\r\n%b\r\n" % (start[2], start[3] or b" ", CRLF.join(kept))
        if not kept:
            head = head[:-2]
        return ResponseHead(
            raw,
            status,
            0 if bodiless else length,
            chunked and not bodiless,
            b"close" not in connection
            and (start[1] == b"1" or (b"keep-alive" in connection and not chunked)),  # RFC 9112 section 6.1
            head,
            head + CRLF,
            bodiless or length is not None,
            any(value.lower().startswith(b"text/event-stream") for value in values.get(b"content-type", ())),
            Mark.of(values.get(b"www-authenticate", ()), body=bodiless and bool(length or chunked)),
        )
