"""Hostile clients and backends by the hundred thousand, in memory: `python -m tests.proxy.fuzz SEED` repeats a round.

Laws, held after every round whatever was sent: nothing is raised and nothing reported as broken; a backend is sent only
canonical requests, no more than were decided; a client gets only whole responses, and at most one more, the last, that
says by its framing or by a reset that it is not whole, where its exchange had come to nothing; with an honest backend
no client gets what was meant for another, nor less; nothing is left in flight. A round is a function of its seed.
"""

import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from structlog.testing import capture_logs

from tests.proxy.chunks import CHUNKS, UNFINISHED
from tests.proxy.forms import FORMS, LAST_FORMS, NEXT
from tests.proxy.memory import GONE, Pipe, World
from tests.proxy.reference import all_replies, cut_reply
from tests.proxy.replies import BAD, CUT, GOOD, ONE, TE
from tests.proxy.vectors import HEADS, H, post
from tests.proxy.wire import TARGET
from tests.support.aio import run
from waitroom.proxy.client import ClientConnection
from waitroom.proxy.decisions import Collect, Decision, Later, Relay, Request, Respond
from waitroom.proxy.incoming import IDEMPOTENT
from waitroom.proxy.rules import ProxyRules

STEPS = 600
CLIENTS = 6

REQUESTS = [
    *HEADS.values(),
    *(post(H + TE) + body for body in (CHUNKS | UNFINISHED).values()),
    *(row[0] for row in (FORMS | LAST_FORMS).values()),
]
PROPER = [row[0] for row in FORMS.values()]
OLD = NEXT.replace(b"HTTP/1.1", b"HTTP/1.0")
HALVES = [ONE + TE + b"\r\n" + body for body, _ in CUT.values()]
RESPONSES = [*BAD.values(), *HALVES, *(row[1] for row in GOOD.values())]

WORDS = [
    *(b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b",", b";", b"0", b"3", b"f", b"\xff", b"/", b"*", b"\r\n\r\n"),
    *(b"HTTP/1.1", b"HTTP/1.0", b"GET ", b"HEAD ", b"POST ", b"Host: h\r\n", b"Content-Length: 5\r\n", b"0\r\n\r\n"),
    *(b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"Upgrade: x\r\n"),
    *(b"Connection: keep-alive\r\n", b"Connection: Upgrade\r\n", b"Expect: 100-continue\r\n", b"5\r\nhello\r\n"),
    *(b"HTTP/1.1 101 S\r\n\r\n", b"HTTP/1.1 103 E\r\n\r\n"),
]

BODILESS = frozenset({b"HEAD", b"OPTIONS", b"TRACE"})
"""Methods whose answer may have no body: OPTIONS and TRACE may be answered here."""

_FRAMED = re.compile(rb"(?i)\A\S+ (?:[23]04|101) |\r\n(?:content-length|transfer-encoding):")
"""A head that says where its answer ends; all of ours do."""

PARENT = b"X-Whose: "
BODY_END = b"|end"


def mutated(chance: random.Random, corpus: Sequence[bytes]) -> bytes:
    """A row of the corpus, most often changed."""
    data = chance.choice(corpus)
    for _ in range(chance.choice((0, 1, 1, 2, 5))):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(7):
            case 0:
                data = data[:at] + chance.choice(WORDS) + data[at:]
            case 1:
                data = data[:at] + data[at + chance.randrange(1, 5) :]
            case 2:
                data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
            case 3:
                data = data[:at] + data[max(0, at - chance.randrange(40)) :]
            case 4:
                data = data[:at] + chance.choice(corpus)[chance.randrange(40) :]
            case 5:
                data = data[:at]
            case 6:
                word = chance.choice(WORDS)
                data = data.replace(word, chance.choice(WORDS), 1)
    return data


def cut(chance: random.Random, data: bytes) -> list[bytes]:
    """Pieces of the data, few or many."""
    places = sorted(chance.randrange(len(data) + 1) for _ in range(chance.choice((0, 0, 1, 2, 8))))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True) if a < b]


