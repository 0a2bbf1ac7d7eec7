"""The operator's logo and style: what may be in them, and what the page is given.

Law: the page stays one answer that asks nobody for anything. A file that would run something or fetch something from
elsewhere is refused with the reason, although the page's policy would also keep a browser from doing it.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterator
from urllib.parse import quote
from xml.etree import ElementTree as ET

from waitroom.settings.look import LOGO, STYLE
from waitroom.settings.problems import Finding

_PNG = b"\x89PNG\r\n\x1a\n"
_ACTIVE = frozenset({"script", "foreignobject", "iframe", "embed", "object", "audio", "video", "handler", "set"})
_REFERENCES = frozenset({"href", "src", "xml:base", "base"})
_SVG_SAFE = " !$()*+,-./:;=?@_~'"
_URL = re.compile(r"url\(\s*[\"']?\s*([^\"')\s]*)", re.IGNORECASE)
_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})\s?|(.))", re.DOTALL)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_FETCHES = ("@import", "image-set(", "src(", "expression(", "-moz-binding", "@namespace")


def logo_url(encoded: str) -> str:
    """The logo as a data: URL; SVG as text, which compresses better than base64."""
    data = b64decode(encoded)
    if data.startswith(_PNG):
        return "data:image/png;base64," + b64encode(data).decode()
    return "data:image/svg+xml," + quote(" ".join(data.decode().split()), safe=_SVG_SAFE)


def logo_faults(encoded: str, path: str) -> Iterator[Finding]:
    """What is wrong with a logo: neither PNG nor SVG, or an SVG that does more than being looked at."""
    data = b64decode(encoded)
    if data.startswith(_PNG):
        if not data.endswith(b"IEND\xaeB`\x82"):
            yield _bad(LOGO, path, "is a PNG that is cut off")
        return
    wrong = _svg_fault(data)
    if wrong:
        yield _bad(LOGO, path, wrong, "a PNG, or an SVG without scripts and references")


def style_faults(css: str, path: str) -> Iterator[Finding]:
    """What is wrong with a style."""
    plain = _ESCAPE.sub(_unescaped, _COMMENT.sub("", css))
    folded = plain.lower()
    for word in _FETCHES:
        if word in folded:
            yield _bad(STYLE, path, f"contains {word.rstrip('(')}", "rules that fetch nothing")
    yield from (
        _bad(STYLE, path, f"contains url({_short(target)})", "url(data:...) only") for target in _fetched(plain)
    )
    if "</" in plain or "<!--" in plain:
        yield _bad(STYLE, path, "contains HTML", "CSS alone")


def _svg_fault(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return "is neither a PNG nor an SVG in UTF-8"
    if "<!doctype" in text.lower() or "<!entity" in text.lower():
        return "is an SVG with a DOCTYPE"
    if "<?xml-stylesheet" in text.lower():
        return "is an SVG with a style sheet from elsewhere"
    try:
        root = ET.fromstring(text)  # noqa: S314 - at most 8 KiB, and entities were refused above
    except ET.ParseError as error:
        return f"is neither a PNG nor an SVG: {error}"
    if _local(root.tag) != "svg":
        return f"is no SVG but {_local(root.tag)}"
    return next((wrong for node in root.iter() if (wrong := _node_fault(node))), "")


def _node_fault(node: ET.Element) -> str:
    name = _local(node.tag)
    if name in _ACTIVE or name.startswith("animate"):
        return f"is an SVG with a {name} element"
    for key, value in node.attrib.items():
        attribute = _local(key)
        if attribute.startswith("on"):
            return f"is an SVG with an {attribute} attribute"
        if attribute in _REFERENCES and not value.strip().startswith(("#", "data:image/")):
            return f"is an SVG that refers to {_short(value)}"
        if (target := next(_fetched(value), None)) is not None:
            return f"is an SVG that refers to {_short(target)}"
    if name == "style" and (fault := next(style_faults(node.text or "", "style"), None)) is not None:
        return f"is an SVG whose style {fault.wrong.removeprefix('style: ')}"
    return ""


def _fetched(css: str) -> Iterator[str]:
    """The targets of url() that are neither in the file itself nor data."""
    return (target for target in _URL.findall(css) if not target.lower().startswith(("#", "data:")))


def _local(name: object) -> str:
    """A name without its namespace, in small letters; a comment or instruction has none."""
    return name.rpartition("}")[2].lower() if isinstance(name, str) else ""


def _unescaped(match: re.Match[str]) -> str:
    code = int(match[1], 16) if match[1] else 0
    return chr(code) if 0 < code < 0x110000 else match[2] or ""


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}..."


def _bad(key: str, path: str, wrong: str, allowed: str = "") -> Finding:
    return Finding(("pages", key), f"{path}: {wrong}", allowed)
