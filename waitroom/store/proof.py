"""What a worker shows a store so that one that has forgotten something is found out (DESIGN.md law 9).

Law: each worker remembers the latest time that each pool has told it, and shows it on every new connection before
anybody is served there, and once a second where nothing else was said. A store that remembers no call so late has lost
what it had acknowledged: it was wiped, or a replica that was behind took its primary's place. Times are compared with
what the same store said before, never with a clock of ours, so neither a clock that is wrong nor one that jumps proves
anything.
"""

from dataclasses import dataclass

import structlog

from waitroom.errors import StoreError
from waitroom.store import codec
from waitroom.store.keys import Argument, call
from waitroom.store.wire import Reply
from waitroom.store.work import Scope

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Proof:
    """Shows what was heard, and hears what others were told meanwhile.

    `cut_ms`: for how long visitors could not be heard; `stamped`: newcomers were stamped here meanwhile.
    """

    scope: Scope
    cut_ms: int = 0
    stamped: bool = False

    def command(self) -> list[Argument]:
        """As of now."""
        own = (self.scope.heard_ms, self.cut_ms, int(self.stamped))
        return call(self.scope.pool, "wr_prove", (), (), own)

    def reply(self, reply: Reply) -> None:
        """The latest call that the store remembers, and whether it lets anybody in; operators are told if not."""
        _, now_ms, latest_ms, frozen_ms = reply
        self.scope.hear(latest_ms)
        if frozen_ms and now_ms >= self.scope.frozen_until_ms:
            log.warning("admissions_frozen", pool=self.scope.pool, for_s=round(frozen_ms / 1000, 1))
        if frozen_ms:
            self.scope.frozen_until_ms = now_ms + frozen_ms

    def fail(self, error: StoreError) -> None:
        """The next second shows it again."""


@dataclass(slots=True)
class Restated:
    """The rules once more: a store that was away may have forgotten them, or the latest of them."""

    scope: Scope

    def command(self) -> list[Argument]:
        """What staff and settings want."""
        return rules_command(self.scope)

    def reply(self, reply: Reply) -> None:
        """In force, or newer ones are."""

    def fail(self, error: StoreError) -> None:
        """The next connection says it again."""


def rules_command(scope: Scope) -> list[Argument]:
    """The command that writes a pool's rules."""
    assert scope.rules is not None
    return call(scope.pool, "wr_rules", scope.keys.backends, (), codec.rules_arguments(scope.rules))
