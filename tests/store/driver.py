"""The real library in a real Valkey, driven with virtual time by a plain synchronous client."""

import subprocess
import tempfile
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import redis

from waitroom.admin.waits import every_wait
from waitroom.admission.line import BackendRules, Presence, Rules, Snapshot, Standing, Touch, Touched
from waitroom.admission.recovery import Course, Phase, Return, Returned
from waitroom.admission.waits import Wait
from waitroom.store import codec, library
from waitroom.store.embedded import server_binary
from waitroom.store.keys import AS_REMEMBERED, Argument, call
from waitroom.store.returning import reports, return_arguments, returned

T0_MS = 1_780_000_000_000
"""Where virtual time starts: a morning in 2026."""

_numbers = count()


class Server:
    """A Valkey of the tests' own, without a file."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="wr-")
        self.path = str(Path(self._folder.name) / "s.sock")
        arguments = {"--port": "0", "--unixsocket": self.path, "--save": "", "--appendonly": "no"}
        words = [word for pair in arguments.items() for word in pair]
        self._process = subprocess.Popen(
            [server_binary(), *words, "--logfile", "log"], cwd=self._folder.name, stdout=subprocess.DEVNULL
        )
        retry = redis.retry.Retry(redis.backoff.ConstantBackoff(0.02), 3_000)
        self.client = redis.Redis(unix_socket_path=self.path, retry=retry, retry_on_error=[redis.ConnectionError])
        self.client.ping()
        self.client.function_load(library.source(), replace=True)

    def stop(self) -> None:
        self.client.close()
        self._process.terminate()
        self._process.wait(60)
        self._folder.cleanup()


def rules(
    *backends: int,
    version: int = 1,
    rate_milli: int = 0,
    burst: int = 1_000,
    idle_ms: int = 60_000,
    max_ms: int = 3_600_000,
    grace_ms: int = 600_000,
    held: bool = False,
    percent: int = 50,
    move: bool = False,
) -> Rules:
    """Rules of backends b1, b2, ... with so many slots."""
    parts = tuple(BackendRules(f"b{number}", slots) for number, slots in enumerate(backends, 1))
    return Rules(version, rate_milli, burst, idle_ms, max_ms, grace_ms, parts, held, move, percent)


class Line:
    """One pool at a virtual instant. Every call goes to the store; nothing is remembered here but names."""

    def __init__(self, client: "redis.Redis[bytes]", backends: Sequence[str] = ("b1", "b2"), pool: str = "") -> None:
        self.client = client
        self.pool = pool or f"p{next(_numbers)}"
        self.backends = tuple(backends)
        self.exams: dict[str, int] = {}
        self.now_ms = T0_MS

    def call(self, function: str, own: Sequence[Argument], exams: dict[str, int], backends: Sequence[str]) -> Any:
        names, openings = list(backends), dict(exams)
        for _ in range(3):
            command = call(self.pool, function, names, openings.items(), own, now_ms=self.now_ms)
            reply = self.client.execute_command(*command)
            if reply[0] != codec.NAME_THESE:
                assert reply[0] == codec.OK, "the pool has no rules"
                return reply
            names += codec.names(reply[1])
            openings.update(dict.fromkeys(codec.names(reply[2]), AS_REMEMBERED))
        raise AssertionError("the library keeps asking for names")

    def present(self, *batch: Presence) -> list[Standing]:
        exams, own = codec.present_arguments(batch)
        return codec.standings(batch, self.backends, self.call("wr_present", own, exams, self.backends))

    def one(self, visitor: str, **more: Any) -> Standing:
        return self.present(Presence(visitor, **more))[0]

    def again(self, before: Standing, **more: Any) -> Standing:
        """The browser polls with the ticket that it was given."""
        return self.one(before.visitor, arrival_us=before.arrival_us, lane=before.lane, **{"confirmed": True, **more})

    def touch(self, *batch: Touch) -> list[Touched]:
        backends, own = codec.touch_arguments(batch)
        return codec.touched(batch, self.call("wr_touch", own, {}, backends))

    def use(self, admitted: Standing, keep_until_ms: int = 0) -> Touched:
        return self.touch(Touch(admitted.visitor, admitted.backend, admitted.admitted_ms, keep_until_ms))[0]

    def come_back(self, *batch: Return) -> list[Returned]:
        own = return_arguments(batch, self.backends)
        return returned(self.backends, self.call("wr_return", own, {}, self.backends))

    def live(self, **fields: str) -> None:
        """Names as in `phase__b1`."""
        words = [word for name, value in fields.items() for word in (name.replace("__", ":"), value)]
        self.call("wr_live", words, {}, self.backends)

    def course(self, backend: str, phase: Phase, rate_milli: int = 0) -> None:
        course = Course(phase, self.now_ms, rate_milli)
        self.call("wr_live", (f"phase:{backend}", course.text), {}, self.backends)

    def report(self, worker: str, text: str) -> dict[str, str]:
        return reports(self.call("wr_report", (worker, text), {}, self.backends))

    def release(self, visitor: str, reason: str = "released") -> int:
        return int(self.call("wr_release", (visitor, reason), {}, self.backends)[2])

    def leave(self, visitor: str) -> int:
        exams = dict.fromkeys(self.exams, AS_REMEMBERED)
        return int(self.call("wr_leave", (visitor,), exams, self.backends)[2])

    def write(self, wanted: Rules) -> int:
        return int(self.call("wr_rules", codec.rules_arguments(wanted), {}, self.backends)[2])

    def sweep(self) -> dict[str, int]:
        exams = dict.fromkeys(self.exams, AS_REMEMBERED)
        return codec.departures(self.call("wr_sweep", (), exams, self.backends))

    def snapshot(self) -> Snapshot:
        return codec.snapshot(self.call("wr_snapshot", (), {}, self.backends))

    async def waiting(self, pool: str, first: str, count: int) -> list[Wait]:
        assert pool == self.pool
        exams = dict.fromkeys(self.exams, AS_REMEMBERED)
        return codec.waiting(self.call("wr_waits", (0, first, count), exams, self.backends))

    async def ended(self, pool: str, read: int, count: int) -> list[Wait]:
        assert pool == self.pool
        exams = dict.fromkeys(self.exams, AS_REMEMBERED)
        return codec.ended(self.call("wr_waits", (1, read, count), exams, self.backends))

    def waits(self, exam: str | None = None) -> list[Wait]:
        """Every wait, by the product's own way of reading them; nothing in it has to wait for a loop."""

        async def read() -> list[Wait]:
            return [wait async for page in every_wait(self, self.pool, exam) for wait in page]

        try:
            read().send(None)
        except StopIteration as done:
            found: list[Wait] = done.value
            return found
        raise AssertionError("something waited")

    def key(self, part: str) -> str:
        return f"wr:{{{self.pool}}}:{part}"

    def advance(self, ms: int, step_ms: int = 5_000) -> None:
        """Let time pass with a conductor at work: without it, silence would count as an outage."""
        while ms > 0:
            step = min(ms, step_ms)
            self.now_ms += step
            ms -= step
            self.sweep()
