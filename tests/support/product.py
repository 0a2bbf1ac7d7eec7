"""The product as an operator runs it: a `waitroom serve` process, and how to wait for what it does."""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import aiohttp

from tests.support.ports import free_port

T = TypeVar("T")

START_S = 90.0
"""Until a fresh product is ready, and for whatever else comes if it comes at all: a loaded two-core machine stands
still for seconds, and a wider bound costs nothing where the test passes."""

LOOK_S = 0.02
"""Pause between two looks at something that has no event of its own."""


async def until(look: Callable[[], Awaitable[T]], *, within_s: float = START_S, what: str = "it") -> T:
    """The first true result of `look`, which is asked again and again; fails saying `what` never came."""
    try:
        async with asyncio.timeout(within_s):
            while not (seen := await look()):
                await look_again()
            return seen
    except TimeoutError:
        raise AssertionError(f"{what} did not come within {within_s} s") from None


async def look_again(after_s: float = LOOK_S) -> None:
    """The pause between two looks at what has no event of its own; nothing else in a test lets time pass."""
    loop = asyncio.get_running_loop()
    later = loop.create_future()
    timer = loop.call_later(after_s, later.set_result, None)
    try:
        await later
    finally:
        timer.cancel()


async def at_best(measured: Callable[[], Awaitable[float]], *, within_s: float, what: str, turns: int = 4) -> None:
    """Hold a promise about time: what is measured, again and again, is kept to `within_s` at least once.

    A machine that stands still for a moment only adds to one turn; a product that is too slow is so in each.
    """
    took_s: list[float] = []
    while not took_s or took_s[-1] > within_s:
        assert len(took_s) < turns, f"{what} took {', '.join(f'{each:.2f}' for each in took_s)} s, not {within_s} s"
        took_s.append(await measured())


@dataclass(slots=True)
class Product:
    """One running `waitroom serve`."""

    process: asyncio.subprocess.Process
    public: str
    admin: str
    data_dir: Path
    log: Path
    ended: bool = field(default=False)

    async def metrics(self) -> dict[str, float]:
        """Every sample of /metrics by `name{labels}`."""
        async with aiohttp.ClientSession() as client, client.get(f"{self.admin}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    async def command(self, *words: str, given: str = "", env: dict[str, str] | None = None) -> tuple[int, str, str]:
        """`waitroom WORDS` on the machine itself, where the keys can be read: exit code, stdout, stderr.

        What is given is a file: a command that has ended already, since this process was stopped, has no pipe.
        """
        with tempfile.TemporaryFile() as file:
            file.write(given.encode())
            file.seek(0)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "waitroom", *words, cwd=self.data_dir.parent, env=_environment() | (env or {}),
                stdin=file, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    def children(self, word: str = "") -> list[int]:
        """Process ids of the supervisor's children whose command line contains `word`."""
        return [pid for pid in _children(self.process.pid) if word in _command(pid)]

    async def stop(self, with_signal: int = signal.SIGTERM) -> int:
        """Ask it to end and wait until it has."""
        if self.process.returncode is None:
            self.process.send_signal(with_signal)
        return await asyncio.wait_for(self.process.wait(), START_S)


@contextlib.asynccontextmanager
async def serving(
    tmp_path: Path,
    *arguments: str,
    config: str | None = None,
    public: int | None = 0,
    manager: Callable[[], tuple[Sequence[str], Sequence[int]]] = lambda: ((), ()),
) -> AsyncIterator[Product]:
    """A product on free ports, or this public one, with its own data folder; what it logged is shown on failure.

    `public` None: the configuration says where students come. `manager`: a command that starts it, and the descriptors
    that it takes along.
    """
    public, admin = free_port() if public == 0 else public, free_port()
    flags = [
        *(_config_file(tmp_path, config)),
        *arguments,
        *(() if public is None else ("--listen", f"127.0.0.1:{public}")),
        *("--admin", f"127.0.0.1:{admin}", "--data-dir", str(tmp_path / "var")),
    ]
    log = tmp_path / "serve.log"
    launcher, descriptors = manager()
    with log.open("ab") as sink:
        process = await asyncio.create_subprocess_exec(
            *launcher,
            sys.executable,
            "-m",
            "waitroom",
            "serve",
            *flags,
            pass_fds=descriptors,
            stdout=sink,
            stderr=sink,
            cwd=tmp_path,
            env=_environment(),
        )
    product = Product(process, f"http://127.0.0.1:{public}", f"http://127.0.0.1:{admin}", tmp_path / "var", log)
    try:
        await until(lambda: _ready(product), what=f"readiness (see {log}: {_tail(log)})")
        yield product
    except BaseException:
        sys.stderr.write(f"--- {log}\n{_tail(log)}\n")
        raise
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), START_S)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _ready(product: Product) -> bool:
    if product.process.returncode is not None:
        raise AssertionError(f"serve ended with {product.process.returncode}: {_tail(product.log)}")
    with contextlib.suppress(aiohttp.ClientError):
        async with aiohttp.ClientSession() as client, client.get(f"{product.admin}/readyz") as answer:
            return answer.status == 200
    return False


def alive(pid: int) -> bool:
    """Whether a process is there."""
    return Path(f"/proc/{pid}").exists()


def _environment() -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    return os.environ | {"PYTHONPATH": root, "PYTHONWARNINGS": "default"}


def _config_file(tmp_path: Path, config: str | None) -> Sequence[str]:
    if config is None:
        return ()
    path = tmp_path / "waitroom.yaml"
    path.write_text(config, encoding="utf-8")
    return (str(path),)


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-4_000:] if log.exists() else ""


def _children(parent: int) -> list[int]:
    path = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(pid) for pid in path.read_text().split()] if path.exists() else []


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""
