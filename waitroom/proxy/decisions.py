"""What the listener may do with a request: the values a handler answers with.

Law: a handler is synchronous. What takes time (a store call, a body) is itself a decision that names what follows, so
an admitted request costs no task and no future.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from waitroom.errors import BackendError

Header = tuple[bytes, bytes]


@dataclass(slots=True, eq=False)
class Respond:
    """An answer of our own; nobody changes it. Content-Length, Date and Connection are added when it is written.

    `headers` are those that many answers share (they are joined once and remembered); `cookies`, the values of
    Set-Cookie fields, are one visitor's.
    """

    status: int
    headers: tuple[Header, ...]
    body: bytes
    cookies: tuple[bytes, ...] = ()
    close: bool = False


@dataclass(frozen=True, slots=True)
class Relay:
    """Hand the request to a backend.

    `target` is an opaque name known to the connection pool ("pool/backend"). `cookie` is a Set-Cookie value added to
    the final response if its status is smaller than `cookie_below`. `finished` is called once with the response's
    status (0: no complete response reached the client). After a Collect the collected body is relayed. `stranger`: of
    somebody without a pass, of whom a backend has only so many at a time (strangers.py).
    """

    target: str
    cookie: bytes | None = None
    finished: Callable[[int], None] | None = None
    cookie_below: int = 600
    stranger: bool = False


@dataclass(frozen=True, slots=True)
class Collect:
    """Read the request body, at most `limit` bytes, then decide. `then` gets None where the body is larger; a
    Relay sends all of it all the same."""

    limit: int
    then: "Callable[[bytes | None], Decision]"


@dataclass(slots=True, eq=False)
class Later:
    """Decide when something has been answered: `start` is called at once with the function to resume with."""

    start: "Callable[[Callable[[Decision], None]], None]"
    queued: bool = False
    """It waits for a turn: a client that sends no more meanwhile has left."""


Decision = Respond | Relay | Collect | Later

Resume = Callable[[Decision], None]
"""Goes on with a request whose decision took time. (A name, since an annotation of a nested function is evaluated at
each call of the outer one.)"""


class Request(Protocol):
    """What a handler sees of a request: the head, exactly as it came, and who sent it."""

    method: bytes
    target: bytes
    client: str
    scheme: bytes

    @property
    def headers(self) -> tuple[Header, ...]:
        """All fields, as they came."""

    def first(self, name: bytes) -> bytes | None:
        """Value of the first header called `name` (given in lower case), or None."""

    def every(self, name: bytes) -> list[bytes]:
        """Values of all headers called `name` (given in lower case), in order."""

    @property
    def trusted(self) -> bool:
        """Whether it comes from a proxy that may speak for others."""

    @property
    def id(self) -> str:
        """A name for this request in logs; says nothing about who sent it."""

    @property
    def over(self) -> bool:
        """Whether nobody waits for an answer any more."""

    @property
    def has_body(self) -> bool:
        """Whether the framing announces a body."""

    @property
    def upgrade(self) -> bytes | None:
        """The protocol a `Connection: upgrade` request asks for, or None."""


class Handler(Protocol):
    """The brain behind the listener."""

    def decide(self, request: Request) -> Decision:
        """What to do with this request; never raises, never blocks."""

    def backend_failed(self, request: Request, relay: Relay, error: BackendError) -> Respond | Collect:
        """The answer when the backend failed before its response head. A body can be collected where it is `unsent`."""
