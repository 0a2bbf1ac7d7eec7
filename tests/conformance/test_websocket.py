"""Autobahn's WebSocket cases (as kosoku carries them) against an echo server: directly, and through the proxy.

Law: the proxy changes no verdict. The echo server is aiohttp's, with compression; what it does wrong by itself it may
do wrong behind the proxy too.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from aiohttp import WSMsgType, web

from tests.conformance.open_proxy import open_proxy, output_of
from tests.support.aio import run
from tests.support.site import listening
from waitroom.settings.addresses import BackendUrl

KOSOKU = Path(__file__).with_name("patient_kosoku.py")
AT_ONCE = 4
"""Cases a run has open at the same time; most of their time is waiting."""

COMPRESSED = [
    *(f"12.{content}.{size}" for content in range(1, 6) for size in (1, 7, 11)),
    *(f"13.{terms}.{size}" for terms in range(1, 8) for size in (1, 7, 11)),
    *("12.1.10", "13.1.10", "13.2.18"),
]
"""1,000 messages a case of 16, 16,384 and (in frames of 256) 8,192 bytes, for each kind of content (12) and all
terms of compression (13); three cases with 131,072. The others of the 216 have other sizes, and take minutes."""

GROUPS = {
    "protocol": (240, [f"{group}.*" for group in (1, 2, 3, 4, 5, 6, 7, 10)]),
    "large": (54, ["9.*"]),  # up to 16 MB in a message, frames of 64 bytes to 4 MB
    "compressed": (len(COMPRESSED), COMPRESSED),
}
"""At least so many cases, and which."""

ECHO_IS_WRONG = {"7.9.5"}
"""aiohttp takes the close code 1006, which is never sent, for one."""

TURNS = 4
"""kosoku itself waits for half a second or so, whoever runs it, for a handshake, for the answer to a close, for the end
of a connection. Where one of them came too late for it, the machine may have been: that case is judged anew."""

LATE = ("wasOpenHandshakeTimeout", "wasCloseHandshakeTimeout", "wasServerConnectionDropTimeout")


class Verdict(NamedTuple):
    """On a case: how the messages went, how it was closed, with which code; and whether something came late."""

    messages: str
    close: str
    code: int | None
    late: bool

    def same(self, other: "Verdict") -> bool:
        """But for what came late."""
        return self[:3] == other[:3]


Verdicts = dict[str, Verdict]


@pytest.mark.timeout(400)  # 10 to 30 s are usual
@pytest.mark.parametrize("group", GROUPS)
def test_the_proxy_changes_no_verdict(group: str, tmp_path: Path) -> None:
    """What a WebSocket server does right, it does right behind the proxy."""
    at_least, cases = GROUPS[group]

    async def main() -> None:
        async with echo_server() as port, open_proxy(BackendUrl("http", "127.0.0.1", port)) as proxy:
            direct, through = await both(port, proxy.port, cases, tmp_path)
            assert proxy.relayed >= len(through)
            for turn in range(TURNS):
                late = [case for case in direct if in_doubt(direct[case]) or in_doubt(through.get(case))]
                if not late:
                    break
                for verdicts, anew in zip(
                    (direct, through), await both(port, proxy.port, late, tmp_path / f"{turn}"), strict=True
                ):
                    verdicts.update(anew)
        assert direct.keys() == through.keys()
        changed = {case: (direct[case], through[case]) for case in direct if not direct[case].same(through[case])}
        assert not changed, f"case: (directly, through the proxy); reports are in {tmp_path}\n{changed}"
        assert len(direct) >= at_least
        assert {case for case, verdict in direct.items() if "FAILED" in verdict} <= ECHO_IS_WRONG

    run(main())


async def both(port: int, proxy: int, cases: list[str], folder: Path) -> tuple[Verdicts, Verdicts]:
    """The verdicts on the server directly and through the proxy, at the same time."""
    return await asyncio.gather(judge(port, cases, folder / "direct"), judge(proxy, cases, folder / "through"))


def in_doubt(verdict: Verdict | None) -> bool:
    """Whether it is not good, and something came late."""
    return verdict is not None and verdict.late and (verdict.messages, verdict.close) != ("OK", "OK")


async def judge(port: int, cases: list[str], folder: Path) -> Verdicts:
    """The verdicts on the server at a port."""
    included = [word for case in cases for word in ("-i", case)]
    _, said = await output_of(sys.executable, KOSOKU, f"ws://127.0.0.1:{port}", "-p", AT_ONCE, *included, "-o", folder)
    index = folder / "index.json"
    assert index.exists(), f"kosoku gave no verdict: {said}"
    (agent,) = json.loads(index.read_text(encoding="utf-8")).values()
    return {
        case: Verdict(it["behavior"], it["behaviorClose"], it["remoteCloseCode"], came_late(folder / it["reportfile"]))
        for case, it in agent.items()
    }


def came_late(report: Path) -> bool:
    """Whether kosoku did not wait for the end of a case."""
    told = json.loads(report.read_text(encoding="utf-8"))
    return any(told[each] for each in LATE)


@asynccontextmanager
async def echo_server() -> AsyncIterator[int]:
    """A WebSocket server that sends everything back; gives its port."""
    application = web.Application()
    application.router.add_get("/{any:.*}", echo)
    async with listening(application) as port:
        yield port


async def echo(request: web.Request) -> web.StreamResponse:
    """One WebSocket."""
    socket = web.WebSocketResponse(max_msg_size=0)
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket
