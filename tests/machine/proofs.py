"""What an operator does to the machine, and what must be seen by them, by students and in the journal.

Law: one proof after the other on one machine, each leaving the service up; README's commands are taken from README.
A proof returns what it saw, in a few words, or fails as an assertion.
"""

import asyncio
import json
import re
import time
from dataclasses import dataclass

from aiohttp import ClientError, WSMsgType

from tests.bench.bars import HELD
from tests.bench.contestants import OURS
from tests.docs.blocks import blocks
from tests.machine.image import ROOT
from tests.machine.machine import Machine
from tests.machine.visitors import Load
from tests.support.product import look_again
from tests.support.student import Student

README = ROOT / "deploy" / "README.md"
SETTINGS = "/etc/waitroom/waitroom.yaml"
SOURCE = "/usr/src/waitroom"
TUNNEL_DRAIN_S = 5
SETTLED_S = 180
"""A start takes most of a minute in emulation, and longer beside others."""

IDLE_S = 3_000
"""What the bench of idle connections may take in emulation."""

MAIN, RESTARTS = "systemctl show -P MainPID waitroom", "systemctl show -P NRestarts waitroom"
WORKER, STORE = (f"pgrep -o -P $({MAIN}) -f {name}" for name in ("waitroom.server.worker", "valkey-server"))
FILE = """\
pools:
  main:
    backends:
      main-1: {{url: "http://10.0.2.2:{port}", max_sessions: {limit}}}
timeouts: {{tunnel_drain: {drain}s}}
"""


@dataclass(slots=True)
class Scene:
    """The machine, and two students: one who is in, one who waits."""

    machine: Machine
    exam_port: int
    inside: Student
    waits: Student
    arrival_us: int = 0

    async def do(self, command: str, *, within_s: float = 240) -> str:
        """In the machine, while students go on here."""
        return await asyncio.to_thread(self.machine.do, command, within_s=within_s)

    async def run(self, command: str) -> tuple[int, str]:
        """The same, which may fail."""
        return await asyncio.to_thread(self.machine.run, command, within_s=240)

    async def until(self, command: str, fits: str, *, within_s: float = 120) -> str:
        """Ask the machine until its answer fits."""
        return await asyncio.to_thread(self.machine.until, command, fits, within_s=within_s)

    async def write(self, limit: int) -> None:
        """The settings, with room for so many."""
        text = FILE.format(port=self.exam_port, limit=limit, drain=TUNNEL_DRAIN_S)
        await self.do(f"cat >{SETTINGS} <<'END'\n{text}END")

    async def kept(self) -> None:
        """In time each has what they had: the session, the place."""
        await self.settled(self.inside, 200, None)
        await self.settled(self.waits, 429, "waiting")
        assert self.waits.arrival_us() == self.arrival_us, "the ticket is another"

    async def settled(self, student: Student, status: int, state: str | None) -> None:
        """In time a page load has this answer."""
        ends, answer = time.monotonic() + SETTLED_S, None
        while answer is None or (answer.status, answer.state) != (status, state):
            assert time.monotonic() < ends, f"{student.name} has {answer and (answer.status, answer.state)}"
            try:
                answer = await student.page()
            except (OSError, ClientError):
                answer = None
            await look_again(0.2)


async def installed(scene: Scene) -> str:
    """README's block, word for word; then `waitroom status` as it says; rights, limits and the score of the walls."""
    (block,) = [each for each in blocks(README) if "systemctl enable" in each.text]
    for command, _ in block.commands():
        await scene.do(f"cd {SOURCE} && {command}", within_s=400)
    assert await scene.do("systemctl is-active waitroom.socket waitroom.service") == "active\nactive"
    told = "WAITROOM_CONFIG=/etc/waitroom/waitroom.yaml WAITROOM_DATA_DIR=/var/lib/waitroom"
    assert told in README.read_text()
    assert "main-1" in await scene.do(f"export {told}; bash -lc 'waitroom status'")
    assert (await scene.inside.page()).status == 503  # nobody listens at the file's 127.0.0.1:8000
    assert re.fullmatch(r"700 [1-9]\d+", await scene.do("stat -L -c '%a %u' /var/lib/waitroom"))
    assert await scene.do("find /var/lib/private/waitroom/ -perm /077") == ""
    for pid in (await scene.do(f"{MAIN}; {WORKER}; {STORE}")).split():
        assert "65536                65536" in await scene.do(f"grep 'open files' /proc/{pid}/limits")
        assert "NoNewPrivs:\t1" in await scene.do(f"cat /proc/{pid}/status")
    score = re.search(r"level for waitroom.service: ([\d.]+)", await scene.do("systemd-analyze security waitroom"))
    assert score is not None
    assert float(score[1]) <= 1.5
    assert await scene.do("systemctl show -P StatusText waitroom") == "settings 1 in force"
    return f"up as README says; exposure {score[1]} of 10"


async def reloaded(scene: Scene) -> str:
    """A new limit is in force; a broken file fails, is told with its place, and changes nothing."""
    await scene.write(limit=1)
    await scene.do("systemctl reload waitroom")
    await scene.until("systemctl show -P StatusText waitroom", "settings [2-9] in force")
    await scene.settled(scene.inside, 200, None)
    await scene.settled(scene.waits, 429, "waiting")
    scene.arrival_us = scene.waits.arrival_us()
    await scene.do(f"sed -i 's/max_sessions: 1/max_sessions: many/' {SETTINGS}")
    code, _ = await scene.run("systemctl reload waitroom")
    assert code != 0, "reload of a broken file succeeds"
    said = await scene.do("journalctl -u waitroom -o cat -n 30")
    place = re.search(r"waitroom\.yaml:4:\d+", said)
    assert place is not None, said
    assert await scene.do("systemctl is-active waitroom") == "active"
    await scene.kept()
    await scene.write(limit=1)
    await scene.do("systemctl reload waitroom")
    return f"a limit is in force; a broken file fails, the journal says {place[0]}"