class Round:
    """One seed's worth."""

    def __init__(self, seed: int) -> None:
        self.chance = chance = random.Random(seed)
        self.honest = chance.random() < 0.5
        """Whether the backend is."""
        rules = ProxyRules(
            header_bytes=chance.choice((400, 32_768)),
            body_bytes=chance.choice((None, 20)),
            backend_idle=3,
            bypass=chance.choice((None, 1)),
        )
        self.world = World(
            rules=rules,
            choose=self._choose,
            answer=self._answer,
            impatient=self._impatient,
        )
        self.clients: list[tuple[Pipe, list[bytes]]] = []
        self.all_clients: list[Pipe] = []
        self.resumes: list[Callable[[], None]] = []
        """Decisions that are not made yet."""
        self.relayed: Counter[bytes] = Counter()
        self.finished = 0
        self.decided: defaultdict[int, list[Request]] = defaultdict(list)
        self.failed: set[int] = set()
        """Requests whose relay came to nothing."""

    def play(self) -> int:
        """Do it all; the number of exchanges."""
        for _ in range(STEPS):
            self._step()
        return self._close()

    # what is done

    def _step(self) -> None:
        chance, world = self.chance, self.world
        what = chance.random()
        if what < 0.5:
            self._send()
        elif what < 0.85:
            for _ in range(min(len(world.due), chance.choice((1, 2, 20)))):
                world.due.popleft()()
        elif what < 0.90 and self.resumes:
            self.resumes.pop(chance.randrange(len(self.resumes)))()
        elif what < 0.93:
            pipe = self._any_pipe()
            if pipe is not None and not pipe.gone:
                pipe.fill(full=not pipe.full)
        elif what < 0.96:
            self._leave()
        elif what < 0.98:
            ticker = world.listener.ticker
            ticker.tick(ticker.now_s + chance.choice((0.5, 3, 12, 80, 400)))
        elif what < 0.99:
            world.unreachable = not world.unreachable
        elif world.peers:
            self._drop(chance.choice(world.peers).pipe)

    def _send(self) -> None:
        chance = self.chance
        if len(self.clients) < CLIENTS and chance.random() < 0.5:
            self._new_client()
        if not self.clients:
            return
        pipe, outbox = chance.choice(self.clients)
        if pipe.closing or not outbox:
            self.clients.remove((pipe, outbox))
            if not pipe.closing:
                self._drop(pipe)
            return
        pipe.feed(outbox.pop(0))

    def _new_client(self) -> None:
        chance = self.chance
        pipe = self.world.client()
        whose = PARENT + b"%d\r\n" % len(self.all_clients)
        sent = [self._request() for _ in range(chance.randrange(1, 12))]
        self.clients.append((pipe, cut(chance, b"".join(sent).replace(H, H + whose))))
        self.all_clients.append(pipe)

    def _request(self) -> bytes:
        """Proper more often than not, so that connections live long enough to be confused."""
        chance = self.chance
        what = chance.random()
        if what < 0.3:
            return chance.choice((*(NEXT, NEXT.replace(b"GET", b"HEAD"), NEXT.replace(b"GET", b"POST")) * 3, OLD))
        return chance.choice(PROPER) if what < 0.75 else mutated(chance, REQUESTS)

    def _any_pipe(self) -> Pipe | None:
        pipes = [*(pipe for pipe, _ in self.clients), *(peer.pipe for peer in self.world.peers)]
        return self.chance.choice(pipes) if pipes else None

    def _leave(self) -> None:
        if self.clients:
            pipe, _ = self.clients.pop(self.chance.randrange(len(self.clients)))
            self._drop(pipe)

    def _drop(self, pipe: Pipe) -> None:
        """The other side ends, or resets."""
        if pipe.gone:
            return
        if self.chance.random() < 0.5 and not pipe.closing:
            pipe.end()
        else:
            pipe.reset()

    # what is decided and answered

    def _choose(self, request: Request) -> Decision:
        side = request._side  # type: ignore[attr-defined] # whose it is
        self.decided[id(side._transport)].append(request)
        assert request.method
        hosts = len(request.every(b"host"))
        assert hosts == 1 or (hosts == 0 and not request.http11), request.headers  # type: ignore[attr-defined] # as above
        return self._decision(request, again=False)

    def _decision(self, request: Request, *, again: bool) -> Decision:
        match self.chance.randrange(10):
            case 0:
                return Respond(429, ((b"X", b"1"),), b"wait", close=self.chance.random() < 0.3)
            case 1 if not again:
                return Later(lambda resume: self.resumes.append(lambda: resume(self._decision(request, again=True))))
            case 2 if not again:
                return Later(lambda resume: self.world.due.append(lambda: resume(self._decision(request, again=True))))
            case 3 if not again:
                return Collect(4, lambda _body: self._decision(request, again=True))
            case _:
                self.relayed[request.method] += 1
                cookie, stranger = self.chance.choice((None, b"wr_main=x")), self.chance.random() < 0.3
                finished = partial(self._finished, request)
                return Relay(TARGET, cookie=cookie, finished=finished, stranger=stranger)

    def _finished(self, request: Request, status: int) -> None:
        assert status == 0 or 100 <= status < 1000
        self.finished += 1
        if status == 0:
            self.failed.add(id(request))

    def _answer(self, request: bytes) -> Sequence[bytes]:
        chance = self.chance
        if not self.honest:
            return cut(chance, mutated(chance, RESPONSES))
        whose = [line for line in request.partition(b"\r\n\r\n")[0].split(b"\r\n") if line.startswith(PARENT)]
        body = b"|".join(whose) + BODY_END
        extra = b"HTTP/1.1 103 E\r\n\r\n" if chance.random() < 0.1 else b""
        framed = b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        if chance.random() < 0.4:
            framed = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        if request.startswith(b"HEAD "):
            framed = framed.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        data = extra + b"HTTP/1.1 200 OK\r\n" + framed
        if chance.random() < 0.05:
            return [*cut(chance, data[: chance.choice((0, 0, chance.randrange(len(data))))]), GONE]
        return cut(chance, data)

    def _impatient(self, head: bytes) -> Sequence[bytes]:
        return self._answer(head) if self.chance.random() < 0.2 else ()

    # what must hold

    def _close(self) -> int:
        world = self.world
        for pipe in (*self.all_clients, *(peer.pipe for peer in world.peers)):
            pipe.fill(full=False)
        world.settle()
        while self.resumes:
            self.resumes.pop()()
            world.settle()
        self._check_clients()
        for pipe in self.all_clients:
            if not pipe.gone:
                pipe.reset()
        world.at_rest()
        assert world.listener.tunnels == 0
        assert self.finished == self.relayed.total(), "each Relay is finished once"
        asked = Counter(head.split(b" ")[0] for peer in world.peers for head in peer.heads)
        for method in asked.keys() - IDEMPOTENT:
            assert asked[method] <= self.relayed[method], f"{method!r} was sent twice"
        idle = world.pool.idle
        assert sum(not peer.pipe.gone for peer in world.peers) == idle, "a backend's connection is idle or gone"
        world.listener.pools.close()
        world.settle()
        return len(world.watch.done) + len(world.watch.own)

    def _check_clients(self) -> None:
        for number, pipe in enumerate(self.all_clients):
            asked = self.decided[id(pipe)]
            if not isinstance(pipe.protocol, ClientConnection):
                continue  # a tunnel
            ended = pipe.ended or (pipe.closing and not (pipe.aborted or pipe.reset_by_peer))
            replies, rest = all_replies(bytes(pipe.sent), [each.method for each in asked], ended=ended)
            assert len(replies) <= len(asked) + 1, "one refusal at most follows the answers"
            if rest and ended:
                self._check_cut(asked, len(replies), rest)
            side = pipe.protocol
            waits = side._exchange is not None and side._body is None and side._exchange._wait is None
            assert pipe.closing or not waits or not self.honest, (number, asked)  # others' bodies are waited for
            for request, reply in zip(asked, replies, strict=False):
                assert _FRAMED.search(reply.head) or id(request) not in self.failed, ("not whole", number, reply)
                if self.honest and reply.status == 200 and request.method not in BODILESS:
                    assert reply.body.endswith(BODY_END), (number, reply)
                    assert set(reply.body.split(b"|")[:-1]) <= {b"", PARENT + b"%d" % number}, (number, reply)

    def _check_cut(self, asked: list[Request], answered: int, rest: bytes) -> None:
        """An answer that is incomplete, and behind which the connection has ended as if it were not."""
        assert len(asked) == answered + 1, ("nothing follows it", asked, rest)
        assert id(asked[-1]) in self.failed, ("it was told as whole", asked[-1], rest)
        assert asked[-1].http11, "to HTTP/1.0 it is a reset"  # type: ignore[attr-defined] # as above
        assert cut_reply(rest, asked[-1].method, ended=True).status


def play(seeds: Iterable[int]) -> int:
    """Rounds; a failure says how to repeat its own. The number of exchanges."""

    async def main() -> int:
        return sum(map(_round, seeds))

    return run(main())


def _round(seed: int) -> int:
    with capture_logs() as logs:
        try:
            done = Round(seed).play()
            assert logs == [], logs
        except BaseException as error:
            error.add_note(f"repeat it: python -m tests.proxy.fuzz {seed}")
            raise
    return done


if __name__ == "__main__":
    sys.stdout.write(f"{play([int(sys.argv[1])])} exchanges\n")
