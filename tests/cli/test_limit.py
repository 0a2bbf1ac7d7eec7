"""What `waitroom limit` takes, before it asks anybody."""

import pytest
from click.testing import CliRunner

from waitroom.cli.main import main


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("limit", "p"), "Either limits"),
        (("limit", "p", "--undo", "--rate", "1/s"), "Either limits"),
        (("limit", "p", "--backend", "b", "--rate", "1/s"), "--backend goes with --max-sessions"),
        (("limit", "p", "--max-sessions", "many"), "a whole number from 1, or file"),
        (("limit", "p", "--max-sessions", "-3"), "a whole number from 1, or file"),
        (("limit", "p", "--max-sessions", "0"), "waitroom hold"),
        (("stauts",), "There is no command stauts. Did you mean status?"),
        (("frobnicate",), "There is no command frobnicate."),
        (("limit", "p", "--rate", "1/s", "--for", "20"), "--for: 20 has no unit"),
        (("limit", "p", "--rate", "1/s", "--for", "8d"), "--for: 8d is out of range"),
        (("hold", "p", "--for", "soon"), "--for"),
        (("audit", "--last", "0"), "--last"),
        (("ticket",), "K7QF-2M9D"),
    ],
)
def test_usage(words: tuple[str, ...], said: str) -> None:
    """Told with what is allowed; exit code 2, and nobody was asked."""
    result = CliRunner().invoke(main, [*words])
    assert result.exit_code == 2
    assert said in result.output


def test_a_code_is_looked_up_and_a_command_is_run() -> None:
    """What is no command of `ticket` is a code; both need the service, which is not here."""
    for words in (("ticket", "K7QF-2M9D"), ("ticket", "show", "K7QF-2M9D")):
        result = CliRunner().invoke(main, [*words, "--admin", "http://127.0.0.1:1"])
        assert result.exit_code == 2
        assert "http://127.0.0.1:1 does not answer" in result.output
    assert "fingerprint" in CliRunner().invoke(main, ["ticket", "draw", "seed"]).output
