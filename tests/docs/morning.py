"""A service as the docs suppose it: two pools, an exam, an admin listener, a token, and students who wait.

Law: the docs' addresses and code stand for those of this service, and for nothing else (`Morning.meant`). Commands run
beside the service's keys, as an operator on the machine does.
"""

import asyncio
import contextlib
import hashlib
import os
import shlex
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from click.testing import CliRunner

from tests.support.backend import counting_backend
from tests.support.ports import free_port
from tests.support.product import START_S, until
from tests.support.student import Student
from tests.support.terminal import watched_on_terminal
from waitroom.cli.main import main

ROOT = Path(__file__).parents[2]
CODE, TOKEN = "K7QF-2M9D", "a-token-of-the-dean"
RUN_S = 120.0

SETTINGS = """\
listen: {{public: "127.0.0.1:{public}", admin: "127.0.0.1:{admin}"}}
workers: 1
limits: {{connections: 100}}
store: {{data_dir: {folder}/var}}
secrets: {{file: {folder}/var/secrets}}
pools:
  sciences:
    backends:
      sci-1: {{url: "{backends[0]}", max_sessions: 400}}
      sci-2: {{url: "{backends[1]}", max_sessions: 400}}
    admission: {{rate: 20/s}}
    health: {{path: /}}
  humanities: {{backends: {{hum-1: {{url: "{backends[2]}", max_sessions: 400}}}}}}
exams:
  MATH0001: {{pool: sciences, match: [{{path: "/math*"}}]}}
  HIST0042: {{pool: humanities, match: [{{path: "/history*"}}]}}
  PHYS0002: {{pool: sciences, match: [{{path: "/phys*"}}], opens: 2063-06-02T09:00:00+02:00}}
default_pool: sciences
admin: {{tokens: [{{name: dean, sha256: {sha256}, scopes: [read, operate]}}]}}
"""

DRAFT = """\
pools:
  sciences: {backends: {sci-1: {url: "http://10.0.0.11", max_sessions: 800}}}
exams:
  MATH0001: {pool: sciences, match: [{path: /math}], expected: 1400}
  PHYS0002: {pool: sience, match: [{path: /phys}]}
default_pool: sciences
"""
"""What README shows a report of."""

ENDLESS = {"serve": "Stop with Ctrl-C", "--watch": "sciences"}
"""Words of commands that do not end by themselves, and what they say before Ctrl-C."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Morning:
    """What runs."""

    folder: Path
    public: str
    admin: str
    backend: str

    async def meant(self, command: str) -> str:
        """The command with the addresses that are meant, and the code of a student who has just come."""
        for told, is_ in (("8080", self.public), ("9090", self.admin), ("8000", self.backend)):
            for host in ("127.0.0.1", "localhost"):
                command = command.replace(f"http://{host}:{told}", is_)
        return command.replace(CODE, await self.newcomer()) if CODE in command else command

    async def newcomer(self) -> str:
        """The code of a student in the lobby of an exam that opens in many years, so of somebody who waits."""
        async with Student(self.public, "") as student:
            await student.page("/phys")
            return str((await student.poll())["code"])

    async def record(self) -> None:
        """The record of a wait, as a student keeps it."""
        async with Student(self.public, "") as student:
            await student.page("/phys")
            got = await student.ask("GET", "/_waitroom/receipt?pool=sciences", {"Accept": "text/html"})
            (self.folder / "record.txt").write_bytes(got.body)

    async def run(self, command: str) -> Ended:
        """Run a command to its end; one of ours without anything of a shell in it, here, which saves its start."""
        words = shlex.split(command, comments=True)
        for word, said in ENDLESS.items():
            if words[0] == "waitroom" and word in words:
                return await self._until(words, said)
        plain = not set("|&;<>$(){}") & set(shlex.join(words).replace("'", "")) and words[0] == "waitroom"
        return await (self._here(words[1:]) if plain else self._shell(command))

    async def _here(self, words: list[str]) -> Ended:
        done = await asyncio.to_thread(CliRunner().invoke, main, words, prog_name="waitroom")
        return Ended(done.exit_code, done.stdout, done.stderr)

    async def _shell(self, command: str) -> Ended:
        process = await self._start("bash", "-euo", "pipefail", "-c", command)
        out, err = await asyncio.wait_for(process.communicate(), RUN_S)
        return Ended(process.returncode or 0, out.decode(), err.decode())

    async def _until(self, words: list[str], said: str) -> Ended:
        more = ()
        if "serve" in words:
            more = ("--listen", f"127.0.0.1:{free_port()}", "--admin", f"127.0.0.1:{free_port()}", "--workers", "1",
                    "--data-dir", str(self.folder / "another"))  # fmt: skip
        code, out = await asyncio.to_thread(
            watched_on_terminal, *words[1:], *more, cwd=self.folder, columns=120, until=said
        )
        return Ended(code, out, "")

    async def _start(self, *words: str) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *words, cwd=self.folder, env=os.environ | self.environment(), stdin=asyncio.subprocess.DEVNULL, stdout=pipe,
            stderr=pipe,
        )  # fmt: skip

    def environment(self) -> dict[str, str]:
        """With `waitroom` and `python` as in the virtual environment, and where the service is."""
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        return {"PATH": path, "PYTHONPATH": str(ROOT), "WAITROOM_TOKEN": TOKEN, "WAITROOM_ADMIN": self.admin}


@contextlib.asynccontextmanager
async def morning(folder: Path) -> AsyncIterator[Morning]:
    """The service, from its start to its end, with the files that the docs name."""
    async with counting_backend() as one, counting_backend() as two, counting_backend() as three:
        public, admin = free_port(), free_port()
        text = SETTINGS.format(public=public, admin=admin, folder=folder, backends=(one.url, two.url, three.url),
                               sha256=hashlib.sha256(TOKEN.encode()).hexdigest())  # fmt: skip
        for name in ("waitroom.yaml", "yesterday.yaml"):
            (folder / name).write_text(text)
        (folder / "draft.yaml").write_text(DRAFT)
        (folder / "bin").mkdir()
        shim = folder / "bin/waitroom"
        shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m waitroom "$@"\n')
        shim.chmod(0o755)
        found = Morning(folder, f"http://127.0.0.1:{public}", f"http://127.0.0.1:{admin}", one.url)
        with (folder / "serve.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                str(shim), "serve", "waitroom.yaml", cwd=folder, env=os.environ | found.environment(), stdout=log,
                stderr=log,
            )  # fmt: skip
        try:
            await until(lambda: _ready(process, found), what="readiness")
            await found.record()
            yield found
        finally:
            if process.returncode is None:
                process.terminate()
                await asyncio.wait_for(process.wait(), START_S)


async def _ready(process: asyncio.subprocess.Process, service: Morning) -> bool:
    assert process.returncode is None, (service.folder / "serve.log").read_text()
    with contextlib.suppress(aiohttp.ClientError):
        async with aiohttp.ClientSession() as client, client.get(f"{service.admin}/readyz") as answer:
            return answer.status == 200
    return False
