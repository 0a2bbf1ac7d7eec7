"""Commands as the docs show them: fenced blocks of Markdown, and spans of code that begin with our name.

Law: pure. A block of `sh` is a script. In one of `console` each line behind `$ ` is a command and what follows is what
it prints, to the letter. A comment right above says what is not run, and why, or with which code a command ends:

    <!-- not run: needs a service manager -->
    <!-- exit 1: the file has a problem -->
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SHELL = ("sh", "console")
OTHER = ("yaml", "python", "po", "text", "json", "css", "html", "jinja", "promql", "ini", "nginx", "apache", "toml",
         "dockerfile", "haproxy", "svg", "xml", "php", "lua", "diff")  # fmt: skip
"""Languages of blocks that show no command. Any other is a slip, such as `bash`, whose commands nobody would run."""

_FENCE = re.compile(r"^(\s*)(`{3,}|~{3,})(\S*)\s*$")
_NOT_RUN = re.compile(r"<!-- not run: (.{5,}) -->")
_EXIT = re.compile(r"<!-- exit (\d+): .{5,} -->")
_SPAN = re.compile(r"`(waitroom\s[^`]+)`")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block, with the place of its first line."""

    file: Path
    line: int
    language: str
    text: str
    above: str

    @property
    def place(self) -> str:
        """For messages."""
        return f"{self.file.name}:{self.line}"

    @property
    def not_run(self) -> bool:
        """Whether it says so, with a reason."""
        return _NOT_RUN.fullmatch(self.above) is not None

    @property
    def code(self) -> int:
        """The exit code that it says it ends with."""
        said = _EXIT.fullmatch(self.above)
        return int(said[1]) if said else 0

    def commands(self) -> Iterator[tuple[str, str | None]]:
        """Each command with what it prints; None where the block does not tell."""
        if self.language == "sh":
            yield from ((command, None) for command in _lines(self.text))
            return
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            yield command, printed


def blocks(file: Path) -> Iterator[Block]:
    """All fenced blocks of a file. Raises ValueError for one that does not end."""
    fence, start, above, kept = "", 0, "", list[str]()
    language = ""
    for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
        found = _FENCE.match(line)
        if fence:
            if found and found[2].startswith(fence) and not found[3]:
                yield Block(file, start, language, "".join(f"{each}\n" for each in kept), above)
                fence, above = "", ""
            else:
                kept.append(line)
        elif found:
            fence, start, language, kept = found[2], number + 1, found[3], []
        elif line.strip():
            above = line.strip()
    if fence:
        raise ValueError(f"{file.name}:{start}: a block that does not end")


def spans(file: Path) -> Iterator[tuple[int, str]]:
    """Line and text of each span of code that begins with our name."""
    text = re.sub(r"^(```|~~~).*?^\1$", lambda found: "\n" * found[0].count("\n"), file.read_text("utf-8"),
                  flags=re.DOTALL | re.MULTILINE)  # fmt: skip
    for found in _SPAN.finditer(text):
        yield text.count("\n", 0, found.start()) + 1, " ".join(found[1].split())


def _lines(script: str) -> Iterator[str]:
    """Commands of a script: lines, those that end in a backslash with the next; no comments alone on a line."""
    for line in script.replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield line.strip()
