"""Kolibri as a school would run it: installed from PyPI, one class with a quiz inside, serving on loopback.

Law: nothing of it outlives the run but the installation, which is kept because it weighs 380 MB.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.ports import free_port
from tests.support.product import until
from tests.support.venvs import InstallError, installed

VERSION = "0.19.5"
"""The Kolibri whose pages, traffic and database this was written against; it runs on Python 3.11."""

START_S = 90.0
"""Kolibri is up after 3 s on an idle two-core machine."""

STOP_S = 20.0

SCRIPT = Path(__file__).with_name("school.py")

QUIET = {
    "KOLIBRI_LISTEN_ADDRESS": "127.0.0.1",
    "KOLIBRI_ZEROCONF_ENABLED": "false",  # no announcement on the local network
    "KOLIBRI_DISABLE_PING": "true",  # no statistics to its makers
    "KOLIBRI_MINIMUM_DISK_SPACE": "0",  # no message about a nearly full disk over the quiz
    "NO_COLOR": "1",
}


class NotPossibleError(RuntimeError):
    """Something this machine lacks, said so that somebody can act on it."""


@dataclass(frozen=True, slots=True)
class Question:
    """A multiple-choice question; `right` is the index of the right choice."""

    id: str
    text: str
    choices: tuple[str, ...]
    right: int


@dataclass(frozen=True, slots=True)
class School:
    """What is inside: enough for learners to take a quiz."""

    facility: str = "Faculty of Sciences"
    classroom: str = "Calculus I"
    quiz: str = "Calculus I, first session"
    channel: str = "Question bank"
    exercise: str = "Calculus"
    coach: str = "coach"
    password: str = "chalk-and-board"
    learners: tuple[str, ...] = ("ada", "ben", "cleo")
    questions: tuple[Question, ...] = (
        Question("a1" * 16, "What is $2 + 3$?", ("4", "5", "6"), 1),
        Question("b2" * 16, "What is the derivative of $x^2$?", ("$x$", "$x^3$", "$2x$"), 2),
        Question("c3" * 16, "Where is the Montefiore Institute?", ("Liège", "Namur", "Mons"), 0),
    )


@dataclass(frozen=True, slots=True)
class Attempt:
    """What Kolibri's database holds of one learner's quiz."""

    submitted: bool
    marks: dict[str, float]


@dataclass(slots=True)
class Kolibri:
    """An installation, a home folder and, while serving, a URL."""

    python_home: Path
    home: Path
    school: School = field(default_factory=School)
    url: str = ""

    @property
    def command(self) -> str:
        """The `kolibri` command of the installation."""
        return str(self.python_home / "bin" / "kolibri")

    async def provision(self) -> None:
        """A device with a facility, a class, its people and an active quiz, all without network."""
        self.home.mkdir(parents=True)
        facility = self.home / "facility.json"
        facility.write_text(json.dumps({"learner_can_login_with_no_password": False}))
        device = self.home / "device.json"
        device.write_text(json.dumps({"allow_guest_access": False}))
        await self._run(
            *("manage", "provisiondevice", "--noinput", "--language_id", "en", "--preset", "formal"),
            *(
                "--facility",
                self.school.facility,
                "--superusername",
                "admin",
                "--superuserpassword",
                "key-to-the-school",
            ),
            *("--facility_settings", str(facility), "--device_settings", str(device)),
        )
        await self._ask("found")

    async def attempts(self) -> dict[str, Attempt]:
        """Who took the quiz, as the database says."""
        told = await self._ask("attempts")
        return {name: Attempt(said["submitted"], said["marks"]) for name, said in told.items()}

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """The platform's URL while it serves; the process is gone afterwards, whatever happened."""
        port = free_port()
        log = self.home / "serve.log"
        with log.open("wb") as sink:
            process = await asyncio.create_subprocess_exec(
                *(self.command, "start", "--foreground", "--port", str(port), "--zip-port", str(free_port())),
                stdin=asyncio.subprocess.DEVNULL, stdout=sink, stderr=sink, env=self._environment(),
            )  # fmt: skip
        self.url = f"http://127.0.0.1:{port}"
        try:
            await until(lambda: self._ready(process, log), within_s=START_S, what=f"Kolibri (see {log})")
            yield self.url
        finally:
            await _end(process)

    async def _ready(self, process: asyncio.subprocess.Process, log: Path) -> bool:
        if process.returncode is not None:
            raise NotPossibleError(f"Kolibri ended with {process.returncode} while starting:\n{_last_lines(log)}")
        with contextlib.suppress(aiohttp.ClientError):
            async with aiohttp.ClientSession() as client, client.get(f"{self.url}/api/public/info/") as answer:
                return answer.status == 200
        return False

    async def _ask(self, deed: str) -> dict[str, Any]:
        """Run school.py in Kolibri's management shell and read its answer."""
        more = {"DEED": deed, "SCHOOL": json.dumps(asdict(self.school))}
        said = await self._run("manage", "shell", stdin=SCRIPT, more=more)
        for line in said.splitlines():
            if line.startswith("ANSWER"):
                answer: dict[str, Any] = json.loads(line.removeprefix("ANSWER"))
                return answer
        raise NotPossibleError(f"Kolibri's shell gave no answer to {deed!r}:\n{_tail(said)}")

    async def _run(self, *arguments: str, stdin: Path | None = None, more: dict[str, str] | None = None) -> str:
        environment = self._environment() | (more or {})
        return await run(self.command, *arguments, stdin=stdin, environment=environment)

    def _environment(self) -> dict[str, str]:
        return os.environ | QUIET | {"KOLIBRI_HOME": str(self.home)}


async def install(cache: Path) -> Path:
    """The installation's folder, made on the first run and kept."""
    try:
        return await installed(f"kolibri-{VERSION}", f"kolibri=={VERSION}", cache=cache)
    except (InstallError, TimeoutError) as lacking:
        raise NotPossibleError(f"Kolibri cannot be installed: {lacking}") from None


async def run(
    *command: str, stdin: Path | None = None, environment: dict[str, str] | None = None, limit_s: float = 300.0
) -> str:
    """A command's output; a failure is told with the last lines it said."""
    with _input(stdin) as source:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=source, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=environment
        )
        try:
            said, _ = await asyncio.wait_for(process.communicate(), limit_s)
        except TimeoutError:
            raise NotPossibleError(f"`{' '.join(command[:4])} ...` did not end within {limit_s:.0f} s") from None
        finally:
            await _end(process)
    text = said.decode(errors="replace")
    if process.returncode:
        raise NotPossibleError(f"`{' '.join(command[:4])} ...` ended with {process.returncode}:\n{_tail(text)}")
    return text


@contextlib.contextmanager
def _input(path: Path | None) -> Iterator[Any]:
    if path is None:
        yield asyncio.subprocess.DEVNULL
        return
    with path.open("rb") as source:
        yield source


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask, then insist; returns when the process is gone."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()


def _last_lines(log: Path) -> str:
    return _tail(log.read_text(errors="replace"))


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-25:])
