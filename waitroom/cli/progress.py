"""A bar on the terminal for work that takes seconds: on stderr, and gone when it is done."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn


class Bar:
    """How much of `total` is done; used as a context."""

    def __init__(self, what: str, total: int) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._what = what
        self._task = self._progress.add_task(what, total=total)

    def done(self, title: str) -> None:
        """One more part, by its name."""
        self._progress.update(self._task, advance=1, description=f"{self._what} {title}")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()
