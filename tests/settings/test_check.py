"""`waitroom check`: what an operator sees, and the exit code a script sees."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.support.terminal import on_terminal
from waitroom.cli.check import check

CONFIG = Path(__file__).parents[2] / "config"
BAD = Path(__file__).parent / "bad"
ONE = 'pools: {main: {backends: {a: {url: "http://10.0.0.1", max_sessions: 5}}}}\n'


def _check(*arguments: str | Path) -> Result:
    return CliRunner().invoke(check, [str(argument) for argument in arguments])


@pytest.mark.parametrize("file", sorted(CONFIG.glob("*.yaml")), ids=lambda file: file.name)
def test_every_sample_is_clean(file: Path) -> None:
    """What we ship, we pass."""
    result = _check(file)
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"{file}: OK: ")


def test_a_clean_file_is_one_line() -> None:
    """How much it holds."""
    assert _check(CONFIG / "minimal.yaml").output == f"{CONFIG / 'minimal.yaml'}: OK: 1 pool, 1 backend, 0 exams\n"
    text = (CONFIG / "waitroom.yaml").read_text("utf-8")
    assert "opens: 2031-" in text, "a sample that has begun brings a warning"
    assert _check(CONFIG / "waitroom.yaml").output.endswith(": OK: 2 pools, 3 backends, 2 exams\n")


def test_a_key_that_reads_no_tokens_is_named(tmp_path: Path) -> None:
    """With the files in hand, before an exam; nothing of the key is repeated."""
    key, file = tmp_path / "key", tmp_path / "waitroom.yaml"
    key.write_text("hunter2")
    how = f'{{cookie: t, key_file: "{key}", algorithm: HS256}}'
    file.write_text(
        f'pools: {{main: {{backends: {{a: {{url: "http://h", max_sessions: 1}}}}}}}}\nidentity: {{jwt: {how}}}\n'
    )
    result = _check(file)
    assert result.exit_code == 1
    assert f"identity.jwt.key_file: {key}: has 7 bytes; allowed: 32 bytes or more for HS256" in result.output
    assert "hunter2" not in result.output
    key.write_text("x" * 32)
    assert _check(file).exit_code == 0


def test_problems_are_listed_and_counted(tmp_path: Path) -> None:
    """One line each in the form that editors jump to; exit code 1."""
    file = tmp_path / "waitroom.yaml"
    file.write_text("workers: many\nqueu_status: 5\n", encoding="utf-8")
    result = _check(file)
    assert result.exit_code == 1
    first, second, third, total = [line for line in result.output.splitlines() if not line.startswith("  ")]
    assert first.startswith(f"{file}:1:1: pools: missing")
    assert second.startswith(f"{file}:1:10: workers: ")
    assert third.startswith(f"{file}:2:1: queu_status: unknown key; allowed: listen, ")
    assert third.endswith("; did you mean queue_status?")
    assert total == f"{file}: 3 problems"


def test_a_file_that_cannot_be_read_is_another_matter(tmp_path: Path) -> None:
    """Exit code 2."""
    file = tmp_path / "none.yaml"
    result = _check(file)
    assert (result.exit_code, result.output) == (2, f"{file}: cannot be read: no such file or directory\n")


def test_json_says_the_same() -> None:
    """For programs: places as numbers, exit codes unchanged."""
    good = _check(CONFIG / "waitroom.yaml", "--json")
    answer = json.loads(good.output)
    assert (good.exit_code, answer["ok"], answer["pools"], answer["backends"], answer["exams"]) == (0, True, 2, 3, 2)
    bad = _check(BAD / "key_unknown.yaml", "--json")
    assert bad.exit_code == 1
    problem = json.loads(bad.output)["problems"][0]
    assert (problem["line"], problem["column"], problem["key"]) == (5, 1, "queu_status")
    assert problem["suggestion"] == "queue_status"
    missing = _check(BAD / "none.yaml", "--json")
    assert (missing.exit_code, json.loads(missing.output)["readable"]) == (2, False)


@pytest.mark.parametrize("file", sorted(BAD.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_fault_is_told_in_every_form(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Carets under the place; JSON that is JSON; commands that GitHub takes; nothing that a terminal obeys."""
    monkeypatch.chdir(BAD)
    text, data, commands = (_check(file.name, "--format", form) for form in ("text", "json", "github"))
    assert {text.exit_code, data.exit_code, commands.exit_code} == {1}
    problems = json.loads(data.output)["problems"]
    assert all(each["line"] and each["column"] and each["wrong"] for each in problems)
    assert sum(line.startswith("::error ") for line in commands.output.splitlines()) == len(problems)
    for line in commands.output.splitlines():
        assert re.fullmatch(r"::(error|warning) file=[^,]+,line=\d+,col=\d+(,title=[^,:]+)?::.+", line), line
    carets = [line for line in text.output.splitlines() if re.fullmatch(r" +\| +\^+", line)]
    empty = file.stem == "form_empty"
    assert len(carets) >= len(problems) - empty
    assert not re.search(r"[^\n\x20-\x7e\u00a0-\uffff\U00010000-\U0010ffff]", text.output)


