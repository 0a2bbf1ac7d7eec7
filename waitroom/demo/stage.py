"""Puts the demonstration on its stage: the sample exam server and `waitroom serve`, as processes of the same Python.

Law: what was started is ended, whatever happens: asked once, asked again, then killed with everything it started. All
files lie in one temporary folder that goes with it.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from waitroom.demo.browser import pause
from waitroom.demo.exam import EXAMS
from waitroom.errors import WaitroomError

START_S = 30.0
"""Until a child is ready; a slow laptop included."""

GRACE_S = 5.0
"""For each way of asking a child to end."""

LOOK_S = 0.05
"""Pause between two looks at a child that is starting."""

POOL, BACKEND = "exams", "sample"


class StageError(WaitroomError):
    """The demonstration cannot begin, or one of its processes ended by itself."""


@dataclass(frozen=True, slots=True)
class Places:
    """Who listens where, as HOST:PORT."""

    public: str
    exam: str
    console: str
    admin: str

    @classmethod
    def of(cls, listen: str | None, port_base: int) -> "Places":
        """The waiting room at `listen` or the base, everything else behind the base on loopback."""
        exam, console, admin = (f"127.0.0.1:{port_base + offset}" for offset in (1, 2, 3))
        return cls(listen or f"127.0.0.1:{port_base}", exam, console, admin)

    @property
    def public_url(self) -> str:
        """Through the waiting room; somebody who listens everywhere can be reached here."""
        host, port = split(self.public)
        everywhere = host in {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound
        return f"http://{'127.0.0.1' if everywhere else host}:{port}"

    @property
    def exam_url(self) -> str:
        """Straight to the exam server."""
        return f"http://{self.exam}"

    @property
    def console_url(self) -> str:
        """The exam server's state, dead or alive."""
        return f"http://{self.console}/server-status"

    @property
    def admin_url(self) -> str:
        """The waiting room's operators."""
        return f"http://{self.admin}"


@dataclass(slots=True)
class Child:
    """One process of ours."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    def check(self) -> None:
        """Fail if it has ended by itself."""
        if self.process.returncode is not None:
            tail = self.log.read_text(encoding="utf-8", errors="replace")[-2_000:].strip()
            raise StageError(f"{self.name} ended by itself with {self.process.returncode}:\n{tail}")

    async def end(self) -> None:
        """Ask, ask again, kill."""
        for ask in (self.process.terminate, self.process.terminate, self._kill):
            if self.process.returncode is not None:
                return
            with contextlib.suppress(ProcessLookupError):
                ask()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), GRACE_S)

    def _kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)


@dataclass(slots=True)
class Stage:
    """What runs."""

    places: Places
    exam_server: Child
    waiting_room: Child | None

    def check(self) -> None:
        """Fail if anything of it has ended by itself."""
        for child in (self.exam_server, self.waiting_room):
            if child is not None:
                child.check()


@contextlib.asynccontextmanager
async def stage(
    places: Places, *, max_sessions: int, with_waiting_room: bool, seed: int, server: Sequence[str] = ()
) -> AsyncIterator[Stage]:
    """Everything started and ready; everything ended afterwards. Raises StageError.

    `server`: flags of the sample exam server, if it is to be another machine than usual.
    """
    addresses = [places.exam, places.console, *((places.public, places.admin) if with_waiting_room else ())]
    for address in addresses:
        _must_be_free(address)
    with tempfile.TemporaryDirectory(prefix="waitroom-demo-", ignore_cleanup_errors=True) as folder:
        children: list[Child] = []
        try:
            exam_server = await _exam_server(Path(folder), places, seed, server)
            children.append(exam_server)
            await _ready(exam_server, places.console_url)
            room = None
            if with_waiting_room:
                room = await _waiting_room(Path(folder), places, max_sessions)
                children.append(room)
                await _ready(room, f"{places.admin_url}/readyz")
            yield Stage(places, exam_server, room)
        finally:
            for child in reversed(children):
                await child.end()


def split(address: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) <= 65_535:
        raise StageError(f"{address!r} is no HOST:PORT, for example 127.0.0.1:8080")
    return host.strip("[]"), int(port)


def settings_text(exam_url: str, max_sessions: int) -> str:
    """The settings file of the demonstration."""
    exams = "".join(
        f"  {exam.code}:\n"
        f'    title: {{en: "{exam.title}"}}\n'
        f"    pool: {POOL}\n"
        f'    match: [{{path: "/mod/quiz/*", query: {{id: "{cmid}"}}}}, {{query: {{cmid: "{cmid}"}}}}]\n'
        for cmid, exam in EXAMS.items()
    )
    return (
        f"pools:\n  {POOL}:\n    backends:\n"
        f'      {BACKEND}: {{url: "{exam_url}", max_sessions: {max_sessions}}}\n'
        f"    session: {{idle_timeout: 2m}}\n"
        f"exams:\n{exams}"
        f"default_pool: {POOL}\n"
        "admin: {open_on_loopback: true}\n"
        f'release: [{{path: "/login/logout.php"}}]\n'
        f"logging: {{access: false}}\n"
    )


async def _exam_server(folder: Path, places: Places, seed: int, size: Sequence[str]) -> Child:
    flags = ["--listen", places.exam, "--console", places.console, "--seed", str(seed), "--parent", str(os.getpid())]
    return await _start("the sample exam server", folder / "exam.log", "waitroom.demo.exam_server", *flags, *size)


async def _waiting_room(folder: Path, places: Places, max_sessions: int) -> Child:
    file = folder / "waitroom.yaml"
    file.write_text(settings_text(places.exam_url, max_sessions), encoding="utf-8")
    data = folder / "var"
    flags = ["--listen", places.public, "--admin", places.admin, "--data-dir", str(data)]
    # The secrets belong to this folder too, wherever the command was typed.
    with file.open("a", encoding="utf-8") as text:
        text.write(f'secrets: {{file: "{data / "secrets"}"}}\n')
    return await _start("waitroom serve", folder / "serve.log", "waitroom", "serve", str(file), *flags)


async def _start(name: str, log: Path, module: str, *flags: str) -> Child:
    """In a session of its own, so that the terminal's Ctrl-C reaches us alone and we decide the order."""
    with log.open("ab") as sink:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, *flags, stdin=asyncio.subprocess.DEVNULL, stdout=sink, stderr=sink,
            start_new_session=True,
        )  # fmt: skip
    return Child(name, process, log)


async def _ready(child: Child, url: str) -> None:
    async def answers() -> bool:
        with contextlib.suppress(aiohttp.ClientError):
            async with aiohttp.ClientSession() as client, client.get(url) as answer:
                return answer.status == 200
        return False

    await _until(answers, child)


async def _until(look: Callable[[], Awaitable[bool]], child: Child) -> None:
    try:
        async with asyncio.timeout(START_S):
            while not await look():
                child.check()
                await pause(LOOK_S)
    except TimeoutError:
        raise StageError(f"{child.name} was not ready within {START_S:.0f} s") from None


def _must_be_free(address: str) -> None:
    host, port = split(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise StageError(
                f"cannot listen on {address}: {reason}. Choose others with --listen and --port-base"
            ) from None
