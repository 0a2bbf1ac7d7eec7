"""Which of the keys that an operator wrote are not in force yet.

Law: a key marked `later` (part.py) that was written with a value is named, always; a key left at its default is not.
"""

from collections.abc import Iterator, Mapping

from waitroom.settings.part import IN_FORCE, WORKING_VALUES, Part


def not_in_force(part: Part) -> tuple[str, ...]:
    """Dotted keys, in the order of the model, of what was written and has no effect in this version."""
    return tuple(_walk(part, ""))


def _walk(value: object, key: str) -> Iterator[str]:
    match value:
        case Part():
            for name, field in type(value).model_fields.items():
                below = f"{key}.{field.alias or name}" if key else field.alias or name
                found = getattr(value, name)
                marks = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
                if marks.get(IN_FORCE) is not False:
                    yield from _walk(found, below)
                elif name in value.model_fields_set and _says_something(found, marks.get(WORKING_VALUES)):
                    yield below
        case Mapping():
            for name, found in value.items():
                yield from _walk(found, f"{key}.{name}")
        case tuple():
            for index, found in enumerate(value):
                yield from _walk(found, f"{key}[{index}]")
        case _:
            return


def _says_something(value: object, working: object) -> bool:
    return value not in (None, ()) and not (isinstance(working, list) and value in working)
