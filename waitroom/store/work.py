"""The kinds of work a client has for the store: each knows its command, its reply, and what failing means.

Law: whatever happens, each asker is answered exactly once. Presences and checks fail with the store; touches, releases
and leaves must not be lost and go back to the queue they came from.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from waitroom.admission.line import Presence, Rules, Standing, Touch, Touched, Whereabouts
from waitroom.errors import StoreError
from waitroom.store import codec
from waitroom.store.keys import AS_REMEMBERED, Argument, PoolKeys, call
from waitroom.store.wire import Reply

log = structlog.get_logger(__name__)

PresentDone = Callable[[Standing | StoreError], None]
CheckDone = Callable[[Touched | StoreError], None]
WhereDone = Callable[[Whereabouts | StoreError], None]

NAMES_LEARNED = 1_000
"""Backends and exams of other settings than ours that the store may tell us of, per pool."""


@dataclass(slots=True)
class Scope:
    """A pool's names: those of our settings, and those that the store asked for (elsewhere others are in force).

    And what a store that has lost it must be shown: the rules, and the latest time that this pool has said (law 9).
    """

    pool: str
    keys: PoolKeys
    rules: Rules | None = None
    heard_ms: int = 0
    frozen_until_ms: int = 0
    """Until when nobody is admitted, as far as operators have been told."""
    more_backends: dict[str, None] = field(default_factory=dict)
    more_exams: dict[str, None] = field(default_factory=dict)

    def hear(self, now_ms: int) -> None:
        """The store said that it remembers a call of this time."""
        self.heard_ms = max(self.heard_ms, now_ms)

    def learn(self, backends: Iterable[str], exams: Iterable[str]) -> None:
        """The store asks for these names too."""
        for known, fresh in ((self.more_backends, backends), (self.more_exams, exams)):
            if len(known) >= NAMES_LEARNED:
                known.clear()
            known.update(dict.fromkeys(fresh))

    def backends(self) -> tuple[str, ...]:
        """Every backend known."""
        return tuple(dict.fromkeys((*self.keys.backends, *self.more_backends)))

    def exams(self) -> tuple[tuple[str, int], ...]:
        """Every exam known, opening as the store remembers."""
        return tuple((name, AS_REMEMBERED) for name in dict.fromkeys((*self.keys.exams, *self.more_exams)))


class Work(Protocol):
    """Something for the store to do."""

    scope: Scope

    def command(self) -> list[Argument]:
        """What to send. Asked again after the store wanted more names."""

    def reply(self, reply: Reply) -> None:
        """It is done."""

    def fail(self, error: StoreError) -> None:
        """It cannot be done, or not now."""


def tell(done: Callable[[Any], None], answer: object) -> None:
    """Call back an asker; what goes wrong there must not stop the store's task."""
    try:
        done(answer)
    except Exception:  # the asker's code: any error is possible, and the others still wait
        log.exception("store_callback_failed")


@dataclass(slots=True)
class Presents:
    """A batch of visitors showing up."""

    scope: Scope
    batch: Sequence[Presence]
    dones: Sequence[PresentDone]
    alone: Callable[[Presence], None]
    """Hears of each who is answered without the store."""
    backends: tuple[str, ...] = ()

    def command(self) -> list[Argument]:
        """The exams of the batch come first: tickets name them by position."""
        exams, own = codec.present_arguments(self.batch)
        pairs = [*exams.items(), *((name, AS_REMEMBERED) for name in self.scope.more_exams if name not in exams)]
        self.backends = self.scope.keys.backends  # the reply speaks of these, whatever is reloaded meanwhile
        return call(self.scope.pool, "wr_present", self.backends, pairs, own)

    def reply(self, reply: Reply) -> None:
        """Tell each where they stand."""
        found = codec.standings(self.batch, self.backends, reply)
        self.scope.hear(reply[1])
        self.scope.more_exams.clear()  # they have opened
        for done, standing in zip(self.dones, found, strict=True):
            try:  # as `tell`; a call less for every poll
                done(standing)
            except Exception:
                log.exception("store_callback_failed")

    def fail(self, error: StoreError) -> None:
        """Tell each that the store is away."""
        for presence, done in zip(self.batch, self.dones, strict=True):
            self.alone(presence)
            tell(done, error)


@dataclass(slots=True)
class Touches:
    """A batch of passes that were used, or asked about now (then `dones` has somebody for each)."""

    scope: Scope
    batch: list[Touch]
    done: Callable[[list[Touched]], None]
    failed: Callable[[StoreError], None]

    def command(self) -> list[Argument]:
        """Only the backends of the batch are named."""
        backends, own = codec.touch_arguments(self.batch)
        return call(self.scope.pool, "wr_touch", backends, (), own)

    def reply(self, reply: Reply) -> None:
        """Hand on what became of each."""
        self.scope.hear(reply[1])
        self.done(codec.touched(self.batch, reply))

    def fail(self, error: StoreError) -> None:
        """Hand on that it is not known."""
        self.failed(error)


@dataclass(slots=True)
class Endings:
    """Releases (`own` holds visitor, reason, ...) or leaves (`own` holds visitors)."""

    scope: Scope
    function: str
    own: Sequence[str]
    failed: Callable[[], None]

    def command(self) -> list[Argument]:
        """All names: nobody said where these visitors are."""
        exams = self.scope.exams() if self.function == "wr_leave" else ()
        return call(self.scope.pool, self.function, self.scope.backends(), exams, self.own)

    def reply(self, reply: Reply) -> None:
        """Done."""
        self.scope.hear(reply[1])

    def fail(self, error: StoreError) -> None:
        """Back to the queue."""
        if error.retry:
            self.failed()
        else:
            log.error("store_endings_lost", count=len(self.own), error=str(error))


@dataclass(slots=True)
class Inquiry:
    """Where a ticket stands."""

    scope: Scope
    visitor: str
    exam: str
    order: int
    done: WhereDone

    def command(self) -> list[Argument]:
        """Of the exams only the ticket's own matters."""
        exams = [(self.exam, AS_REMEMBERED)] if self.exam else []
        return call(self.scope.pool, "wr_where", (), exams, (self.visitor, self.order))

    def reply(self, reply: Reply) -> None:
        """Tell where."""
        tell(self.done, codec.whereabouts(reply))

    def fail(self, error: StoreError) -> None:
        """Tell that it is not known."""
        tell(self.done, error)


@dataclass(slots=True)
class Job:
    """One call whose reply somebody awaits."""

    scope: Scope
    make: Callable[[Scope], list[Argument]]
    future: asyncio.Future[Any]

    def command(self) -> list[Argument]:
        """What the caller wants."""
        return self.make(self.scope)

    def reply(self, reply: Reply) -> None:
        """Wake the caller, unless they gave up."""
        if not self.future.done():
            self.future.set_result(reply)

    def fail(self, error: StoreError) -> None:
        """Fail the caller, unless they gave up."""
        if not self.future.done():
            self.future.set_exception(error)
