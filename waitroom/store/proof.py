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


def proof_command(scope: Scope, cut_ms: int = 0, *, stamped: bool = False) -> list[Argument]:
    """`cut_ms`: how long visitors could not be heard; `stamped`: newcomers were stamped here meanwhile."""
    return call(scope.pool, "wr_prove", (), (), (scope.heard_ms, cut_ms, int(stamped)))


def rules_command(scope: Scope) -> list[Argument]:
    """The command that writes a pool's rules: whoever took over may have forgotten them, or the latest of them."""
    assert scope.rules is not None
    return call(scope.pool, "wr_rules", scope.keys.backends, (), codec.rules_arguments(scope.rules))


@dataclass(slots=True)
class Proof:
    """Shows what was heard, and hears what others were told meanwhile."""

    scope: Scope

    def command(self) -> list[Argument]:
        """As of now."""
        return proof_command(self.scope)

    def reply(self, reply: Reply) -> None:
        """The latest call that the store remembers."""
        self.scope.hear(reply[2])

    def fail(self, error: StoreError) -> None:
        """The next second shows it again."""
