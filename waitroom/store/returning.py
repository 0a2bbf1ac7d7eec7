"""How those who come back to a backend ask the store, and how the workers tell it what they saw of the backends.

Law: as in work.py, whatever happens each asker is answered once; nothing is decided here.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from waitroom.admission.recovery import Outcome, Return, Returned
from waitroom.errors import StoreError
from waitroom.store.keys import Argument, call
from waitroom.store.wire import Reply
from waitroom.store.work import Scope, tell

ReturnDone = Callable[[Returned | StoreError], None]

_ATTEMPT, _PAGE = 1, 2
_OUTCOMES = (Outcome.WAITS, Outcome.BACK, Outcome.LAPSED, Outcome.RELEASED)


@dataclass(slots=True)
class Returns:
    """A batch of holders of passes whose backends are down or come back."""

    scope: Scope
    batch: list[Return]
    dones: list[ReturnDone]
    backends: tuple[str, ...] = ()

    def command(self) -> list[Argument]:
        """All backends are named: where one is down, another may take its students."""
        backends = self.scope.backends()
        self.backends = tuple(dict.fromkeys((*backends, *(one.backend for one in self.batch))))
        return call(self.scope.pool, "wr_return", self.backends, (), return_arguments(self.batch, self.backends))

    def reply(self, reply: Reply) -> None:
        """Tell each."""
        self.scope.hear(reply[1])
        for done, answer in zip(self.dones, returned(self.backends, reply), strict=True):
            tell(done, answer)

    def fail(self, error: StoreError) -> None:
        """Tell each that the store is away."""
        for done in self.dones:
            tell(done, error)


def return_arguments(batch: Iterable[Return], backends: Sequence[str]) -> list[Argument]:
    """The arguments of a batch."""
    positions = {name: at for at, name in enumerate(backends, 1)}
    own: list[Argument] = []
    for one in batch:
        mix = one.attempt * _ATTEMPT + one.page * _PAGE
        own += (one.visitor, positions[one.backend], one.admitted_ms, one.keep_until_ms, mix)
    return own


def returned(backends: Sequence[str], reply: list[int]) -> list[Returned]:
    """The answers to a batch."""
    return [
        Returned(_OUTCOMES[state], reply[1], backends[at - 1], ahead, waiting, next_poll_ms)
        for state, ahead, waiting, next_poll_ms, at in zip(*[iter(reply[2:])] * 5, strict=True)
    ]


def reports(reply: list[bytes]) -> dict[str, str]:
    """The reply of `wr_report`: what each worker has said."""
    return {reply[at].decode(): reply[at + 1].decode() for at in range(2, len(reply), 2)}
