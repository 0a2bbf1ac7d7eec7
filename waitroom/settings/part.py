"""What all parts of the settings share.

Law: a part is frozen and takes no key that it does not know.
"""

from pydantic import BaseModel, ConfigDict

from waitroom.settings.spelling import complaint
from waitroom.settings.units import BadValueError


class Part(BaseModel):
    """A mapping of the file. The YAML key is the field's alias where the attribute carries a unit."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def exactly_one(part: Part, keys: tuple[str, ...]) -> None:
    """Complain unless exactly one of `keys` is set."""
    found = [key for key in keys if getattr(part, key) is not None]
    if len(found) != 1:
        wrong = f"has {' and '.join(found)}" if found else "names no source"
        raise complaint(BadValueError(wrong, f"exactly one of {', '.join(keys)}"))
