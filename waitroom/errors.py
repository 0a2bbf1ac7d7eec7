"""The one exception tree: each error knows whose fault it is, whether a retry makes sense, and a status hint.

Errors of libraries are renamed to these at the edge where the library is called.
"""

from typing import ClassVar


class WaitroomError(Exception):
    """Anything this product raises on purpose."""

    retry: ClassVar[bool] = False
    status: int = 500


class SettingsError(WaitroomError):
    """The operator's file or flags are wrong; the message names the place and what is allowed."""


class StoreError(WaitroomError):
    """The store could not do what was asked."""

    retry = True
    status = 503


class StoreAwayError(StoreError):
    """The store does not answer: refused, closed, timed out, still loading."""


class LibraryError(StoreError):
    """The store answers but the `waitroom` library in it is missing, newer than ours, or broken."""

    retry = False


class RequestError(WaitroomError):
    """The client's request is wrong; the message says how and may be shown to the client."""

    status = 400

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class BackendError(WaitroomError):
    """The exam server behind us did not do its part.

    `kind` tells failures apart in logs and metrics; it is one of `KINDS`.
    """

    KINDS: ClassVar[tuple[str, ...]] = (
        "unresolved", "refused", "unreachable", "tls", "connect_timeout", "send_timeout", "response_timeout",
        "body_timeout", "reset", "truncated", "protocol", "busy",
    )  # fmt: skip
    """Its name has no address; nobody listens; no way there; no TLS that verifies; too slow to connect, to take the
    request, to begin its answer, to go on with it; closed before the answer, within it; an answer that may not be; no
    place among `max_inflight` came free in time."""

    UNSENT: ClassVar[frozenset[str]] = frozenset(
        {"unresolved", "refused", "unreachable", "tls", "connect_timeout", "busy"}
    )
    """Of these, the ones in which nothing of a request has been acted upon: it may be asked for again."""

    retry = True
    status = 502

    def __init__(self, message: str, kind: str = "reset") -> None:
        super().__init__(message)
        self.kind = kind

    @property
    def unsent(self) -> bool:
        """Whether the backend cannot have acted upon the request."""
        return self.kind in self.UNSENT


class BackendTimeoutError(BackendError):
    """A phase of a backend exchange took longer than it may."""

    status = 504


class BusyError(BackendError):
    """The backend has as many requests as it may have, and none of them ended in time."""

    status = 503

    def __init__(self, message: str) -> None:
        super().__init__(message, kind="busy")
