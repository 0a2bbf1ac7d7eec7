"""Conversations between a client and a backend, played by varnishtest: one `.vtc` file of `transcripts` a subject.

Law: a transcript says every byte that matters at both ends, in the order in which it happens. A line `#| s1 X-A: 1` in
it stands for a line of a head that s1 (c1, ...) receives; those of one head follow each other without a gap. Which
language the files speak: `man vtc`.
"""

import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.conformance.open_proxy import open_proxy, output_of
from tests.support.aio import run
from tests.support.ports import free_port
from waitroom.settings.addresses import BackendUrl

HERE = Path(__file__).parent
TRANSCRIPTS = sorted((HERE / "transcripts").glob("*.vtc"))
PATIENCE_S = 60


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcript(transcript: Path) -> None:
    """Both ends see what the transcript says."""
    program = shutil.which("varnishtest")
    assert program is not None, "varnishtest is missing; install it: bash .ci/system varnishtest"

    async def main() -> tuple[int, str]:
        port = free_port()
        async with open_proxy(BackendUrl("http", "127.0.0.1", port)) as proxy:
            address = f"127.0.0.1:{proxy.port}"
            macros = {
                "proxy": address,
                "backend": f"127.0.0.1:{port}",
                "say": f"{sys.executable} {HERE / 'say.py'} {address}",
            }
            defined = [word for name, value in macros.items() for word in ("-D", f"{name}={value}")]
            return await output_of(program, "-v", "-t", PATIENCE_S, *defined, transcript)

    status, log = run(main())
    assert status == 0, f"{log}\n{transcript.name}: what differs is at ---- above"
    assert not (missing := unseen(transcript.read_text(encoding="utf-8"), log)), f"{log}\nnot received: {missing}"


def unseen(transcript: str, log: str) -> dict[str, list[str]]:
    """The lines that a transcript promises and that the log does not have in one piece, by receiver."""
    promised: dict[str, list[str]] = {}
    for who, line in re.findall(r"^\s*#\| (\w+) (.*)$", transcript, re.MULTILINE):
        promised.setdefault(who, []).append(line)
    return {who: lines for who, lines in promised.items() if "\n".join(lines) not in received(who, log)}


def received(who: str, log: str) -> str:
    """All lines of heads that one party received."""
    return "\n".join(re.findall(rf"^\S+ +{who} +rxhdr\|(.*?)(?:\\r)?$", log, re.MULTILINE))


def test_a_promise_of_a_transcript_is_kept_in_one_piece() -> None:
    """Lines in another order, or with another between them, are missed."""
    log = "".join(f"**** s1    rxhdr|{line}\\r\n" for line in ("GET / HTTP/1.1", "X-A: 1", "x-a:2", "X-B: 3"))
    assert unseen("    #| s1 X-A: 1\n    #| s1 x-a:2\n", log) == {}
    assert unseen("#| s1 x-a:2\n#| s1 X-A: 1\n", log) == {"s1": ["x-a:2", "X-A: 1"]}
    assert unseen("#| s1 X-A: 1\n#| s1 X-B: 3\n", log) == {"s1": ["X-A: 1", "X-B: 3"]}
    assert unseen("#| c1 X-A: 1\n", log) == {"c1": ["X-A: 1"]}
