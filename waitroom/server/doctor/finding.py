"""What an examination finds.

Law: a finding is one line that says what it means and, unless it is well, one line that says what to do.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "problem"]

LEVELS: tuple[Level, ...] = ("ok", "warning", "problem")
"""From good to bad. A problem keeps students out; a warning does so on a bad day."""


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that was looked at. `area` groups findings: ports, store, backends and so on."""

    level: Level
    area: str
    says: str
    remedy: str = ""


Look = Callable[[], Awaitable[list[Found]]]


@dataclass(frozen=True, slots=True)
class Examination:
    """A part of the examination: what is looked at, in words for a progress line, and how."""

    title: str
    look: Look


def ok(area: str, says: str) -> Found:
    """Nothing to do."""
    return Found("ok", area, says)


def warning(area: str, says: str, remedy: str) -> Found:
    """It works today."""
    return Found("warning", area, says, remedy)


def problem(area: str, says: str, remedy: str) -> Found:
    """It does not work."""
    return Found("problem", area, says, remedy)
