"""Active checks of backends: the conductor asks each for a page, or, where none is named, for any answer at all.

Law: a check is a request of its own on a connection of its own, so what it finds is what a newcomer would find. Where a
pool has no `health`, only a backend that is said to be down is asked, since nobody else would find out that it is back.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from waitroom.proxy.dialler import tls_context
from waitroom.settings.addresses import BackendUrl
from waitroom.settings.care import Health
from waitroom.tasks import spawn, stop

PROBE = Health.model_validate({"path": "/"})
"""How a backend is asked whether it is back where nobody has said how. Any answer below 500 will do."""

ANSWER_BYTES = 65_536
"""Of a page, what is read before the connection is closed: enough to see that it comes."""

AGENT = {"User-Agent": "waitroom-health", "Accept": "text/html,*/*;q=0.1", "Connection": "close"}


@dataclass(frozen=True, slots=True)
class Patient:
    """A backend that is checked. `health` None: only while it is down."""

    url: BackendUrl
    health: Health | None = None
    host: str = ""
    """The name that students use, for servers that answer only to that."""


@dataclass(slots=True)
class Pulse:
    """What the last checks of one backend have found."""

    good: int = 0
    bad: int = 0
    said: str = ""
    """What was wrong the last time."""

    def note(self, fault: str) -> None:
        """One more check; `fault` "" is a good one."""
        self.good, self.bad = (0, self.bad + 1) if fault else (self.good + 1, 0)
        self.said = fault or self.said

    def failed(self, health: Health) -> bool:
        """As many bad checks in a row as take a backend out."""
        return self.bad >= health.fall

    def answers(self, health: Health) -> bool:
        """As many good checks in a row as bring it back."""
        return self.good >= health.rise


@dataclass(slots=True)
class Checks:
    """The checks of all backends, by target. Only a conductor has them run."""

    patients: Mapping[str, Patient]
    pulses: dict[str, Pulse] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    """Targets that are said to be down; those without `health` are asked only then."""
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def failed(self, target: str) -> bool:
        """Whether checks say that it does not answer."""
        health, pulse = self.patients[target].health, self.pulses.get(target)
        return health is not None and pulse is not None and pulse.failed(health)

    def answers(self, target: str) -> bool:
        """Whether checks say that it answers again."""
        pulse = self.pulses.get(target)
        return pulse is not None and pulse.answers(self.patients[target].health or PROBE)

    def forget(self, target: str) -> None:
        """What was found before counts no more: it takes `rise` good checks from now on."""
        self.pulses.pop(target, None)

    async def run(self, *, on: bool) -> None:
        """Check from now on, or no more."""
        wanted = set(self.patients) if on else set()
        for target in self._tasks.keys() - wanted:
            await stop(self._tasks.pop(target))
            self.forget(target)
        for target in wanted - self._tasks.keys():
            self._tasks[target] = spawn(self._watch(target), name=f"check {target}")

    def adopt(self, patients: Mapping[str, Patient]) -> None:
        """New settings: whatever is checked in another way begins anew, at the conductor's next turn."""
        changed = [target for target, old in self.patients.items() if patients.get(target) != old]
        self.patients = patients
        for target in changed:
            task = self._tasks.pop(target, None)
            if task is not None:
                task.cancel()
            self.forget(target)
            self.down.discard(target)

    async def _watch(self, target: str) -> None:
        patient = self.patients[target]
        health = patient.health or PROBE
        tls = tls_context(patient.url.ca_pem) if patient.url.scheme == "https" else None
        while True:
            if patient.health is not None or target in self.down:
                fault = await check(patient, health, tls)
                self.pulses.setdefault(target, Pulse()).note(fault)
            await asyncio.sleep(health.interval_ms / 1000)


async def check(patient: Patient, health: Health, tls: ssl.SSLContext | None) -> str:
    """Ask once; "" if it is well, else what was wrong. An answer that leads elsewhere (3xx) is an answer."""
    bound = 400 if patient.health is not None else 500
    try:
        status, _ = await ask(patient, health, tls)
    except TimeoutError:
        return f"no answer within {health.timeout_ms} ms"
    except (OSError, aiohttp.ClientError, ValueError) as error:
        return str(error) or type(error).__name__
    return "" if status < bound else f"answered {status}"


async def ask(patient: Patient, health: Health, tls: ssl.SSLContext | None) -> tuple[int, str]:
    """Status and Date of one answer. Raises TimeoutError, OSError, aiohttp.ClientError, ValueError."""
    url = patient.url
    headers = AGENT | ({"Host": patient.host} if patient.host else {})
    connector = aiohttp.UnixConnector(url.unix) if url.unix else aiohttp.TCPConnector(force_close=True)
    host = f"[{url.host}]" if ":" in url.host else url.host or "localhost"
    address = URL(f"{'https' if tls else 'http'}://{host}:{url.port or 80}{health.path}", encoded=True)
    timeout = aiohttp.ClientTimeout(total=health.timeout_ms / 1000)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session,
        session.get(
            address,
            headers=headers,
            allow_redirects=False,
            ssl=tls or True,
            server_hostname=url.server_name or None,
        ) as answer,
    ):
        await answer.content.read(ANSWER_BYTES)
        return answer.status, answer.headers.get("Date", "")
