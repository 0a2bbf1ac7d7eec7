"""Who gets at the API: nobody by guessing, no page of another site, no reader who would change something."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import Any

import pytest

from tests.admin.desk import Desk, desk
from tests.admin.test_admin import SECRETS, SETTINGS, House, Store, listener
from tests.admin.test_announcements import DEAN, HELPDESK, ask
from tests.support.aio import run
from waitroom.admin import attempts
from waitroom.admin.attempts import ADDRESSES, EACH_MS, FAILURES, Attempts

AS_JSON = {"Content-Type": "application/json"}
FORM = "application/x-www-form-urlencoded"
GUESS = {"Authorization": "Bearer guess"}
LOCAL = {"Authorization": f"Bearer {SECRETS.local_token}"}
POOLS = "/api/v1/pools"


def after(failures: int, address: str = "10.0.0.1") -> Attempts:
    """So many failed log-ins at instant 0."""
    made = Attempts()
    for _ in range(failures):
        made.failed(address, 0)
    return made


def test_slips_are_free_and_guesses_are_not() -> None:
    """The tenth failure makes its address wait; one more may come each six seconds, for ever."""
    assert after(FAILURES - 1).wait_s("10.0.0.1", 0) == 0
    made = after(FAILURES)
    assert made.wait_s("10.0.0.1", 0) == EACH_MS // 1000
    assert made.wait_s("10.0.0.1", EACH_MS) == 0
    assert made.wait_s("10.0.0.2", 0) == 0
    guessed = 0
    for now_ms in range(0, 3_600_000, 1_000):
        if not made.wait_s("10.0.0.1", now_ms):
            made.failed("10.0.0.1", now_ms)
            guessed += 1
    assert guessed <= 600 + FAILURES


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("", "", True),
    ],
)
def test_what_an_address_is(one: str, other: str, *, same: bool) -> None:
    """A host's /64 of IPv6, and IPv4 however it is written."""
    assert bool(after(FAILURES, one).wait_s(other, 0)) is same


def test_memory_is_bounded() -> None:
    """Whatever number of addresses fail; those that failed last are remembered."""
    made = after(FAILURES, "10.0.0.1")
    for number in range(ADDRESSES):
        made.failed(f"host{number}", 0)
    assert made.wait_s("10.0.0.1", 0) == 0
    assert len(made._known) == ADDRESSES


