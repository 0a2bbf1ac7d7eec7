"""A browser and the way from it to the workers: a cookie jar, whole pages, and the questions of the waiting page.

Law: a browser knows only what an answer holds: its status, its fields, its cookies, its body. What the network loses is
lost to both ends: a request that never arrived and a reply that never came look the same from here.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from tests.simulation.faults import Faults
from tests.simulation.virtual import VirtualLoop
from tests.simulation.workers import Worker
from tests.support.requests import Asked
from waitroom.proxy.decisions import Header, Relay, Respond

PATIENCE_S = 15.0
"""What a page's script gives a question (static/page.js)."""

_PAGE: list[Header] = [
    (b"Host", b"exam.example"), (b"Accept", b"text/html"), (b"Sec-Fetch-Mode", b"navigate"),
    (b"Sec-Fetch-Dest", b"document"),
]  # fmt: skip
_SCRIPT: list[Header] = [(b"Host", b"exam.example"), (b"Accept", b"application/json"), (b"Sec-Fetch-Mode", b"cors")]
_FIRST = re.compile(rb'id="first">(.*?)</script>', re.DOTALL)
_STATUS_URL = re.compile(rb'data-status="([^"]+)"')


class Answer(NamedTuple):
    """What came back. `state`: X-Waitroom's word, "" for an answer of the exam server."""

    status: int
    state: str
    said: dict[str, Any]
    """The waiting room's JSON, from a status answer or from the page that carries it."""
    status_url: bytes = b""
    backend: str = ""

    @property
    def inside(self) -> bool:
        """Whether it came from the exam server."""
        return bool(self.backend)


@dataclass(slots=True)
class Network:
    """From browsers to workers and back."""

    loop: VirtualLoop
    chance: Random
    faults: Faults
    workers: dict[str, Worker] = field(default_factory=dict)
    _open: dict[Any, str] = field(default_factory=dict)
    """Requests under way, by worker."""

    def living(self) -> list[Worker]:
        """Workers that take requests."""
        return [worker for worker in self.workers.values() if worker.ready]

    def cut(self, worker: str) -> None:
        """A worker has died: its connections break."""
        for future in [future for future, name in self._open.items() if name == worker]:
            self.loop.call_later(0.001, self._settle, future, None)

    async def send(self, keeps_to: str, request: Asked, body: bytes | None) -> tuple[str, Respond | Relay, int] | None:
        """The answer and who gave it; None if nothing came back. `keeps_to`: the worker of an open connection."""
        living = self.living()
        future = self.loop.create_future()
        if not living:
            self.loop.call_later(0.05, self._settle, future, None)
            await future
            return None
        same = [worker for worker in living if worker.name == keeps_to]
        worker = same[0] if same and self.chance.random() < 0.8 else self.chance.choice(living)
        self._open[future] = worker.name
        if self.chance.random() >= self.faults.request_lost:
            self.loop.call_later(self._way_s(), self._arrive, worker, request, body, future)
        self.loop.call_later(PATIENCE_S, self._settle, future, None)
        answer = await future
        return None if answer is None else (worker.name, *answer)

    def _arrive(self, worker: Worker, request: Asked, body: bytes | None, future: Any) -> None:
        if not worker.ready:
            self._settle(future, None)
            return

        def answered(decision: Respond | Relay, status: int) -> None:
            if self.chance.random() < self.faults.reply_lost:
                self.loop.call_later(0.2, self._settle, future, None)
            else:
                self.loop.call_later(self._way_s(), self._settle, future, (decision, status))

        worker.ask(request, body, answered)

    def _settle(self, future: Any, answer: object) -> None:
        self._open.pop(future, None)
        if not future.done():
            future.set_result(answer)

    def _way_s(self) -> float:
        return 0.001 + self.chance.expovariate(50.0)


@dataclass(slots=True)
class Browser:
    """One cookie jar."""

    name: str
    network: Network
    keeps_cookies: bool = True
    jar: dict[bytes, bytes] = field(default_factory=dict)
    _worker: str = ""
    told: Callable[["Browser", Answer], None] = lambda _browser, _answer: None

    @property
    def visitor(self) -> str:
        """Who the waiting room takes it for, as the cookie says; "" without one."""
        return next(map(_visitor, self.jar.values()), "")

    async def load(self, target: bytes) -> Answer | None:
        """A whole page."""
        return await self._ask(Asked(b"GET", target, [*_PAGE, *self._cookies()]))

    async def script(self, target: bytes, method: bytes = b"GET") -> Answer | None:
        """What a script in a page asks for."""
        return await self._ask(Asked(method, target, [*_SCRIPT, *self._cookies()]))

    def crash(self) -> None:
        """The connection is gone; cookies are on disk."""
        self._worker = ""

    def _cookies(self) -> list[Header]:
        if not self.jar:
            return []
        return [(b"Cookie", b"; ".join(b"%s=%s" % pair for pair in self.jar.items()))]

    async def _ask(self, request: Asked) -> Answer | None:
        got = await self.network.send(self._worker, request, None)
        if got is None:
            return None
        self._worker, decision, status = got
        if isinstance(decision, Relay):
            cookies = (decision.cookie,) if decision.cookie and status < decision.cookie_below else ()
            answer = Answer(status, "", {}, backend=decision.target.partition("/")[2])
        else:
            cookies, answer = decision.cookies, _answer_of(decision)
        for cookie in cookies if self.keeps_cookies else ():
            self._keep(cookie)
        self.told(self, answer)
        return answer

    def _keep(self, cookie: bytes) -> None:
        pair, _, attributes = cookie.partition(b";")
        name, _, value = pair.partition(b"=")
        if b"Max-Age=0;" in attributes:
            self.jar.pop(name, None)
        else:
            self.jar[name] = value


def visitor_of(request: Asked) -> str:
    """Who asks, as the cookie says."""
    return next((_visitor(cookie.partition(b"=")[2]) for cookie in request.every(b"cookie")), "")


def _visitor(cookie: bytes) -> str:
    return cookie.split(b".")[2].split(b"~")[0].decode()


def _answer_of(decision: Respond) -> Answer:
    fields = dict(decision.headers)
    state = fields.get(b"X-Waitroom", b"").decode()
    if fields.get(b"Content-Type", b"").startswith(b"application/json"):
        said = json.loads(decision.body)
        return Answer(decision.status, state or str(said.get("state", "")), said)
    first, url = _FIRST.search(decision.body), _STATUS_URL.search(decision.body)
    said = json.loads(first[1]) if first else {}
    return Answer(decision.status, state, said, url[1].replace(b"&amp;", b"&") if url else b"")
