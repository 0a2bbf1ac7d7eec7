"""The house rules. Each fault is told with its file, its line and what to do instead."""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILE_LINES, FUNCTION_LINES = 400, 60
SOURCES = sorted(
    path
    for top in ("waitroom", "tests", "static", "config", "deploy")
    for path in (ROOT / top).rglob("*")
    if path.is_file()
)
PYTHON = [path for path in SOURCES if path.suffix == ".py"]
PRODUCT = [path for path in PYTHON if path.is_relative_to(ROOT / "waitroom")]
TESTS = [path for path in PYTHON if path.is_relative_to(ROOT / "tests")]
LUA = [path for path in SOURCES if path.suffix == ".lua"]

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Source:
    """One file, read and parsed."""

    path: Path
    text: str
    tree: ast.Module

    @classmethod
    def of(cls, path: Path) -> "Source":
        """Read it."""
        text = path.read_text(encoding="utf-8")
        return cls(path, text, ast.parse(text))

    def inside(self, *places: str) -> bool:
        """Whether the file is one of these, or below one of these folders."""
        return any(self.path.is_relative_to(ROOT / place) for place in places)


Fault = tuple[int, str]
Rule = Callable[[Source], Iterator[Fault]]


def calls(tree: ast.AST, *names: str) -> Iterator[ast.Call]:
    """Calls of functions by their last name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in names:
                yield node


def short_functions(source: Source) -> Iterator[Fault]:
    for node in ast.walk(source.tree):
        if isinstance(node, Function) and (lines := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES:
            yield node.lineno, f"{node.name} has {lines} lines; split it: at most {FUNCTION_LINES}"


def documented_modules(source: Source) -> Iterator[Fault]:
    if source.text and not ast.get_docstring(source.tree):
        yield 1, "no module docstring; say in one sentence what the module is for, then its law"


def empty_packages(source: Source) -> Iterator[Fault]:
    if source.path.name == "__init__.py":
        for node in source.tree.body[1:]:
            yield node.lineno, "code in __init__.py; it holds a docstring only: move the code to a module with a name"


def tasks_in_one_place(source: Source) -> Iterator[Fault]:
    if not source.inside("waitroom/tasks.py"):
        for node in calls(source.tree, "create_task", "ensure_future"):
            yield node.lineno, "a task that nobody keeps; use spawn of waitroom/tasks.py"


def one_clock(source: Source) -> Iterator[Fault]:
    if source.inside("waitroom/clock.py"):
        return
    for node in ast.walk(source.tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        if isinstance(node, ast.Import | ast.ImportFrom) and "time" in names:
            yield node.lineno, "reads the clock; use waitroom/clock.py, or take the time as a parameter"
    for call in calls(source.tree, "now", "utcnow", "today"):
        if isinstance(call.func, ast.Attribute) and getattr(call.func.value, "id", "") in {"datetime", "date"}:
            yield call.lineno, "reads the clock; use waitroom/clock.py, or take the time as a parameter"


def no_print(source: Source) -> Iterator[Fault]:
    if not source.inside("waitroom/cli", "waitroom/demo"):
        for node in calls(source.tree, "print"):
            yield node.lineno, "print; log an event, or say it in a command"


def explained_exceptions(source: Source) -> Iterator[Fault]:
    for number, line in enumerate(source.text.splitlines(), start=1):
        comment = line.partition("#")[2]
        if re.match(r"\s*noqa", comment) and not re.match(r"\s*noqa: [A-Z0-9, ]+ - \S", comment):
            yield number, "unexplained noqa; write `# noqa: CODE - why`"
        if re.match(r"\s*type: ignore", comment) and not re.match(r"\s*type: ignore\[[a-z, -]+\]\s+# \S", comment):
            yield number, "unexplained type: ignore; write `# type: ignore[code] # why`"


def no_sleep(source: Source) -> Iterator[Fault]:
    for node in calls(source.tree, "sleep"):
        zero = len(node.args) == 1 and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0
        if not zero:
            yield node.lineno, "sleep; wait for what must happen: an event, a log line, or `until` of tests/support"


def no_skips(source: Source) -> Iterator[Fault]:
    for node in calls(source.tree, "skip", "skipif", "xfail", "importorskip", "flaky"):
        yield node.lineno, "a test that may not run; make it run everywhere, or run it on request outside tests"


ANYWHERE: tuple[Rule, ...] = (short_functions, documented_modules, empty_packages, explained_exceptions)
IN_PRODUCT: tuple[Rule, ...] = (tasks_in_one_place, one_clock, no_print)
IN_TESTS: tuple[Rule, ...] = (no_sleep, no_skips)


def faults(files: list[Path], rule: Rule) -> list[str]:
    """What the rule finds, a line each."""
    return [f"{path.relative_to(ROOT)}:{line}: {remedy}" for path in files for line, remedy in rule(Source.of(path))]


@pytest.mark.parametrize("rule", ANYWHERE, ids=lambda rule: rule.__name__)
def test_everywhere(rule: Rule) -> None:
    """Functions are short, modules say what they are for, packages hold no code, exceptions to a rule say why."""
    assert not (found := faults(PYTHON, rule)), "\n".join(found)


@pytest.mark.parametrize("rule", IN_PRODUCT, ids=lambda rule: rule.__name__)
def test_product(rule: Rule) -> None:
    """One place makes tasks, one reads the clock, only commands print."""
    assert not (found := faults(PRODUCT, rule)), "\n".join(found)


@pytest.mark.parametrize("rule", IN_TESTS, ids=lambda rule: rule.__name__)
def test_tests(rule: Rule) -> None:
    """Tests wait for events and always run."""
    assert not (found := faults(TESTS, rule)), "\n".join(found)


def test_short_files() -> None:
    """A file can be read in one sitting."""
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in [*PYTHON, *LUA]}
    found = [
        f"{path.relative_to(ROOT)}:{FILE_LINES}: {lines} lines; split it: at most {FILE_LINES}"
        for path, lines in lengths.items()
        if lines > FILE_LINES and path not in LUA  # the line's algorithm is one file by design
    ]
    assert not found, "\n".join(found)


def test_lua_functions_have_headers() -> None:
    """Every Lua function that a client can call says above itself what it does."""
    found = []
    for path in LUA:
        lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines[1:], start=2):
            if re.match(r"(local )?function wr_", line) and not re.search(r"^\s*--|\]\]\s*$", lines[number - 2]):
                found.append(f"{path.relative_to(ROOT)}:{number}: no header; say above it what it does and replies")
    assert not found, "\n".join(found)


def test_no_package_shadows_a_module() -> None:
    """Every folder with modules is a package, so that nothing is found by accident of the working directory."""
    folders = {path.parent for path in PYTHON}
    found = [
        f"{folder.relative_to(ROOT)}:1: add __init__.py" for folder in folders if not (folder / "__init__.py").exists()
    ]
    assert not found, "\n".join(sorted(found))
