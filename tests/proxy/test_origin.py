"""Who asks: from the peer's address and, where that is trusted, from what it says."""

from contextlib import nullcontext
from ipaddress import ip_network

import pytest

from tests.proxy.wire import OK, stage
from tests.support.aio import run
from waitroom.errors import RequestError
from waitroom.proxy.decisions import Header
from waitroom.proxy.origin import Origin
from waitroom.proxy.requesthead import Block, RequestReader, aim
from waitroom.proxy.rules import OWN_COOKIES, ForwardAs, ProxyRules


def _said(*fields: Header) -> Block:
    block = b"".join(name + b": " + value + b"\r\n" for name, value in ((b"Host", b"h"), *fields)) + b"\r\n"
    return RequestReader(OWN_COOKIES).read(block)


NETWORKS = (ip_network("10.0.0.0/8"), ip_network("127.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "chain", "client"),
    [
        ("192.0.2.1", [b"1.2.3.4"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [b"1.2.3.4"], "1.2.3.4"),
        ("10.0.0.1", [b"6.6.6.6, 1.2.3.4"], "1.2.3.4"),
        ("10.0.0.1", [b"6.6.6.6, 1.2.3.4, 10.0.0.2"], "1.2.3.4"),
        ("10.0.0.1", [b"6.6.6.6", b"1.2.3.4 ,10.0.0.2"], "1.2.3.4"),
        ("10.0.0.1", [b"10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", [b"1.2.3.4, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [b"1.2.3.4, "], "10.0.0.1"),
        ("10.0.0.1", [b"1.2.3.4:5678"], "1.2.3.4"),
        ("10.0.0.1", [b"[2001:db8::1]:5678"], "2001:db8::1"),
        ("10.0.0.1", [b"2001:db8::1"], "2001:db8::1"),
        ("::ffff:10.0.0.1", [b"1.2.3.4"], "1.2.3.4"),
        ("fd00::1", [b"1.2.3.4"], "1.2.3.4"),
    ],
)
def test_the_client_is_the_rightmost_address_that_is_not_trusted(peer: str, chain: list[bytes], client: str) -> None:
    """What stands further left may have been written by anybody."""
    origin = Origin.of_peer((peer, 1), b"http", NETWORKS)
    assert origin.speak(_said(*((b"X-Forwarded-For", value) for value in chain)))[:2] == (client, b"http")


def test_the_peer_of_a_unix_socket_is_trusted() -> None:
    """It has no address, and it is on this machine."""
    origin = Origin.of_peer("", b"http", ())
    said = _said((b"X-Forwarded-For", b"1.2.3.4"), (b"X-Forwarded-Proto", b"https"))
    lines = b"X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: h\r\n\r\n"
    assert origin.speak(said) == ("1.2.3.4", b"https", lines, True)


@pytest.mark.parametrize(
    ("peer", "scheme", "url", "passes"),
    [
        ("192.0.2.1", b"http", b"https://h/a", False),
        ("192.0.2.1", b"http", b"HTTPS://h:443/a", False),
        ("192.0.2.1", b"http", b"http://h/a", True),
        ("192.0.2.1", b"https", b"https://h:443/a", True),
        ("10.0.0.1", b"http", b"https://h/a", True),
    ],
)
def test_https_is_asked_for_over_what_is_secured(peer: str, scheme: bytes, url: bytes, passes: bool) -> None:
    """Or by a proxy that is trusted to have heard it so (RFC 9110 section 7.4)."""
    origin = Origin.of_peer((peer, 1), scheme, NETWORKS)
    with nullcontext() if passes else pytest.raises(RequestError, match="not secured"):
        assert aim(b"GET", url, _said(), origin) == b"/a"


def test_a_trusted_proxy_is_passed_on() -> None:
    """Its scheme, host and port stay, its own address is appended, and `Forwarded` does not say it a second time."""

    async def main() -> None:
        async with stage(rules=ProxyRules(trusted_proxies=NETWORKS)) as s:
            client = await s.connect()
            await client.send(
                b"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n"
                b"X-Forwarded-Host: exam\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-Port: 443\r\n"
                b"X-Forwarded-For: 1.2.3.4\r\n\r\n"
            )
            assert await client.answer() == OK
            assert set(s.backend.heads[0].split(b"\r\n")) == {
                b"GET / HTTP/1.1",
                b"Host: h",
                b"X-Forwarded-For: 6.6.6.6, 1.2.3.4, 127.0.0.1",
                b"X-Forwarded-Proto: https",
                b"X-Forwarded-Host: exam",
                b"X-Real-IP: 6.6.6.6",
                b"X-Forwarded-Port: 443",
                b"",
            }
            [request] = s.brain.requests
            assert (request.client, request.scheme) == ("1.2.3.4", b"https")
            client.close()

    run(main())


@pytest.mark.parametrize("peer", ["10.0.0.1", "203.0.113.9"])
@pytest.mark.parametrize("forward_as", ["x-forwarded", "forwarded"])
def test_who_has_signed_on_is_for_a_trusted_proxy_to_say(peer: str, forward_as: ForwardAs) -> None:
    """Its word reaches the backend as it came; anybody else's does not, in no spelling that a backend may read so."""
    for name in (b"X-Remote-User", b"REMOTE_USER"):
        names = frozenset({name.lower()})
        origin = Origin.of_peer((peer, 1), b"http", NETWORKS, forward_as, names)
        others = b"".join(
            spelling + b": bob\r\n"
            for sign in (b"-", b"_", b".", b"~")
            if (spelling := name.replace(b"-", sign).replace(b"_", sign)) != name
        )
        raw = b"Host: h\r\n" + name + b": ann\r\n" + others + b"X-Other: 1\r\n\r\n"
        block = RequestReader(OWN_COOKIES, names).read(raw)
        told = block.forward + block.spoken_by(origin).lines
        assert told.count(b"X-Other: 1\r\n") == 1
        assert told.count(name + b": ann\r\n") == (peer == "10.0.0.1")
        assert b"bob" not in told
