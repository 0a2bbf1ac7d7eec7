"""Jupyter Server as a course would run it: from PyPI, with a token, and with kernels that compute.

Law: it finds nothing of whoever runs the tests, and leaves nothing behind but its installation.
"""

import asyncio
import contextlib
import json
import os
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.ports import free_port
from tests.support.product import START_S, until
from tests.support.student import PAGE, Student
from tests.support.venvs import installed

VERSION, KERNEL_VERSION = "2.21.1", "7.4.0"
"""What this was written against; both run on Python 3.11."""

TOKEN = "chalk-and-board"

ANSWER_S = 60.0
"""A kernel starts within 1 s on an idle two-core machine."""


@contextlib.asynccontextmanager
async def jupyter(folder: Path) -> AsyncIterator[str]:
    """The URL of a server whose notebooks are in `folder`; the process and its kernels are gone afterwards."""
    requirements = f"jupyter_server=={VERSION}", f"ipykernel=={KERNEL_VERSION}"
    home = await installed(f"jupyter-{VERSION}-{KERNEL_VERSION}", *requirements)
    port = free_port()
    log = folder / "jupyter.log"
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            *(str(home / "bin" / "jupyter-server"), "--allow-root", "--no-browser", f"--port={port}"),
            *("--ServerApp.ip=127.0.0.1", "--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}"),
            stdin=asyncio.subprocess.DEVNULL, stdout=sink, stderr=sink, cwd=folder, env=_environment(folder, home),
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"

    async def ready() -> bool:
        assert process.returncode is None, log.read_text(errors="replace")
        with contextlib.suppress(aiohttp.ClientError):
            async with aiohttp.ClientSession() as client, client.get(f"{url}/api") as answer:
                return answer.status == 200
        return False

    try:
        await until(ready, within_s=START_S, what=f"Jupyter (see {log})")
        yield url
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


def _environment(folder: Path, home: Path) -> dict[str, str]:
    own = {name: str(folder / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    path = f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return os.environ | own | {"HOME": str(folder), "JUPYTER_RUNTIME_DIR": str(folder / "runtime"), "PATH": path}


@dataclass(slots=True)
class Learner:
    """A student's browser in Jupyter: signed in by the form, with the cookie and the token that its scripts send."""

    student: Student
    xsrf: str = ""

    async def sign_in(self) -> None:
        """The sign-in page, then its form."""
        page = await self.student.page("/login")
        assert (page.status, page.state) == (200, None), page
        form = {"password": TOKEN, "_xsrf": self._cookie("_xsrf")}
        answer = await self.student.ask("POST", "/login?next=%2Fapi", PAGE, data=form)
        assert (answer.status, answer.headers.get("Location")) == (302, "/api"), answer
        self.xsrf = self._cookie("_xsrf")

    async def api(self, method: str, path: str, **more: Any) -> Any:
        """What a script asks, read as JSON where there is any."""
        headers = {"X-XSRFToken": self.xsrf, "Accept": "application/json"}
        answer = await self.student.ask(method, path, headers, **more)
        assert answer.status in (200, 201, 204), answer
        return json.loads(answer.body) if answer.body else None

    @contextlib.asynccontextmanager
    async def kernel(self) -> AsyncIterator["Kernel"]:
        """A kernel of one's own, shut down with the block."""
        started = await self.api("POST", "/api/kernels", json={"name": "python3"})
        path = f"/api/kernels/{started['id']}"
        url = f"{self.student.base}{path}/channels"
        async with self.student.client.ws_connect(url, max_msg_size=0) as socket:
            yield Kernel(socket)
            await self.api("DELETE", path)
            assert await self.api("GET", "/api/kernels") == []

    def _cookie(self, name: str) -> str:
        return next(cookie.value for cookie in self.student.client.cookie_jar if cookie.key == name)


@dataclass(slots=True)
class Kernel:
    """The channels of a kernel, by the messaging protocol of Jupyter."""

    socket: aiohttp.ClientWebSocketResponse
    session: str = field(default_factory=lambda: uuid.uuid4().hex)

    async def execute(self, code: str) -> str:
        """Run a cell; what it printed, once it is done and well."""
        asked = uuid.uuid4().hex
        header = {
            "msg_id": asked, "msg_type": "execute_request", "session": self.session, "username": "", "version": "5.3",
        }  # fmt: skip
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": True}
        parts = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
        await self.socket.send_json({**parts, "channel": "shell", "buffers": []})
        printed, missing = "", {"execute_reply", "idle"}
        while missing:
            said = await self.socket.receive_json(timeout=ANSWER_S)
            if said["parent_header"].get("msg_id") != asked:
                continue
            match said["msg_type"]:
                case "stream":
                    printed += said["content"]["text"]
                case "execute_reply":
                    assert said["content"]["status"] == "ok", said
                    missing.discard("execute_reply")
                case "status":
                    missing.discard(said["content"]["execution_state"])
        return printed