def test_each_problem_comes_with_its_line(tmp_path: Path) -> None:
    """And carets under the place; in a pipe without colour."""
    file = tmp_path / "waitroom.yaml"
    file.write_text(f"{ONE}listen: {{public: [80], admin: '127.0.0.1:9090'}}\n", encoding="utf-8")
    lines = _check(file).output.splitlines()
    assert lines[1:] == [
        "    2 | listen: {public: [80], admin: '127.0.0.1:9090'}",
        "      |                   ^^",
        f"{file}: 1 problem",
    ]


def test_a_warning_fails_only_where_that_is_wanted(tmp_path: Path) -> None:
    """What works and is probably not meant: told, counted, exit code 0; with --strict 1."""
    file = tmp_path / "waitroom.yaml"
    file.write_text(f"{ONE}trusted_proxies: [10.0.0.0/7]\n", encoding="utf-8")
    lenient, strict = _check(file), _check("--strict", file)
    assert (lenient.exit_code, strict.exit_code) == (0, 1)
    assert lenient.output == strict.output
    assert f"{file}:2:19: warning: trusted_proxies[0]: 10.0.0.0/7 is larger than" in lenient.output
    assert lenient.output.endswith(f"{file}: OK: 1 pool, 1 backend, 0 exams; 1 warning\n")
    answer = json.loads(_check("--format", "json", file).output)
    assert (answer["ok"], answer["problems"], answer["warnings"][0]["line"]) == (True, [], 2)


def test_github_shows_it_beside_the_line(tmp_path: Path) -> None:
    """A workflow command each, escaped; nothing at all for a clean file."""
    file = tmp_path / "waitroom.yaml"
    file.write_text(f"{ONE}trusted_proxies: [10.0.0.0/7]\nlogging: {{level: '50%'}}\n", encoding="utf-8")
    bad = _check("--format", "github", file)
    (error,) = bad.output.splitlines()
    assert error.startswith(f'::error file={file},line=3,col=18,title=logging.level::logging.level: "50%25" is not')
    assert bad.exit_code == 1
    file.write_text(f"{ONE}trusted_proxies: [10.0.0.0/7]\n", encoding="utf-8")
    assert _check("--format", "github", file).output.startswith(
        f"::warning file={file},line=2,col=19,title=trusted_proxies[0]::trusted_proxies[0]: 10.0.0.0/7 is larger"
    )
    clean = _check("--format", "github", CONFIG / "minimal.yaml")
    assert (clean.exit_code, clean.output) == (0, "")


@pytest.mark.parametrize(("no_colour", "escapes"), [("", True), ("1", False)])
def test_on_a_terminal_it_is_laid_out(tmp_path: Path, no_colour: str, escapes: bool) -> None:
    """Suggestion at the carets, what is allowed wrapped below; colour, but not where NO_COLOR is set."""
    (tmp_path / "waitroom.yaml").write_text(f"{ONE}queu_status: 5\n", encoding="utf-8")
    said = on_terminal("check", "waitroom.yaml", cwd=tmp_path, columns=80, env={"NO_COLOR": no_colour})
    assert ("\x1b[" in said) is escapes
    plain = re.sub(r"\x1b\[[0-9;]*m", "", said).splitlines()
    assert plain[:5] == [
        "waitroom.yaml:2:1: queu_status: unknown key",
        "    2 | queu_status: 5",
        "      | ^^^^^^^^^^^ did you mean queue_status?",
        "      = allowed: listen, workers, store, secrets, trusted_proxies, forward_as,",
        "                 hosts, queue_status, prefix, pools, exams, default_pool,",
    ]
    assert max(map(len, plain)) < 80


def test_the_schema_is_printed() -> None:
    """To be kept beside the file."""
    result = _check("--schema")
    assert result.exit_code == 0
    assert json.loads(result.output)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_no_file_is_asked_for_kindly() -> None:
    """With an example, and the exit code of wrong usage."""
    result = _check()
    assert result.exit_code == 2
    assert "waitroom check waitroom.yaml" in result.output
