"""The operator's colours: which there are, whether what stands on what can still be read, and the CSS they become.

Law: a pair that our page shows as text on ground has the contrast of WCAG 2.2 AA in both themes, or the settings are
refused and the pair is named. Paper stays as it is.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from waitroom.settings.look import Colours
from waitroom.settings.problems import Finding
from waitroom.settings.spelling import close


class Pair(NamedTuple):
    """What stands on what in page.css, and the least contrast."""

    front: str
    ground: str
    least: float = 4.5


PAIRS = (
    Pair("ink", "bg"), Pair("soft", "bg"), Pair("link", "bg"), Pair("ink", "card"), Pair("soft", "card"),
    Pair("on", "board"), Pair("dim", "board"), Pair("digit", "board"), Pair("digit", "tile"),
    Pair("focus", "bg", 3.0),
)  # fmt: skip
"""Text by 1.4.3, the focus ring by 1.4.11. `bg` on `link` is a button."""

_ROOT = re.compile(r"(@media[^{]*\{)?\s*:root\s*\{([^}]*)\}")
_COLOUR = re.compile(r"--([a-z]+)\s*:\s*(#[0-9a-fA-F]{6})\b")


def page_colours(css: str) -> dict[str, dict[str, str]]:
    """The colours of a style sheet by theme: what :root states, and what it states for those who prefer dark."""
    light, dark = dict[str, str](), dict[str, str]()
    for media, body in _ROOT.findall(css):
        if not media:
            light.update(_COLOUR.findall(body))
        elif "prefers-color-scheme:dark" in media.replace(" ", ""):
            dark.update(_COLOUR.findall(body))
    return {"light": light, "dark": light | dark}


def colour_faults(own: Colours, css: str) -> Iterator[Finding]:
    """Names that the page does not have, and pairs that cannot be read."""
    for theme, usual in page_colours(css).items():
        mine: Mapping[str, str] = getattr(own, theme)
        for name in mine:
            if name not in usual:
                path = ("pages", "colours", theme, name)
                yield Finding(path, "unknown colour", ", ".join(usual), close(name, list(usual)), at_key=True)
        for front, ground, least in PAIRS:
            if not {front, ground} & set(mine):
                continue
            over, under = mine.get(front) or usual[front], mine.get(ground) or usual[ground]
            ratio = contrast(over, under)
            if ratio < least:
                path = ("pages", "colours", theme, front if front in mine else ground)
                wrong = f"{front} ({over}) on {ground} ({under}) has a contrast of {_down(ratio)}:1"
                yield Finding(path, wrong, f"at least {least}:1 (WCAG 2.2 AA)")


def colour_css(own: Colours, css: str) -> str:
    """The colours as CSS that comes after the page's own; a name set for light alone keeps our dark."""
    if not own.light and not own.dark:
        return ""
    usual = page_colours(css)["dark"]
    dark = {name: usual[name] for name in own.light} | own.dark
    return f"\n@media screen{{{_root(own.light)}}}\n@media screen and (prefers-color-scheme:dark){{{_root(dark)}}}"


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours as WCAG 2.2 defines it, 1 to 21."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(share: float) -> float:
    return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)


def _down(ratio: float) -> str:
    """Rounded down: 4.499 is not shown as the 4.5 that it misses."""
    return f"{int(ratio * 100) / 100:.2f}"


def _root(colours: Mapping[str, str]) -> str:
    return f":root{{{';'.join(f'--{name}:{value}' for name, value in colours.items())}}}"
