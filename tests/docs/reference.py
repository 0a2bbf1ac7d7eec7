"""Writes docs/configuration.md, the reference of every key, from the model of settings: `make docs`.

Law: nothing is said here that the model does not say. Keys, defaults, what is allowed and what each key is for come
from the fields; examples are the blocks of config/waitroom.yaml, which the loader reads in a test of its own.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo

from waitroom.settings.model import Settings
from waitroom.settings.part import Part
from waitroom.settings.spelling import Spelling
from waitroom.settings.units import DURATION_FORMS, INSTANT_FORMS, RATE_FORMS, SIZE_FORMS

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "docs/configuration.md"
SAMPLE = ROOT / "config/waitroom.yaml"

INTRODUCTION = """\
# Configuration

Every key, made from the model that checks your file (`make docs`; a test holds it). Nothing but `pools` is needed. YAML
1.2 rules: `9:00` and `NO` are text, a repeated key is an error. Relative paths are relative to the working directory of
`waitroom serve`. The examples are from [config/waitroom.yaml](../config/waitroom.yaml).

```sh
waitroom check waitroom.yaml                      # what is wrong, and what is probably not meant
waitroom check --schema > waitroom.schema.json    # the same for an editor
waitroom config print waitroom.yaml --effective   # each value in force, and where it comes from
```

{forms}

In the names below `NAME` is yours to choose, and `[]` stands for each of a list. "See right": what it is for says the
default.
"""


@dataclass(slots=True)
class Section:
    """One part of the settings, and all places where it stands."""

    part: type[Part]
    places: list[str] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        """As code hosts make it of the heading."""
        return re.sub(r"[^a-z0-9_-]", "", self.places[0].lower())


def sections() -> list[Section]:
    """All parts in the order of the model, each once."""
    found: dict[type[Part], Section] = {}

    def walk(part: type[Part], place: str) -> None:
        section = found.setdefault(part, Section(part))
        section.places.append(place)
        if len(section.places) > 1:
            return
        for key, info in keys(part):
            for below, tail in parts_in(info.annotation):
                walk(below, f"{place}.{key}{tail}" if place else f"{key}{tail}")

    walk(Settings, "")
    return list(found.values())


def keys(part: type[Part]) -> Iterator[tuple[str, FieldInfo]]:
    """Each key as it is written, with its field."""
    for name, info in part.model_fields.items():
        yield info.alias or name, info


def parts_in(annotation: Any) -> Iterator[tuple[type[Part], str]]:
    """The parts below a field, and what their place adds to its name: [] in a list, .NAME in a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        yield annotation, ""
    inner, tail = get_args(annotation), ""
    if get_origin(annotation) is tuple:
        tail = "[]"
    elif get_origin(annotation) is dict:
        inner, tail = inner[1:], ".NAME"
    for each in inner:
        yield from ((part, tail + more) for part, more in parts_in(each))


def allowed(info: FieldInfo) -> list[str]:
    """What may be written where there is no part below, in words."""
    found = [mark.allowed for mark in info.metadata if isinstance(mark, Spelling)]
    return list(dict.fromkeys(found or _allowed_in(info.annotation)))


def _allowed_in(annotation: Any) -> Iterator[str]:
    marks = [mark.allowed for mark in getattr(annotation, "__metadata__", ()) if isinstance(mark, Spelling)]
    if marks:
        yield from marks
        return
    inner = [list(_allowed_in(each)) for each in get_args(annotation)]
    if get_origin(annotation) is dict:
        names, values = (", ".join(words) for words in inner)
        languages = names.startswith("a language tag")
        yield f"{values}; or such texts by language" if languages else f"a mapping of {names} to {values}"
    elif get_origin(annotation) is tuple:
        yield f"a list, each: {', '.join(dict.fromkeys(word for words in inner for word in words))}"
    else:
        yield from (word for words in inner for word in words)


