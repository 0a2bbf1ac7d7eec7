"""Addresses: one meaning each, or refused with a reason."""

from collections.abc import Callable
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitroom.settings import addresses
from waitroom.settings.addresses import Address, BackendUrl, HostPort
from waitroom.settings.units import BadValueError

hosts = st.one_of(
    st.ip_addresses().map(lambda ip: f"[{ip}]" if ip.version == 6 else str(ip)),
    st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?(\.[a-z]{1,5}){0,2}", fullmatch=True),
)


@given(hosts, st.integers(0, 65_535))
def test_addresses_to_listen_on_survive_the_round_trip(host: str, port: int) -> None:
    """Names, IPv4 and IPv6."""
    found = addresses.parse_host_port(f"{host}:{port}")
    assert addresses.parse_host_port(str(found)) == found
    assert found.port == port
    assert "[" not in found.host


@given(st.sampled_from(["http", "https"]), hosts, st.none() | st.integers(1, 65_535))
def test_backend_urls_survive_the_round_trip(scheme: str, host: str, port: int | None) -> None:
    """Without a port it is the scheme's own."""
    found = addresses.parse_backend_url(f"{scheme}://{host}" + (f":{port}" if port else ""))
    assert addresses.parse_backend_url(str(found)) == found
    assert found.port == (port or {"http": 80, "https": 443}[scheme])


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://10.0.0.11", BackendUrl("http", "10.0.0.11", 80)),
        ("http://10.0.0.11/", BackendUrl("http", "10.0.0.11", 80)),
        ("https://moodle.uni.example:8443", BackendUrl("https", "moodle.uni.example", 8443)),
        ("http://moodle_web:8080", BackendUrl("http", "moodle_web", 8080)),
        ("http://[2001:db8::1]", BackendUrl("http", "2001:db8::1", 80)),
        ("http://[2001:DB8:0::1]:81", BackendUrl("http", "2001:db8::1", 81)),
        ("http+unix:///run/moodle.sock", BackendUrl("http", "localhost", 80, unix="/run/moodle.sock")),
    ],
)
def test_backend_urls(text: str, url: BackendUrl) -> None:
    """What a proxy needs to connect, and nothing else."""
    assert addresses.parse_backend_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "", "moodle", "http://", "http:///", "//moodle", "http:moodle", "HTTP://moodle", "http://moodle:0",
        "http://moodle:65536", "http://moodle:", "http://moodle:x", "http://mood le", "http://moodle/path",
        "http://moodle?q", "http://moodle#f", "http://u:p@moodle", "http://u@moodle", "http://2001:db8::1",
        "http://[2001:db8::1", "http://[x]", "http://[::1%25eth0]", "http://1.2.3", "http://256.1.1.1",
        "http://-moodle", "http://mo\tdle", "http://moodle\\x", "http+unix://run/x", "https+unix:///run/x",
        "http+unix:///", "http+unix:///" + "x" * 108, "http://a..b", "http://" + "a" * 64, "ftp://x", "http://é",
    ],
)  # fmt: skip
def test_backend_urls_that_are_none(text: str) -> None:
    """Paths, users, ports that do not exist, hosts that are none."""
    with pytest.raises(BadValueError):
        addresses.parse_backend_url(text)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("0.0.0.0:8080", Address("0.0.0.0", 8080)),
        ("[::]:80", Address("::", 80)),
        ("localhost:0", Address("localhost", 0)),
        ("unix:/run/w.sock", Address("", 0, unix="/run/w.sock")),
        ("unix:///run/w.sock", Address("", 0, unix="/run/w.sock")),
    ],
)
def test_listening(text: str, at: Address) -> None:
    """TCP or a unix socket."""
    assert addresses.parse_listen(text) == at
    assert addresses.parse_listen(str(at)) == at


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("8080", "0.0.0.0:8080"), (":8080", "0.0.0.0:8080"), ("localhost", "localhost:8080"), ("::1", "[::1]:8080"),
        ("::1:80", "[::1]:80"), ("http://0.0.0.0:80", "0.0.0.0:80"), ("http://x/", "x:8080"), ("1.2.3.4:", ""),
        ("1.2.3.4:99999", ""), ("[::1]", ""), ("a b:80", ""), ("unix:w.sock", ""), ("unix:", ""),
    ],
)  # fmt: skip
def test_not_listening(text: str, suggestion: str) -> None:
    """Refused with what was probably meant."""
    with pytest.raises(BadValueError) as caught:
        addresses.parse_listen(text)
    assert caught.value.suggestion == suggestion


