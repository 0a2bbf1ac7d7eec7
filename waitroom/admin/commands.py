"""The commands by which an operator undoes what staff have set; every answer of a change says one.

Law: it undoes what it stands beside and nothing else that staff have set. A name that goes into a command is one that
the settings allow, so it needs no quotes.
"""

from collections.abc import Iterable


def undo(pool: str, field: str) -> str:
    """The command that undoes a field of the store (`admission/audit.py`)."""
    about, _, backend = field.partition(":")
    match about:
        case "held" | "staff":
            return f"waitroom open {pool}{_of(backend)}"
        case "sessions":
            return undo_limits(pool, backend)
        case "ceiling":
            return f"waitroom limit {pool} --rate file"
        case _:
            raise AssertionError(field)


def undo_of(pool: str, fields: Iterable[str], backend: str) -> str:
    """The command that undoes limits that were set together. `backend`: the one whose sessions are among them; else
    those of all backends are.
    """
    abouts = {field.partition(":")[0] for field in fields}
    rate, sessions = "ceiling" in abouts, "sessions" in abouts
    if rate and sessions and not backend:
        return undo_limits(pool)
    words = [" --max-sessions file"] * sessions + [" --rate file"] * rate
    return f"waitroom limit {pool}{_of(backend)}{''.join(words)}"


def undo_limits(pool: str, backend: str = "") -> str:
    """The command that brings all limits of a pool, or of a backend, back to the file's."""
    return f"waitroom limit {pool}{_of(backend)} --undo"


def silence(pool: str, exam: str) -> str:
    """The command that takes an announcement away."""
    return f"waitroom announce {pool}{f' --exam {exam}' if exam else ''} --clear"


def _of(backend: str) -> str:
    return f" --backend {backend}" if backend else ""
