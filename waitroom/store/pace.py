"""What waits to be asked of paces: a queue for each, of which a round takes a batch.

Law: as with presences, whoever asks is answered exactly once, and at once with an error while the store is away. What
is only told (that something has ended) is not repeated: the library does without after half a minute.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from waitroom.admission.pacing import PaceRules, Step, Turn, Verdict
from waitroom.errors import StoreError
from waitroom.store.keys import Argument, PoolKeys, pace_call
from waitroom.store.wire import Reply
from waitroom.store.work import Scope, tell

PaceDone = Callable[[Turn | StoreError], None]

BATCH_PACE = 128
"""Requests in one call: some 3 ms of the store's time."""

QUEUE_PACE = 20_000
"""Requests that wait for a call, of all paces together."""


def pace_arguments(batch: Iterable[Step]) -> list[Argument]:
    """The arguments of requests."""
    return [word for step in batch for word in step]


def turns(reply: list[int]) -> list[Turn]:
    """The reply of `wr_pace`."""
    parts = iter(reply[2:])
    return [Turn(Verdict(verdict), *rest) for verdict, *rest in zip(parts, parts, parts, parts, strict=True)]


@dataclass(slots=True)
class Paced:
    """A batch of requests of one pace."""

    scope: Scope
    rules: PaceRules
    batch: Sequence[Step]
    dones: Sequence[PaceDone]

    def command(self) -> list[Argument]:
        """The scope's name is the pace's."""
        return pace_call(self.scope.pool, self.rules.rate_milli, self.rules.burst, pace_arguments(self.batch))

    def reply(self, reply: Reply) -> None:
        """Tell each its turn."""
        for done, turn in zip(self.dones, turns(reply), strict=True):
            tell(done, turn)

    def fail(self, error: StoreError) -> None:
        """Tell each that the store is away."""
        for done in self.dones:
            tell(done, error)


@dataclass(slots=True)
class PaceQueues:
    """What is to be asked next, by pace; `rules` are those of the settings in force."""

    rules: Mapping[str, PaceRules] = field(default_factory=dict)
    _asked: dict[str, deque[tuple[Step, PaceDone]]] = field(default_factory=dict)
    _waiting: int = 0

    @property
    def full(self) -> bool:
        """Whether no more can wait."""
        return self._waiting >= QUEUE_PACE

    def waits(self, served: str) -> bool:
        """Whether more is to be asked of this pace; "": of any."""
        return served in self._asked if served else self._waiting > 0

    def put(self, name: str, step: Step, done: PaceDone) -> None:
        """Ask with the next round."""
        self._asked.setdefault(name, deque()).append((step, done))
        self._waiting += 1

    def take(self, served: str) -> Iterator[Paced]:
        """Of each pace at most one call; `served` is the only one, unless it is ""."""
        for name in self._named(served):
            queue = self._asked[name]
            asked = [queue.popleft() for _ in range(min(BATCH_PACE, len(queue)))]
            self._waiting -= len(asked)
            if not queue:
                del self._asked[name]
            steps, dones = [step for step, _ in asked], [done for _, done in asked]
            yield Paced(Scope(name, PoolKeys(())), self.rules[name], steps, dones)

    def fail(self, error: StoreError, served: str) -> None:
        """Tell all who wait for this pace; "": for any."""
        failed = [self._asked.pop(name) for name in self._named(served)]
        self._waiting -= sum(map(len, failed))
        for queue in failed:
            for _, done in queue:
                tell(done, error)

    def _named(self, served: str) -> tuple[str, ...]:
        return tuple(name for name in self._asked if served in ("", name))

    def adopt(self, rules: Mapping[str, PaceRules]) -> list[PaceDone]:
        """New settings. Gives those who wait for a pace that is gone."""
        self.rules = rules
        gone = [self._asked.pop(name) for name in self._asked.keys() - rules.keys()]
        self._waiting -= sum(map(len, gone))
        return [done for queue in gone for _, done in queue]
