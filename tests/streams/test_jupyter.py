"""A real Jupyter Server behind the waiting room: a dropped tunnel would be a lost kernel."""

import base64
import io
import json
import os
from pathlib import Path

import pytest
from aiohttp import WSServerHandshakeError

from tests.streams.jupyter import Learner, jupyter
from tests.streams.room import room, silence
from tests.support.aio import run
from tests.support.student import Student

SHORT_S = 10
"""A kernel is started, and a file of 20 MB taken, within this even on a loaded machine; the channels of a kernel are
silent for longer."""

CONFIG = f"timeouts: {{head: 1s, response: {SHORT_S}s, idle: {SHORT_S}s, body: {SHORT_S}s}}"

FILE_BYTES = 20 << 20


@pytest.mark.timeout(400)  # the first run installs Jupyter
def test_an_hour_with_jupyter(tmp_path: Path) -> None:
    """Sign in, compute, be silent for longer than a request may, compute on; 20 MB up and down; shut down."""

    async def main() -> None:
        async with (
            jupyter(tmp_path) as url,
            room(tmp_path, url, CONFIG) as product,
            Student(product.public, "ann") as ann,
            Student(product.public, "bob") as bob,
        ):
            with pytest.raises(WSServerHandshakeError):
                await bob.client.ws_connect(f"{product.public}/api/kernels/x/channels")
            learner = Learner(ann)
            await learner.sign_in()
            async with learner.kernel() as kernel:
                assert await kernel.execute("x = 6 * 7; print(x)") == "42\n"
                await silence(product, SHORT_S + 2)
                assert await kernel.execute("print(x + 1)") == "43\n"
                large = os.urandom(FILE_BYTES)
                await _upload(learner, large)
                got = await ann.ask("GET", "/files/exam.bin", {"Referer": f"{product.public}/tree"})
                assert (got.status, got.body == large) == (200, True)
                assert await kernel.execute("import os; print(os.path.getsize('exam.bin'))") == f"{FILE_BYTES}\n"

    run(main())


async def _upload(learner: Learner, content: bytes) -> None:
    """As the file browser does: base64 in JSON."""
    model = {"type": "file", "format": "base64", "content": base64.b64encode(content).decode()}
    body = io.BytesIO(json.dumps(model).encode())
    made = await learner.api("PUT", "/api/contents/exam.bin", data=body)
    assert made["size"] == len(content)
