"""What staff say: who may say it, what may be said, and what is answered to everything else."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from tests.admin.test_admin import SECRETS, SETTINGS, House, Store, listener
from tests.support.aio import run
from waitroom.admission.line import Announced

PATH = "/api/v1/pools/main/announcement"
DEAN = {"Authorization": "Bearer operate-me"}
HELPDESK = {"Authorization": "Bearer read-me"}


async def ask(
    client: aiohttp.ClientSession, method: str, path: str = PATH, headers: dict[str, str] | None = None, **more: Any
) -> tuple[int, Any, Any]:
    """Status, JSON and headers."""
    async with client.request(method, path, headers=headers, **more) as answer:
        text = await answer.text()
        return answer.status, json.loads(text) if text else None, answer.headers


def test_said_shown_and_taken_back() -> None:
    """What is put is there for all to read, replaces what was there, and goes again; for a pool, or for one exam."""

    async def check() -> None:
        store = Store()
        async with listener(House(), store) as client:
            assert (await ask(client, "PUT", headers=DEAN, json={"text": "One\nmoment"}))[0] == 200
            said = {"fr": "Un instant", "en": "A moment"}
            status, answer, _ = await ask(
                client, "PUT", headers=DEAN, json={"text": said, "exam": "MATH0001", "for_s": 1_200}
            )
            assert (status, answer["text"], answer["for_s"]) == (200, said, 1_200)
            assert store.said_for_ms == [0, 1_200_000]
            assert store.said["main", ""] == Announced((("", "One\nmoment"),), "dean")
            status, answer, _ = await ask(client, "GET", headers=HELPDESK)
            assert status == 200
            assert {each["exam"]: each["text"] for each in answer["announcements"]} == {
                "": {"": "One\nmoment"}, "MATH0001": said,
            }  # fmt: skip
            assert (await ask(client, "DELETE", f"{PATH}?exam=MATH0001", headers=DEAN))[:2] == (204, None)
            assert set(store.said) == {("main", "")}
            local = {"Authorization": f"bearer {SECRETS.local_token}"}
            assert (await ask(client, "DELETE", headers=local))[0] == 204
            assert not store.said

    run(check())


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {}, 401),
        ("PUT", {}, 401),
        ("PUT", {"Authorization": "Bearer wrong"}, 401),
        ("PUT", {"Authorization": "Bearer "}, 401),
        ("PUT", {"Authorization": "Basic b3BlcmF0ZS1tZQ=="}, 401),
        ("PUT", {"Authorization": "operate-me"}, 401),
        ("PUT", HELPDESK, 403),
        ("DELETE", HELPDESK, 403),
    ],
)
def test_who_may_not(method: str, headers: dict[str, str], status: int) -> None:
    """Nobody without a token, no token that is none, and no reader writes; a 401 says how to do better."""

    async def check() -> None:
        store = Store()
        async with listener(House(), store) as client:
            got, problem, fields = await ask(client, method, headers=headers, json={"text": "x"})
            assert (got, problem["status"], fields.getone("Content-Type")) == (
                status, status, "application/problem+json; charset=utf-8",
            )  # fmt: skip
            assert (status == 401) == ("WWW-Authenticate" in fields)
            assert "operate-me" not in json.dumps(problem)
        assert not store.said

    run(check())


def test_a_token_of_any_bytes_is_only_refused() -> None:
    """No client of ours sends such bytes, so they are put on the wire by hand."""

    async def check() -> None:
        async with listener(House(), Store()) as client:
            address = client._base_url
            assert address is not None
            reader, writer = await asyncio.open_connection(address.host, address.port)
            head = f"GET {PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".encode()
            writer.write(head + b"Authorization: Bearer \xff\xfe\r\n\r\n")
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            assert answer.startswith(b"HTTP/1.1 401 ")

    run(check())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:9090"}, 200),
        ({"Host": "evil.example"}, 401),
        ({"Origin": "http://evil.example"}, 401),
        ({"Origin": "null"}, 401),
        ({"Sec-Fetch-Site": "cross-site"}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
    ],
)
def test_this_machine_where_that_is_switched_on(headers: dict[str, str], status: int) -> None:
    """A caller on this machine needs no token; a page of another site in a browser on it is no such caller."""

    async def check() -> None:
        admin = SETTINGS.admin.model_copy(update={"open_on_loopback": True})
        house = House(settings=SETTINGS.model_copy(update={"admin": admin}))
        async with listener(house, Store()) as client:
            assert (await ask(client, "PUT", headers=headers, json={"text": "x"}))[0] == status

    run(check())


BAD: list[tuple[Any, int, str]] = [
    (b"{", 400, "not JSON"),
    (b"\xff", 400, "not JSON"),
    (b"[" * 60_000, 400, "not JSON"),
    (b'{"text": "x", "for_s": ' + b"9" * 5_000 + b"}", 400, "not JSON"),
    (b'{"text": "\\ud800"}', 422, "text"),
    (b"[]", 422, "body"),
    (b"{}", 422, "text"),
    (b'{"text": ""}', 422, "text"),
    (b'{"text": "  \\n"}', 422, "plain text"),
    (b'{"text": "a\\u0007"}', 422, "plain text"),
    (b'{"text": "a\\u001b[31m"}', 422, "plain text"),
    (b'{"text": 5}', 422, "text"),
    (b'{"text": {}}', 422, "text"),
    (b'{"text": {"french": "x"}}', 422, "text"),
    (json.dumps({"text": "x" * 501}).encode(), 422, "500"),
    (json.dumps({"text": {f"a{chr(97 + n)}": "x" for n in range(11)}}).encode(), 422, "text"),
    (b'{"text": "x", "for_s": -1}', 422, "for_s"),
    (b'{"text": "x", "for_s": 1.5}', 422, "for_s"),
    (b'{"text": "x", "colour": "red"}', 422, "colour"),
    (b'{"text": "x", "exam": "BIO"}', 404, "MATH0001"),
    (json.dumps({"text": "x", "more": "y" * 70_000}).encode(), 413, ""),
]


@pytest.mark.parametrize(("body", "status", "word"), BAD)
def test_what_may_not_be_said(body: bytes, status: int, word: str) -> None:
    """Every refusal names what is wrong and changes nothing."""

    async def check() -> None:
        store = Store()
        async with listener(House(), store) as client:
            headers = DEAN | {"Content-Type": "application/json"}
            got, problem, _ = await ask(client, "PUT", headers=headers, data=body)
            assert got == status
            assert word in problem.get("detail", "")
        assert not store.said

    run(check())


def test_other_refusals() -> None:
    """Unknown pool, other content type, other method, a store that is away."""

    async def check() -> None:
        store = Store()
        async with listener(House(), store) as client:
            status, problem, _ = await ask(
                client, "PUT", PATH.replace("main", "nope"), headers=DEAN, json={"text": "x"}
            )
            assert (status, problem["detail"]) == (404, "There is no such pool. The pools are: main, spare.")
            assert (await ask(client, "PUT", headers=DEAN, data=b"text=x"))[0] == 415
            status, _, fields = await ask(client, "POST", headers=DEAN, json={"text": "x"})
            assert (status, fields["Allow"]) == (405, "DELETE,GET,HEAD,PUT")
            store.refuses = True
            for method in ("GET", "PUT", "DELETE"):
                status, problem, fields = await ask(client, method, headers=DEAN, json={"text": "x"})
                assert (status, fields["Retry-After"]) == (503, "2")

    run(check())
