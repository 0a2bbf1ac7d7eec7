"""Python programs that are too heavy for everybody's environment: installed once from PyPI, kept under `out/`.

Law: what is kept is whole. An installation that was cut short is made again, and two at once wait for each other.
"""

import asyncio
import contextlib
import fcntl
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

OUT = Path(__file__).parents[2] / "out"

LIMIT_S = 300.0


class InstallError(RuntimeError):
    """PyPI could not be had, or said no."""


async def installed(name: str, *requirements: str, cache: Path = OUT) -> Path:
    """The folder of a virtual environment with these packages; `name` stands for exactly them."""
    folder = cache / name
    complete = folder / "complete"
    with _alone(cache / f"{name}.lock"):
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)
            await _run(sys.executable, "-m", "venv", str(folder))
            await _run(str(folder / "bin" / "pip"), "install", "--quiet", "--no-input", *requirements)
            complete.touch()
    return folder


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), LIMIT_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        lines = "\n".join(said.decode(errors="replace").splitlines()[-25:])
        raise InstallError(f"`{' '.join(command[:4])} ...` ended with {process.returncode}:\n{lines}")
