"""YAML by the rules of version 1.2, with the line and column of every key and value.

Law: what stands in the file is what is meant. `9:00`, `NO` and `on` are text, `010` is ten, a timestamp stays text, a
key is always text, and a key that comes twice is a fault, never an overwrite. PyYAML's parser gives the events; its 1.1
resolver, which gets all of these wrong, is not used.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from waitroom.settings.yamlfaults import Place, Ruler, YamlFaultError, in_our_words

MAX_BYTES = 1 << 20
"""Largest file that is read; a thousand exams take about 300 KiB."""

MAX_NODES = 100_000
"""Keys and values after aliases are expanded: a bomb of aliases of aliases ends here."""

MAX_DEPTH = 32
"""Deepest nesting; the model has eight levels."""

MAX_DIGITS = 18
"""Longest whole number; the largest that a key takes has seven digits."""

_BOTH = "both halves after each other, or the character itself"

Path = tuple[str | int, ...]

_NULL = re.compile(r"~|null|Null|NULL|")
_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DECIMAL = re.compile(r"[-+]?[0-9]+", re.ASCII)
_OCTAL = re.compile(r"0o[0-7]+", re.ASCII)
_HEX = re.compile(r"0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Document:
    """A file's content as dicts, tuples and scalars, and where each part of it stands, by path.

    `faults` are those that leave the rest readable (a repeated key: the first counts).
    """

    data: object
    keys: dict[Path, Place]
    values: dict[Path, Place]
    faults: tuple[YamlFaultError, ...]


@dataclass(slots=True)
class _Node:
    """A node as it stands in the file. An alias shares its anchor's content and has a place of its own besides."""

    place: Place
    scalar: object = None
    mapping: list[tuple[str, Place, "_Node"]] | None = None
    sequence: list["_Node"] | None = None
    alias_place: Place | None = None


def load_yaml(raw: bytes) -> Document:
    """Read one document. Raises the YamlFaultError that makes the rest unreadable."""
    if len(raw) > MAX_BYTES:
        raise YamlFaultError(Place(1, 1), f"the file is larger than {MAX_BYTES >> 20} MiB")
    text = _decode(raw)
    try:
        root = _Composer(Ruler(text)).document(_events(text))
    except yaml.YAMLError as error:
        raise in_our_words(error, text) from None
    expansion = _Expansion()
    data = expansion.expand(root, (), root.place)
    return Document(data, expansion.keys, expansion.values, tuple(expansion.faults.values()))


def scalar_value(text: str) -> object:
    """What a plain scalar means under the core schema of YAML 1.2.2 (section 10.3.2)."""
    if _NULL.fullmatch(text):
        return None
    if text in _TRUTH:
        return _TRUTH[text]
    for pattern, base in ((_DECIMAL, 10), (_OCTAL, 8), (_HEX, 16)):
        if pattern.fullmatch(text):
            return int(text if base == 10 else text[2:], base) if len(text) <= MAX_DIGITS else text
    if _FLOAT.fullmatch(text):
        return float(text)
    if _NOT_FINITE.fullmatch(text):
        return float(text.replace(".", ""))
    return text


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise YamlFaultError(Place(1, 1), "the file is UTF-16", "a file saved as UTF-8") from None
        before = raw[: error.start].decode("utf-8-sig")
        place = Ruler(before).place(len(before))
        raise YamlFaultError(place, f"byte 0x{raw[error.start]:02x} is not UTF-8", "a file saved as UTF-8") from None


def _events(text: str) -> Iterator[yaml.Event]:
    yield from yaml.parse(text, Loader=yaml.SafeLoader)