def test_the_admin_listener_is_suggested_on_loopback() -> None:
    """The public one everywhere, the admin's here only."""
    with pytest.raises(BadValueError) as caught:
        addresses.parse_host_port("9090")
    assert caught.value.suggestion == "127.0.0.1:9090"
    assert addresses.parse_host_port("127.0.0.1:9090") == HostPort("127.0.0.1", 9090)


@pytest.mark.parametrize("text", ["10.0.0.0/8", "10.0.0.1", "2001:db8::/32", "::1", "127.0.0.1/32"])
def test_networks(text: str) -> None:
    """A network, or one address."""
    assert addresses.parse_network(text) == ip_network(text)
    assert addresses.parse_network(str(addresses.parse_network(text))) == ip_network(text)


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [("10.0.0.1/8", "10.0.0.0/8"), ("2001:db8::1/32", "2001:db8::/32"), ("10.0.0.0/33", ""), ("proxy", ""), ("", "")],
)
def test_networks_that_are_none(text: str, suggestion: str) -> None:
    """Bits beyond the prefix are a slip that trusts more than was meant."""
    with pytest.raises(BadValueError) as caught:
        addresses.parse_network(text)
    assert caught.value.suggestion == suggestion


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "redis://h:6379/0",
        "rediss://u:p@h:6380/1?ssl_cert_reqs=required",
        "redis://:p@[::1]:6379",
        "unix:///run/v.sock?db=1",
        "redis+sentinel://s1:26379,s2,[::1]:26379/exams",
        "rediss+sentinel://u:p@s1/exams.main-1/2?sentinel_password=x",
        "redis+cluster://n1:6379,n2:6380",
        "rediss+cluster://:p@n1/0",
    ],
)
def test_store_urls(url: str) -> None:
    """As the client of the store takes them."""
    assert addresses.parse_store_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "h:6379",
        "redis://",
        "redis://:pw@",
        "redis://h:x",
        "redis://h/zero",
        "http://h",
        "valkey://:pw@h",
        "unix://run/v",
        "redis://h,i",
        "redis+sentinel://s1,s2",
        "redis+sentinel://s1,/exams",
        "redis+sentinel://:pw@s1/two words",
        "redis+cluster://n1/1",
        "redis+cluster://:pw@n1,n2:x",
        "redis+tls://h",
    ],
)
def test_store_urls_that_are_none(url: str) -> None:
    """Refused, and a password in them is not repeated."""
    with pytest.raises(BadValueError) as caught:
        addresses.parse_store_url(url)
    assert "pw" not in str(caught.value)


PARSERS: list[Callable[[str], object]] = [
    addresses.parse_backend_url,
    addresses.parse_host,
    addresses.parse_host_port,
    addresses.parse_listen,
    addresses.parse_network,
    addresses.parse_store_url,
]


@given(st.text(max_size=30) | st.from_regex(r"(https?://|unix:|redis://)?[\[\]a-z0-9:./@?#%-]{0,20}", fullmatch=True))
def test_no_text_brings_another_error(text: str) -> None:
    """Either an address or a BadValueError."""
    for parse in PARSERS:
        found = _read(parse, text)
        assert not isinstance(found, BadValueError) or found.wrong


def _read(parse: Callable[[str], object], text: str) -> object:
    try:
        return parse(text)
    except BadValueError as error:
        return error


def test_the_path_of_a_stores_socket_is_measured_decoded() -> None:
    """Blanks and accents triple in a URL; the kernel counts them once."""
    assert addresses.parse_store_url("unix:///" + "%20" * 100)
    with pytest.raises(BadValueError):
        addresses.parse_store_url("unix:///" + "%20" * 108)
