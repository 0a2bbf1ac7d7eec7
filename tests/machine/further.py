"""What operators do to the machine later in its life, and what happens to it without them.

Law: as in `proofs`; who is in and who waits before is so afterwards, and those who wait stand in the same order.
"""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from operator import gt

from tests.docs.blocks import blocks
from tests.machine.proofs import MAIN, README, SETTINGS, SETTLED_S, SOURCE, Scene, cookies
from tests.machine.visitors import PIECE, PIECES, Load, slow_answer, slow_upload
from tests.support.product import look_again
from tests.support.student import Student

CERTIFY = (
    "/opt/waitroom/bin/python -c 'from pathlib import Path; from tests.support.certificates import certify; "
    'certify(Path("/etc/ssl/private"), "exam")\''
)
CUT = "echo b >/proc/sysrq-trigger"
"""The kernel starts the machine anew at once: nothing is stopped, nothing that was not on the disk is saved."""

CROWD = 3
MAX_POSITION = 1_000_000
"""Of who is told none."""


async def uncut(scene: Scene) -> str:
    """`systemctl restart` while a student's answer is on its way, and another's paper: both arrive whole."""
    cookie = cookies(scene.inside)
    before = await scene.do(MAIN)
    answer = asyncio.ensure_future(slow_answer(scene.machine.public, cookie))
    upload = asyncio.ensure_future(slow_upload(scene.machine.public, cookie))
    await scene.do("systemctl restart waitroom")
    whole = PIECE * PIECES
    assert await answer == whole
    assert await upload == hashlib.sha256(whole).hexdigest()
    assert await scene.do(MAIN) != before
    await scene.kept()
    return f"an answer and an upload of {PIECES} pieces across it, both whole"


async def upgraded(scene: Scene) -> str:
    """`pip install` of another version and `systemctl restart`, with students at work all the time."""
    await scene.do(f"sed -i 's/^version = .*/version = \"0.1.999\"/' {SOURCE}/pyproject.toml")
    load = Load(scene.machine.public, cookies(scene.inside))
    async with load.running():
        await scene.do(f"cd {SOURCE} && /opt/waitroom/bin/pip install .", within_s=400)
        await scene.do("systemctl restart waitroom")
    assert load.failures == [], load.failures[:5]
    assert "0.1.999" in await scene.do("waitroom --version")
    await scene.kept()
    return f"{load.answers} requests meanwhile, none refused or cut"


async def woken(scene: Scene) -> str:
    """With the socket alone open, the next visitor starts the service again."""
    await scene.do("systemctl stop waitroom.service")
    assert await scene.do("systemctl is-active waitroom.service || true") == "inactive"
    await scene.kept()
    await scene.until("systemctl is-active waitroom.service || true", "^active$")  # each worker serves when it can
    return "stopped; a visitor started it"


async def secured(scene: Scene) -> str:
    """Port 443 and a key that only root reads, by credentials; a socket for each worker; a renewed certificate."""
    plain = await scene.do(f"cat {SETTINGS}")
    await scene.do(f"cd {SOURCE} && {CERTIFY}")
    shown = {each.text.split()[0]: each.text for each in blocks(README) if each.language in {"ini", "yaml"}}
    for name, text in (("socket", shown["[Socket]"]), ("service", shown["[Service]"])):
        folder = f"/etc/systemd/system/waitroom.{name}.d"
        await scene.do(f"mkdir -p {folder} && cat >{folder}/override.conf <<'END'\n{text}END")
    await scene.do(f"cat >>{SETTINGS} <<'END'\n{shown['listen:']}END")
    units = "waitroom.socket waitroom.service"
    anew = f"systemctl daemon-reload && systemctl stop {units} && systemctl start {units}"
    await scene.do(anew)
    knock = f"cd {SOURCE} && python3 -m tests.machine.knock"
    first = await scene.do(knock)
    assert first.startswith("429 "), first  # the one session that there is belongs to another
    assert "main-1" in await scene.do(f"waitroom status --config {SETTINGS} --data-dir /var/lib/waitroom")
    await scene.do("systemctl reload waitroom")
    assert len((await scene.do("ss -Hltn sport = :443")).splitlines()) == 2
    await scene.do(f"cd {SOURCE} && {CERTIFY} && systemctl restart waitroom")
    second = await scene.do(knock)
    assert second != first, "the old certificate is still in use"
    await scene.kept()
    await scene.do(f"cat >{SETTINGS} <<'END'\n{plain}\nEND")
    await scene.do(f"rm -r /etc/systemd/system/waitroom.*.d; {anew}")
    await scene.kept()
    return "443 with a key that root alone reads; 2 sockets; a new certificate by a restart"


async def unplugged(scene: Scene) -> str:
    """The power fails two seconds after the last of some students came: all have their places, in their order."""
    async with AsyncExitStack() as stack:
        crowd = [await stack.enter_async_context(Student(scene.inside.base, f"late {at}")) for at in range(CROWD)]
        crowd.insert(0, scene.waits)
        for each in crowd:
            await scene.settled(each, 429, "waiting")
        before = [(await each.poll())["position"] for each in crowd]
        assert before == sorted(set(before)), before
        await look_again(2)  # the store's file is on the disk within a second (appendfsync everysec)
        await asyncio.to_thread(scene.machine.cut, CUT)
        await scene.until("systemctl is-active waitroom || true", "^active$", within_s=240)
        await scene.kept()
        told = await _in_order(crowd, before)
    return f"up by itself; positions {before} before, {told} after"


async def _in_order(crowd: Sequence[Student], before: Sequence[int]) -> list[int]:
    """What they are told, in time: all of them, in this order, nobody further back (who came with no cookie lapses)."""
    ends, told = time.monotonic() + SETTLED_S, list[int]()
    while told != sorted(set(told)) or not told or any(map(gt, told, before)):
        assert time.monotonic() < ends, f"positions {told}, before {before}"
        told = [(await each.poll()).get("position", MAX_POSITION) for each in crowd]
        await look_again(0.5)
    return told