class _Composer:
    """Builds the tree of a document from its events."""

    def __init__(self, ruler: Ruler) -> None:
        self._ruler = ruler
        self._anchors: dict[str, _Node] = {}
        self._open: set[str] = set()
        self._depth = 0

    def document(self, events: Iterator[yaml.Event]) -> _Node:
        """The one document of the stream."""
        root: _Node | None = None
        for event in events:
            match event:
                case yaml.DocumentStartEvent() if root is not None:
                    raise YamlFaultError(self._place(event), "a second document begins here", "one document a file")
                case yaml.DocumentStartEvent(version=version) if version not in (None, (1, 2)):
                    wrong = f"the file asks for YAML {version[0]}.{version[1]}"
                    raise YamlFaultError(self._place(event), wrong, "YAML 1.2, without a %YAML line")
                case yaml.NodeEvent():
                    root = self._node(event, events)
                case _:
                    continue
        return root if root is not None else _Node(Place(1, 1))

    def _node(self, event: yaml.NodeEvent, events: Iterator[yaml.Event]) -> _Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        anchor = event.anchor
        if anchor is not None:
            self._open.add(anchor)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise YamlFaultError(self._place(event), "nested too deeply", f"at most {MAX_DEPTH} levels")
        node = self._content(event, events)
        self._depth -= 1
        if anchor is not None:
            self._open.discard(anchor)
            self._anchors[anchor] = node
        return node

    def _alias(self, event: yaml.AliasEvent) -> _Node:
        if event.anchor in self._open:
            raise YamlFaultError(self._place(event), f"*{event.anchor} stands inside &{event.anchor} itself")
        if event.anchor not in self._anchors:
            raise YamlFaultError(
                self._place(event), f"*{event.anchor} repeats &{event.anchor}, which stands nowhere above"
            )
        found = self._anchors[event.anchor]
        return _Node(found.place, found.scalar, found.mapping, found.sequence, alias_place=self._place(event))

    def _content(self, event: yaml.NodeEvent, events: Iterator[yaml.Event]) -> _Node:
        match event:
            case yaml.ScalarEvent():
                return _Node(self._place(event), scalar=self._scalar(event))
            case yaml.SequenceStartEvent():
                self._refuse_tag(event, "tag:yaml.org,2002:seq")
                children = []
                while not isinstance(below := next(events), yaml.SequenceEndEvent):
                    children.append(self._node(_as_node(below), events))
                return _Node(self._place(event), sequence=children)
            case _:
                self._refuse_tag(event, "tag:yaml.org,2002:map")
                return _Node(self._place(event), mapping=self._mapping(events))

    def _mapping(self, events: Iterator[yaml.Event]) -> list[tuple[str, Place, _Node]]:
        pairs: list[tuple[str, Place, _Node]] = []
        while not isinstance(below := next(events), yaml.MappingEndEvent):
            key, place = self._key(_as_node(below), events), self._place(below)
            value = self._node(_as_node(next(events)), events)
            pairs.append((key, place, value))
        return pairs

    def _key(self, event: yaml.NodeEvent, events: Iterator[yaml.Event]) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            found = "an alias" if isinstance(event, yaml.AliasEvent) else "a list or mapping"
            raise YamlFaultError(
                self._place(event), f"{found} cannot be a key", "text, quoted if it begins with { [ or *"
            )
        if event.value == "<<" and event.style is None:
            raise YamlFaultError(self._place(event), "<< (merge) is not part of YAML 1.2", "an alias for a whole value")
        self._node(event, events)
        return self._whole(event)

    def _scalar(self, event: yaml.ScalarEvent) -> object:
        self._refuse_tag(event, "tag:yaml.org,2002:str")
        text = self._whole(event)
        return scalar_value(text) if event.style is None and event.tag is None else text

    def _refuse_tag(self, event: yaml.NodeEvent, known: str) -> None:
        tag = getattr(event, "tag", None)
        if tag not in (None, "!", known):
            name = tag.replace("tag:yaml.org,2002:", "!!")
            raise YamlFaultError(self._place(event), f"the tag {name} is not known", "values without a tag, or !!str")

    def _whole(self, event: yaml.ScalarEvent) -> str:
        """Its text. An escape may name half of a character, as JSON spells those that need two; alone it is none."""
        try:
            return event.value.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise YamlFaultError(self._place(event), "half of a character (\\ud800 to \\udfff)", _BOTH) from None

    def _place(self, event: yaml.Event) -> Place:
        mark = event.start_mark
        assert mark is not None
        return self._ruler.of(mark)


class _Expansion:
    """Turns the tree into data, aliases into copies, and notes where everything stands."""

    def __init__(self) -> None:
        self.keys: dict[Path, Place] = {}
        self.values: dict[Path, Place] = {}
        self.faults: dict[Place, YamlFaultError] = {}
        self._nodes = 0

    def expand(self, node: _Node, path: Path, place: Place) -> object:
        """The node's data; `place` is where the file mentions it (an alias, not its anchor)."""
        self._nodes += 1
        if self._nodes > MAX_NODES or len(path) > MAX_DEPTH:
            raise YamlFaultError(
                place, "aliases make the file too large", f"at most {MAX_NODES} values in {MAX_DEPTH} levels"
            )
        self.values[path] = place
        if node.mapping is not None:
            return self._mapping(node.mapping, path)
        if node.sequence is not None:
            return tuple(
                self.expand(value, (*path, index), value.alias_place or value.place)
                for index, value in enumerate(node.sequence)
            )
        return node.scalar

    def _mapping(self, pairs: list[tuple[str, Place, _Node]], path: Path) -> dict[str, object]:
        data: dict[str, object] = {}
        first: dict[str, Place] = {}
        for key, place, value in pairs:
            below = (*path, key)
            if key in first:
                wrong = f"comes twice, first at line {first[key].line}, column {first[key].col}"
                self.faults.setdefault(place, YamlFaultError(place, wrong, "each key once", below))
                continue
            first[key] = self.keys[below] = place
            data[key] = self.expand(value, below, value.alias_place or value.place)
        return data


def _as_node(event: yaml.Event) -> yaml.NodeEvent:
    assert isinstance(event, yaml.NodeEvent)
    return event
