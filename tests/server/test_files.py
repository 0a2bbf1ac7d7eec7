"""Open files: as many as the machine allows, and a word where that is too few."""

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

from tests.support.aio import run
from tests.support.product import serving, until
from waitroom.server.files import raise_file_limit, too_few_files

USUAL_SOFT = 1_024
"""What a shell or a service manager gives."""

BEYOND_ANY = "limits: {connections: 1000000}"
"""Needs more than Linux' default fs.nr_open, to which every hard limit is bound."""


@contextlib.contextmanager
def soft_limit(files: int) -> Iterator[int]:
    """This process, and what it starts, with so low a soft limit; gives the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    try:
        yield hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_files(pid: int) -> int:
    """The soft limit of another process."""
    soft, _ = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    return soft


def test_workers_get_all_that_the_machine_allows(tmp_path: Path) -> None:
    """The soft limit that a shell gives is raised to the hard one; where even that is too small the log says so."""

    async def main() -> None:
        with soft_limit(USUAL_SOFT) as hard:
            async with serving(
                tmp_path, "--backend", "http://127.0.0.1:9", "--max-sessions", "1", config=BEYOND_ANY
            ) as product:
                assert {open_files(pid) for pid in product.children("waitroom.server.worker")} == {hard}

                async def said() -> bool:
                    return "too_few_open_files" in product.log.read_text()

                await until(said, what="the word about it")

    run(main())


def test_what_is_too_few() -> None:
    """Two files a connection, one for each idle backend connection, and some for the worker itself."""
    with soft_limit(USUAL_SOFT):
        assert too_few_files(connections=448, backend_idle=64) is None
        said = too_few_files(connections=449, backend_idle=64)
        assert said is not None
        assert "1024" in said
        assert "LimitNOFILE=1026" in said
        raise_file_limit()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert soft == hard
