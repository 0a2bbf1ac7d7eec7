"""A request as a handler sees it, made from a table row."""

from dataclasses import dataclass, field

from waitroom.proxy.decisions import Header


@dataclass(slots=True)
class Asked:
    """A request head without a connection behind it."""

    method: bytes = b"GET"
    target: bytes = b"/"
    headers: list[Header] = field(default_factory=list)
    client: str = "203.0.113.9"
    scheme: bytes = b"http"
    has_body: bool = False
    upgrade: bytes | None = None
    trusted: bool = False
    id: str = "r1"
    over: bool = False

    def first(self, name: bytes) -> bytes | None:
        """First value of a header."""
        return next(iter(self.every(name)), None)

    def every(self, name: bytes) -> list[bytes]:
        """All values of a header."""
        return [value for key, value in self.headers if key.lower() == name]
