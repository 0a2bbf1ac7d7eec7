"""The operator's own words and look: which files hold them, and what stands in those files.

Law: the files are read once, when the settings are loaded, and travel inside the settings: supervisor, workers and a
worker that is replaced an hour later all say the same. What is read is bounded. Whether it makes sense is for
waitroom/web/look.py to judge, which knows the page.
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from waitroom.settings.part import Part
from waitroom.settings.problems import Finding
from waitroom.settings.spelling import FilePath, ShortTexts, named
from waitroom.settings.units import BadValueError

MAX_LOGO_BYTES = 8 * 1_024
"""It is sent with every page."""

MAX_STYLE_BYTES = 8 * 1_024
MAX_TEMPLATE_BYTES = 64 * 1_024
MAX_TEXTS_BYTES = 64 * 1_024
"""Of one language; ours take 12 kB."""

MAX_TEXTS_FILES = 64

TEXTS, LOGO, STYLE, TEMPLATE = "texts", "logo", "style", "template"

Enclosed = Mapping[str, str]
"""Contents by `logo` (in base64), `style`, `template` and `texts/fr.po`."""

Colour = Annotated[str, named(r"#[0-9A-Fa-f]{6}", '"#rrggbb", in quotes because # begins a comment')]
ColourName = Annotated[str, named(r"[a-z]{1,20}", "the name of a colour of the page, such as board")]
Palette = dict[ColourName, Colour]


class Colours(Part):
    """The page's colours, by the names that `waitroom check` lists when one is wrong."""

    light: Palette = Field(default_factory=dict, description='Such as {board: "#0e1d2b"}.')
    dark: Palette = Field(default_factory=dict, description="The same where a visitor prefers dark.")


class Look(Part):
    """The operator's own words and look, without touching the package."""

    texts: FilePath | None = Field(
        default=None, description="Folder of fr.po, nl.po and so on; their messages replace ours one by one."
    )
    note: ShortTexts = Field(
        default_factory=dict, description="A sentence that stands under good to know: a text, or texts by language."
    )
    logo: FilePath | None = Field(default=None, description="SVG or PNG of at most 8 KiB.")
    colours: Colours = Field(default_factory=Colours, description="Colours by name, for light and dark.")
    style: FilePath | None = Field(default=None, description="CSS of at most 8 KiB that comes after ours.")
    template: FilePath | None = Field(default=None, description="Page template in place of ours, in Jinja2.")


def enclose(look: Look) -> tuple[dict[str, str], list[Finding]]:
    """The contents of the files, and what is wrong with the files as such."""
    contents, found = dict[str, str](), list[Finding]()
    for key, name, path, most in _wanted(look, found):
        try:
            data = _read(path, most)
            contents[name] = b64encode(data).decode() if key == LOGO else _plain(data)
        except BadValueError as error:
            found.append(Finding(("pages", key), f"{path}: {error.wrong}", error.allowed))
    return contents, found


def _wanted(look: Look, found: list[Finding]) -> Iterator[tuple[str, str, Path, int]]:
    """Key, name, path and greatest size of each file."""
    for key, most in ((LOGO, MAX_LOGO_BYTES), (STYLE, MAX_STYLE_BYTES), (TEMPLATE, MAX_TEMPLATE_BYTES)):
        if (path := getattr(look, key)) is not None:
            yield key, key, path, most
    if look.texts is not None:
        try:
            files = sorted(look.texts.glob("*.po")) if look.texts.is_dir() else None
        except OSError:
            files = None
        found.extend(_folder_findings(look.texts, files))
        yield from ((TEXTS, f"{TEXTS}/{path.name}", path, MAX_TEXTS_BYTES) for path in (files or [])[:MAX_TEXTS_FILES])


def _folder_findings(folder: Path, files: list[Path] | None) -> Iterator[Finding]:
    allowed = "a folder of .po files, such as fr.po"
    if files is None:
        yield Finding(("pages", TEXTS), f"{folder}: is not a folder", allowed)
    elif not files:
        yield Finding(("pages", TEXTS), f"{folder}: has no .po file", allowed)
    elif len(files) > MAX_TEXTS_FILES:
        yield Finding(("pages", TEXTS), f"{folder}: has {len(files)} .po files", f"at most {MAX_TEXTS_FILES}")


def _read(path: Path, most: int) -> bytes:
    try:
        if not path.is_file():
            raise BadValueError("is not a file" if path.exists() else "no such file")
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise BadValueError(f"cannot be read: {(error.strerror or str(error)).lower()}") from None
    if len(data) > most:
        raise BadValueError(f"is larger than {most // 1_024} KiB", f"at most {most // 1_024} KiB")
    return data


def _plain(data: bytes) -> str:
    """Text without control characters: a NUL is how the page's slots are marked."""
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise BadValueError("is not UTF-8", "a text file in UTF-8") from None
    if any((character < " " and character not in "\n\t") or character == "\x7f" for character in text):
        raise BadValueError("contains a control character", "plain text")
    return text
