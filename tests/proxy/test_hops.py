"""Max-Forwards: how far a request may go (RFC 9110 section 7.6.2)."""

import pytest

from tests.proxy.wire import stage
from tests.support.aio import run

CLOSE = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


def counted(asked: bytes, *lines: bytes) -> bytes:
    """A request with these Max-Forwards."""
    return b"%b HTTP/1.1\r\nHost: h\r\nCookie: a=secret\r\n%b\r\n" % (asked, b"".join(line + b"\r\n" for line in lines))


@pytest.mark.parametrize(
    ("asked", "said", "goes_on"),
    [
        (b"TRACE /", b"max-forwards:  010 ", b"max-forwards: 9"),
        (b"OPTIONS *", b"Max-Forwards: 1", b"Max-Forwards: 0"),
        (b"OPTIONS /", b"Max-Forwards: " + b"9" * 5_000, b"Max-Forwards: 999999999"),
        (b"OPTIONS /", b"Max-Forwards: -1", b"Max-Forwards: -1"),
        (b"OPTIONS /", b"Max-Forwards: 1, 0", b"Max-Forwards: 1, 0"),
        (b"GET /", b"Max-Forwards: 0", b"Max-Forwards: 0"),
    ],
)
def test_one_less_goes_on(asked: bytes, said: bytes, goes_on: bytes) -> None:
    """As far as it is a number; where it does not count, 0 is no bound."""

    async def main() -> None:
        async with stage() as s:
            assert (await s.say(counted(asked, said) + CLOSE)).startswith(b"HTTP/1.1 200 OK\r\n")
            lines = s.backend.heads[0].split(b"\r\n")
            assert [line for line in lines if line.lower().startswith(b"max-forwards")] == [goes_on]

    run(main())


@pytest.mark.parametrize(
    "hops", [(b"Max-Forwards: 0",), (b"Max-Forwards: 000",), (b"Max-Forwards: 0", b"Max-Forwards: 5")]
)
@pytest.mark.parametrize(("asked", "status"), [(b"OPTIONS *", 200), (b"TRACE /", 405)])
def test_the_last_hop_is_here(asked: bytes, status: int, hops: tuple[bytes, ...]) -> None:
    """A request that may go no further is answered; its connection goes on, and the backend hears nothing of it."""

    async def main() -> None:
        async with stage() as s:
            said = await s.say(counted(asked, *hops) + CLOSE)
            assert said.startswith(b"HTTP/1.1 %d " % status)
            assert b"\r\nContent-Length: 0\r\n" in said
            assert b"secret" not in said
            assert [head.split(b" ")[0] for head in s.backend.heads] == [b"GET"]
            assert s.finished == [status, 200]

    run(main())