def default(part: type[Part], key: str, info: FieldInfo) -> str:
    """As one would write it."""
    if info.is_required():
        return "**needed**"
    if "Default: " in (info.description or "") or info.default_factory_takes_validated_data:
        return "see right"
    written = _spelt(part, key, info)
    if written in (None, [], {}, ""):
        return "none"
    return f"`{str(written).lower() if isinstance(written, bool) else written}`"


def _spelt(part: type[Part], key: str, info: FieldInfo) -> Any:
    """The default as the file spells it."""
    whole = part.model_construct(_fields_set=set()).model_dump(mode="json", by_alias=True, warnings=False)
    value = whole.get(key) if isinstance(whole, dict) else info.get_default(call_default_factory=True)
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def rows(section: Section, anchors: Mapping[type[Part], tuple[str, str]]) -> Iterator[str]:
    """The table of a section."""
    yield "| key | default | what it is for | allowed |"
    yield "| --- | --- | --- | --- |"
    for key, info in keys(section.part):
        below = list(parts_in(info.annotation))
        told = "; ".join(allowed(info)) if not below else ""
        links = [f"{_many(tail)}[{name}]({anchor})" for part, tail in below for name, anchor in (anchors[part],)]
        first = "" if any(not tail for _, tail in below) and info.get_default() else default(section.part, key, info)
        what = info.description or below[0][0].__doc__ or ""
        yield f"| `{key}` | {first} | {_cell(what)} | {_cell(told) or ', '.join(links)} |"


def _many(tail: str) -> str:
    return {"[]": "a list, each: ", ".NAME": "by name, each: "}.get(tail, "")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("*", "\\*")


def samples() -> dict[str, str]:
    """The block of config/waitroom.yaml of each key at the top, with the comment above it."""
    found: dict[str, list[str]] = {}
    above: list[str] = []
    block: list[str] = []
    for line in SAMPLE.read_text("utf-8").splitlines():
        begins = re.match(r"(?:# )?([a-z_]+):", line)
        if begins is not None and begins[1] in Settings.model_fields:
            block = found.setdefault(begins[1], [])
            block += [*above, line]
            above = []
        elif line.startswith("#") and (above or not line.startswith("#  ")):
            above.append(line)
        elif not line.strip() and above:
            above = []
            block.append("")
        else:
            block += [*above, line]
            above = []
    return {key: "\n".join(lines).strip() for key, lines in found.items()}


def reference() -> str:
    """The whole page."""
    found = sections()
    shown = samples()
    top, *below = found
    anchors = {each.part: (each.places[0], f"#{each.anchor}") for each in below}
    opened = {each.places[0] for each in below}
    plain = [text for key, text in shown.items() if not any(place.startswith(key) for place in opened)]
    lines = [INTRODUCTION.format(forms=_forms()), "## At the top", "", *rows(top, anchors), ""]
    lines.append(_example("\n\n".join(plain)))
    for each in below:
        place = each.places[0]
        lines += [
            f"{'###' if '.' in place.removesuffix('.NAME') else '##'} `{place}`",
            "",
            *_about(each),
            *rows(each, anchors),
            "",
        ]
        if (key := re.sub(r"\W.*", "", place)) in shown and "." not in place.removeprefix(key + "."):
            lines.append(_example(shown.pop(key)))
    return "\n".join(lines).rstrip() + "\n"


def _about(section: Section) -> Iterator[str]:
    yield " ".join((section.part.__doc__ or "").split())
    if section.places[1:]:
        yield f"The same keys: {', '.join(f'`{place}`' for place in section.places[1:])}."
    yield ""


def _forms() -> str:
    forms = (("duration", DURATION_FORMS), ("rate", RATE_FORMS), ("size", SIZE_FORMS), ("instant", INSTANT_FORMS))
    return "\n".join(f"- A {kind} is {form}.".replace("A instant", "An instant") for kind, form in forms)


def _example(text: str) -> str:
    return f"```yaml\n{text}\n```\n"


def main() -> None:
    """Write it."""
    TARGET.write_text(reference(), "utf-8")
    print(f"{TARGET.relative_to(ROOT)}: {len(TARGET.read_text('utf-8').splitlines())} lines")


if __name__ == "__main__":
    main()
