"""The five minutes of README: one place, a second visitor who waits, and a limit that lets them in."""

from pathlib import Path

from tests.docs.blocks import blocks
from tests.docs.morning import ROOT
from tests.support.aio import run
from tests.support.backend import counting_backend
from tests.support.product import serving, until
from tests.support.student import Student

README = ROOT / "README.md"


def _shown(beginning: str) -> list[str]:
    """The command of README that begins so, in words."""
    lines = [line for block in blocks(README) for line in block.text.splitlines() if line.startswith(beginning)]
    return lines[0].partition("#")[0].split()


def test_from_a_server_to_a_protected_server(tmp_path: Path) -> None:
    """What README lets a newcomer type does what README says."""
    serve, limit = _shown("waitroom serve --backend"), _shown("waitroom limit main")
    assert serve[2:] == ["--backend", "http://127.0.0.1:8000", "--max-sessions", "1"]

    async def five_minutes() -> None:
        async with (
            counting_backend() as server,
            serving(tmp_path, *serve[4:], "--backend", server.url) as product,
            Student(product.public, "first") as first,
            Student(product.public, "second") as second,
        ):
            assert (await first.page()).state is None
            assert (await second.page()).state == "waiting"

            async def limited() -> bool:
                """A store that got no time for two seconds is told, and the command is typed again."""
                code, _, said = await product.command(*limit[1:], "--admin", product.admin)
                assert (code, said) == (0, "") or "The store does not answer" in said, said
                return code == 0

            await until(limited, what="the limit")
            await second.enter()
            assert server.inside == {"first", "second"}

    run(five_minutes())
