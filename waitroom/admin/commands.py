"""The commands by which an operator undoes what staff have set; every answer of a change says one.

Law: a name that goes into a command is one that the settings allow, so it needs no quotes.
"""


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


def undo_limits(pool: str, backend: str = "") -> str:
    """The command that brings all limits of a pool, or of a backend, back to the file's."""
    return f"waitroom limit {pool}{_of(backend)} --undo"


def silence(pool: str, exam: str) -> str:
    """The command that takes an announcement away."""
    return f"waitroom announce {pool}{f' --exam {exam}' if exam else ''} --clear"


def _of(backend: str) -> str:
    return f" --backend {backend}" if backend else ""
