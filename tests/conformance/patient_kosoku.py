"""kosoku, whose cases wait for as long as a busy machine takes: `python patient_kosoku.py ARGUMENTS`, as `kosoku`.

Law: a case that gets what it wants ends as soon as ever; only what never comes is waited for longer. Most cases give an
answer one second, and a process that is not given the processor for so long is no worse at WebSockets.
"""

import sys
from pathlib import Path
from typing import Any

import kosoku
from kosoku import _cli

TIMES = 20

CASES = Path(kosoku.__file__).parent / "cases"


class Patient:
    """A case's connection, which is given up so many times later."""

    def __init__(self, connection: Any) -> None:
        self.__dict__["_connection"] = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._connection, name, value)

    def killAfter(self, seconds: float) -> None:  # noqa: N802 - the cases' name for it
        """Give up what has not ended by then."""
        self._connection.killAfter(TIMES * seconds)

    def closeAfter(self, seconds: float) -> None:  # noqa: N802 - the same
        """Close what has not ended by then."""
        self._connection.closeAfter(TIMES * seconds)


def main() -> None:
    """Run the cases."""
    sys.path[:0] = [str(CASES), str(CASES.parent / "shim")]
    from case import Case  # noqa: PLC0415 - kosoku's cases are there only now

    begin = Case.__init__

    def patiently(self: Any, connection: Any) -> None:
        begin(self, Patient(connection))

    Case.__init__ = patiently
    _cli.main()


if __name__ == "__main__":
    main()