async def restarted(scene: Scene) -> str:
    """`systemctl restart` with students at work: each request is answered by the exam server."""
    load = Load(scene.machine.public, cookies(scene.inside))
    before = await scene.do(MAIN)
    async with load.running():
        await scene.do("systemctl restart waitroom")
    assert await scene.do(MAIN) != before
    assert load.failures == [], load.failures[:5]
    assert load.answers > 20, load.answers
    await scene.kept()
    return f"{load.answers} requests meanwhile, none refused or cut"


async def killed(scene: Scene) -> str:
    """kill -9 of a worker, of the store, of the main process."""
    for victim in (WORKER, STORE, MAIN):
        before = await scene.do(victim)
        await scene.do(f"kill -9 {before}")
        await scene.until(f"{victim} || true", rf"^(?!{before}$)[1-9]\d*$")
        await scene.kept()
    await scene.until("systemctl is-active waitroom || true", "^active$")
    return "a worker, the store, the main process: back, places kept"


async def stood_still(scene: Scene) -> str:
    """SIGSTOP of the main process: the watchdog ends it, and systemd starts it again."""
    before, restarts = await scene.do(MAIN), int(await scene.do(RESTARTS))
    await scene.do(f"kill -STOP {before}")
    started = time.monotonic()
    await scene.until(RESTARTS, rf"^{restarts + 1}$", within_s=240)
    took_s = time.monotonic() - started
    assert took_s < 60, f"it took {took_s:.0f} s"
    assert "Watchdog timeout" in await scene.do("journalctl -u waitroom -o cat -n 100")
    await scene.kept()
    return f"started again {took_s:.0f} s after it stood still"


async def journal(scene: Scene) -> str:
    """Lines of the service are JSON of the priority that their level has; no cookie, key or ticket is in them."""
    text = await scene.do("journalctl -u waitroom -o json --output-fields=MESSAGE,PRIORITY,_PID,_TRANSPORT")
    lines = [json.loads(line) for line in text.splitlines()]
    ours = [(int(line["PRIORITY"]), json.loads(line["MESSAGE"]))
            for line in lines if line["_TRANSPORT"] == "stdout" and line["MESSAGE"].startswith("{")]  # fmt: skip
    numbers = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
    wrong = [each for each in ours if each[0] != numbers[each[1].get("level", "info")]]
    assert wrong == [], wrong[:3]
    assert {4, 6} <= {priority for priority, _ in ours}
    secrets = list(re.findall(r"[\w-]{20,}", await scene.do("cat /var/lib/waitroom/secrets")))
    secrets += [part for who in (scene.inside, scene.waits) for part in cookies(who).split(".") if len(part) > 20]
    assert secrets
    assert [word for word in secrets if word in text] == []
    return f"{len(ours)} lines, each of its level's priority"


async def stopped(scene: Scene) -> str:
    """The end with an open WebSocket comes after `timeouts.tunnel_drain`; the next start finds the line."""
    async with scene.inside.client.ws_connect(f"{scene.inside.base}/ws") as tunnel:
        await tunnel.send_str("hello")
        assert (await tunnel.receive(60)).data == "hello"
        started = time.monotonic()
        await scene.do("systemctl stop waitroom.socket waitroom.service")
        took_s = time.monotonic() - started
        assert TUNNEL_DRAIN_S - 1 < took_s < TUNNEL_DRAIN_S + 20, took_s
        assert await scene.do("systemctl show -P Result waitroom") == "success"
        assert (await tunnel.receive(60)).type in (WSMsgType.CLOSE, WSMsgType.CLOSED)
    await scene.do("systemctl start waitroom.socket waitroom.service")
    await scene.kept()
    return f"{took_s:.0f} s with tunnel_drain {TUNNEL_DRAIN_S} s, then the tunnel was closed"


async def rebooted(scene: Scene) -> str:
    """The machine starts anew, and the waiting room with it."""
    await asyncio.to_thread(scene.machine.reboot)
    await scene.until("systemctl is-active waitroom || true", "^active$", within_s=240)
    await scene.kept()
    return "up by itself, places kept"


async def held(scene: Scene) -> str:
    """20,000 idle connections on one worker, by the bench; the service itself is stopped meanwhile."""
    await scene.do("systemctl stop waitroom.socket waitroom.service")
    await scene.do(
        f"systemd-run --unit=bench -p LimitNOFILE=1048576 -p WorkingDirectory={SOURCE} -p Type=oneshot --no-block "
        "/opt/waitroom/bin/python -m tests.bench --only idle --beside nginx --float --out /root/bench.json"
    )
    await scene.until("systemctl is-active bench || true", "^(inactive|failed)$", within_s=IDLE_S)
    said = await scene.do("journalctl -u bench -o cat")
    assert await scene.do("systemctl show -P Result bench") == "success", said
    rows = json.loads(await scene.do("cat /root/bench.json"))["rows"]
    assert {row["what"]: row["good"] for row in rows} == {"memory per idle connection": True, HELD: True}, said
    await scene.do("systemctl start waitroom.socket waitroom.service")
    await scene.kept()
    return "; ".join(f"{row['what']} {round(row['numbers'][OURS], 1):,} {row['unit']}".strip() for row in rows)


def cookies(student: Student) -> str:
    """As their browser sends them."""
    return "; ".join(f"{each.key}={each.value}" for each in student.client.cookie_jar)