@pytest.fixture
def no_failure_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a test runs, however long that takes."""
    monkeypatch.setattr(attempts, "EACH_MS", 600_000)


@pytest.mark.usefixtures("no_failure_is_forgotten")
def test_who_guesses_waits() -> None:
    """429 says how long, also to whoever guesses right in the end; the operator on the machine is not locked out, and
    who gives no token is not counted.
    """

    async def check() -> None:
        async with listener(House(), Store()) as client:
            for _ in range(2 * FAILURES):
                assert (await ask(client, "GET", POOLS))[0] == 401
            for _ in range(FAILURES):
                assert (await ask(client, "GET", POOLS, headers=GUESS))[0] == 401
            for headers in (GUESS, DEAN):
                status, problem, fields = await ask(client, "GET", POOLS, headers=headers)
                assert (status, problem["status"]) == (429, 429)
                assert 0 < int(fields["Retry-After"]) <= 600
            assert (await ask(client, "GET", POOLS, headers=LOCAL))[0] == 200

    run(check())


@pytest.mark.usefixtures("no_failure_is_forgotten")
def test_behind_a_proxy() -> None:
    """Where a trusted proxy names the client, one guesser locks nobody else out, and cannot borrow another's address;
    what nobody trusted says of addresses counts for nothing.
    """

    async def check() -> None:
        house, store = House(), Store()
        async with listener(house, store) as client:
            for trusts, other in ((True, 200), (False, 429)):
                networks = (ip_network("127.0.0.1/32"),) if trusts else ()
                house.settings = SETTINGS.model_copy(update={"trusted_proxies": networks})
                for number in range(FAILURES + 1):
                    says = {"X-Forwarded-For": f"198.51.100.{number}, 203.0.113.7"}
                    status = (await ask(client, "GET", POOLS, headers=GUESS | says))[0]
                assert status == 429
                assert (await ask(client, "GET", POOLS, headers=DEAN | {"X-Forwarded-For": "203.0.113.7"}))[0] == 429
                assert (await ask(client, "GET", POOLS, headers=DEAN | {"X-Forwarded-For": "203.0.113.8"}))[0] == other

    run(check())


@asynccontextmanager
async def open_desk() -> AsyncIterator[Desk]:
    """A listener that lets callers of this machine in without a token."""
    async with desk() as it:
        admin = SETTINGS.admin.model_copy(update={"open_on_loopback": True})
        it.house.settings = it.house.settings.model_copy(update={"admin": admin})
        yield it


FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Host": "evil.example"},
    {"Host": "evil.example", "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
    {"X-Forwarded-For": "203.0.113.1"},
    {"Forwarded": "for=203.0.113.1"},
]


async def operations(it: Desk) -> list[tuple[str, str]]:
    """Every method and path that the document has."""
    _, document = await it.ask("GET", "openapi.json", headers={})
    names = {"pool": "main", "backend": "b1", "exam": "MATH0001", "code": "ZZZZ-ZZZZ"}
    return [(method.upper(), path.format(**names)) for path, methods in document["paths"].items() for method in methods]


async def status_of(it: Desk, method: str, path: str, headers: dict[str, str], **more: Any) -> int:
    """Only the status."""
    async with it.client.request(method, path, headers=headers, **more) as answer:
        return answer.status


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_no_page_of_another_site(headers: dict[str, str]) -> None:
    """Whatever it asks, with whatever a form can send: nothing is told, nothing changes, without a token and with
    one that a browser would not even send.
    """

    async def check() -> None:
        async with open_desk() as it:
            for method, path in await operations(it):
                for more in ({"json": {}}, {"data": {"a": "b"}}, {}):
                    assert await status_of(it, method, path, headers, **more) == 401, (method, path)
                if headers.keys() & {"Origin", "Sec-Fetch-Site"} and "Host" not in headers:
                    assert await status_of(it, method, path, DEAN | headers) == 403, (method, path)
            assert (await it.done("GET", "audit"))["entries"] == []

    run(check())


@pytest.mark.parametrize(
    "headers",
    [{}, {"Sec-Fetch-Site": "none"}, {"Sec-Fetch-Site": "same-origin"}, {"Host": "localhost:9090"}],
    ids=str,
)
def test_our_own_page(headers: dict[str, str]) -> None:
    """Where loopback is open, it and `curl` need no token, and the audit says so."""

    async def check() -> None:
        async with open_desk() as it:
            own = headers | ({"Origin": f"http://{headers['Host']}"} if "Host" in headers else {})
            status, _ = await it.ask("PUT", "pools/main/hold", {}, own)
            assert status == 200
            assert (await it.done("GET", "audit"))["entries"][0]["who"] == "anyone on loopback"

    run(check())


def test_who_may_do_what() -> None:
    """Each operation of the document: nobody without a token, and no reader where something changes."""

    async def check() -> None:
        async with desk() as it:
            read = {("POST", "/api/v1/pools/main/preview"), ("POST", "/api/v1/receipts/verify")}
            operate = {("GET", "/api/v1/settings")}
            for method, path in await operations(it):
                assert await status_of(it, method, path, {}) == 401, (method, path)
                refused = (method != "GET" and (method, path) not in read) or (method, path) in operate
                assert (await status_of(it, method, path, HELPDESK) == 403) is refused, (method, path)

    run(check())


@pytest.mark.parametrize(
    ("method", "path", "more", "status"),
    [
        ("GET", "/api/v1/nothing", {}, 404),
        ("GET", "/api/v1/pools/nope", {}, 404),
        ("TRACE", "/api/v1/pools", {}, 405),
        ("OPTIONS", "/api/v1/pools/main/hold", {}, 405),
        ("PATCH", "/api/v1/pools/main", {"data": b"x" * 70_000, "headers": {"Content-Type": "application/json"}}, 413),
        ("PATCH", "/api/v1/pools/main", {"data": b"{}", "headers": {"Content-Type": "text/plain"}}, 415),
        ("PATCH", "/api/v1/pools/main", {"data": b"{", "headers": {"Content-Type": "application/json"}}, 400),
        ("PATCH", "/api/v1/pools/main", {"json": []}, 422),
        ("PATCH", "/api/v1/pools/main", {"data": b'{"rate": "1/s", "rate": "2/s"}', "headers": AS_JSON}, 422),
        ("PATCH", "/api/v1/pools/main", {"data": b"junk", "headers": AS_JSON | {"Content-Encoding": "gzip"}}, 415),
        ("PATCH", "/api/v1/pools/main", {"data": b"junk", "headers": AS_JSON | {"Content-Encoding": "br"}}, 415),
        ("PATCH", "/api/v1/pools/main", {"json": {"rate": "1/s", "why": "\u202egnihton"}}, 422),
        ("POST", "/receipts", {"data": b"--x", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 415),
        ("POST", "/receipts", {"data": b"receipt=%ff", "headers": {"Content-Type": FORM + "; charset=x"}}, 400),
        ("GET", "/api/v1/audit?limit=x", {}, 422),
    ],
)
def test_every_refusal_is_a_problem(method: str, path: str, more: dict[str, Any], status: int) -> None:
    """RFC 9457, whoever refuses."""

    async def check() -> None:
        async with listener(House(), Store()) as client:
            headers = DEAN | more.pop("headers", {})
            got, problem, fields = await ask(client, method, path, headers=headers, **more)
            assert (got, problem["status"], fields["Content-Type"].split(";")[0]) == (
                status, status, "application/problem+json",
            )  # fmt: skip
            assert ("Allow" in fields) == (status == 405)
            assert "junk" not in json.dumps(problem)

    run(check())


def test_what_is_no_http_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """It is refused, and that is all."""

    async def check() -> None:
        async with listener(House(), Store()) as client:
            address = client._base_url
            assert address is not None
            reader, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX: \x00\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.0 400 ")
            writer.close()
            await writer.wait_closed()

    run(check())
    assert not caplog.records


def test_a_defect_is_a_problem_too() -> None:
    """Whatever breaks in an endpoint is told as one, without what broke."""

    class Broken(Store):
        async def audit(self, _pool: str, _read: int, _count: int) -> Any:
            raise RuntimeError("secret inner thing")

    async def check() -> None:
        async with listener(House(), Broken()) as client:
            status, problem, _ = await ask(client, "GET", "/api/v1/audit", headers=DEAN)
            assert (status, problem["status"]) == (500, 500)
            assert "secret" not in json.dumps(problem)

    run(check())


def test_no_secret_in_any_answer() -> None:
    """Neither tokens, nor their hashes, nor keys, nor who a visitor is; nor, but for who reads the settings, where
    backends are.
    """

    async def check() -> None:
        async with desk() as it:
            told = await it.crowd(9)
            await it.done("PATCH", "pools/main", {"max_sessions": 2, "why": "x"})
            secret = [SECRETS.local_token, "operate-me", "read-me", *(one.visitor for one in told)]
            secret += [token.sha256 for token in SETTINGS.admin.tokens]
            for method, path in await operations(it):
                async with it.client.request(method, path, headers=DEAN, json={}) as answer:
                    text = await answer.text() + str(answer.headers)
                hidden = secret if path == "/api/v1/settings" else [*secret, "127.0.0.1"]
                assert not [each for each in hidden if each in text], (method, path)

    run(check())
