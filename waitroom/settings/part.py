"""What all parts of the settings share: frozen, no unknown keys, and marks for keys whose behaviour comes later.

Law: a key that is not in force never silently does nothing. It is marked here, its description says so, `check` prints
it and `serve` logs it (notices.py).
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from waitroom.settings.spelling import complaint
from waitroom.settings.units import BadValueError

IN_FORCE = "x-in-force"
WORKING_VALUES = "x-in-force-values"
NOT_YET = "Accepted and checked; not in force in this version."


class Part(BaseModel):
    """A mapping of the file. The YAML key is the field's alias where the attribute carries a unit."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def later(default: object, description: str, *, alias: str | None = None, works: tuple[str | bool, ...] = ()) -> Any:  # noqa: ANN401 - as pydantic.Field
    """A field that is not in force in this version, but for the values in `works`."""
    mark: dict[str, Any] = {IN_FORCE: False}
    if works:
        mark[WORKING_VALUES] = list(works)
    return Field(default=default, alias=alias, description=f"{description} {NOT_YET}", json_schema_extra=mark)


def exactly_one(part: Part, keys: tuple[str, ...]) -> None:
    """Complain unless exactly one of `keys` is set."""
    found = [key for key in keys if getattr(part, key) is not None]
    if len(found) != 1:
        wrong = f"has {' and '.join(found)}" if found else "names no source"
        raise complaint(BadValueError(wrong, f"exactly one of {', '.join(keys)}"))
