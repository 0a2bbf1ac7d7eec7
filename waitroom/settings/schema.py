"""A JSON Schema of the file for editors: keys, allowed spellings, defaults and what each key does.

Law: it describes what the operator writes (`"30m"`), not what the program holds (1800000). What it accepts, the loader
may still refuse for reasons that span keys; what it refuses, the loader refuses too.
"""

from typing import Any

from waitroom.settings import care, look, model, pools
from waitroom.settings.model import Settings
from waitroom.settings.part import Part

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Json = dict[str, Any]


def json_schema() -> Json:
    """The schema of a settings file."""
    schema = Settings.model_json_schema(by_alias=True, mode="validation")
    parts: dict[str, Json] = {"Settings": schema, **schema.get("$defs", {})}
    for name, part in parts.items():
        _tidy(part)
        _spell_defaults(part, _part_named(name))
    listen = parts["PublicListen"]
    parts["PublicListen"] = {"anyOf": [listen["properties"]["address"], listen]}
    schema["$defs"] = {name: part for name, part in parts.items() if name != "Settings"}
    public = parts["Listen"]["properties"]["public"]
    several = {key: public.pop(key) for key in ("items", "maxItems", "minItems", "type")}
    public["anyOf"] = [{"$ref": "#/$defs/PublicListen"}, several]
    return {"$schema": DIALECT, "title": "waitroom settings", **schema}


def _tidy(node: object) -> None:
    """Drop the titles that repeat the keys; names outside a pattern are not allowed."""
    match node:
        case dict():
            if isinstance(node.get("title"), str):
                del node["title"]
            if "patternProperties" in node:
                node["additionalProperties"] = False
            for child in node.values():
                _tidy(child)
        case list():
            for child in node:
                _tidy(child)
        case _:
            return


def _spell_defaults(schema: Json, part: type[Part] | None) -> None:
    """Defaults in the file's spelling, where they are single values and depend on no other key."""
    properties: Json = schema.get("properties", {})
    if part is None:
        return
    written: Json = part.model_construct().model_dump(mode="json", by_alias=True, warnings=False) or {}
    fixed = {field.alias or name for name, field in part.model_fields.items() if not field.default_factory}
    for key, described in properties.items():
        described.pop("default", None)
        value = written.get(key)
        if key in fixed and value not in (None, [], "") and not isinstance(value, dict):
            described["default"] = value


def _part_named(name: str) -> type[Part] | None:
    found = next((getattr(place, name) for place in (model, pools, care, look) if hasattr(place, name)), None)
    return found if isinstance(found, type) and issubclass(found, Part) else None
