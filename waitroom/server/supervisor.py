"""The process that `waitroom serve` is: it owns the sockets, the counters' memory and all other processes.

Law: what it binds it keeps, what it starts it replaces, and nothing outlives it. It serves no student itself, so that
nothing a student sends can hurt it.
"""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import structlog

from waitroom import clock
from waitroom.admin.app import AdminListener
from waitroom.admission.audit import RELOAD, RESTART
from waitroom.errors import StoreError, WaitroomError
from waitroom.logs import LogStyle, configure
from waitroom.metrics.layout import Layout
from waitroom.metrics.totals import Reading, Totals
from waitroom.server.changes import LOOK_S, Changes, files_of
from waitroom.server.crew import KILL_AFTER_S, Crew
from waitroom.server.duty import Grace, worker_count
from waitroom.server.files import raise_file_limit, too_few_files
from waitroom.server.home import Home, home_of, pool_keys
from waitroom.server.notify import notify, signs_of_life
from waitroom.server.orders import Orders, labels_of
from waitroom.server.passed import passed_sockets
from waitroom.server.reload import audit_entry, commit, log_changes, log_each, prepare, refuse_restarts
from waitroom.server.remembered import Note, recall, remember
from waitroom.server.sockets import Doors, ListenError, open_door, open_doors
from waitroom.settings.model import Settings
from waitroom.settings.secrets import Secrets
from waitroom.store.embedded import STOP_S as STORE_STOP_S
from waitroom.store.operators import OperatorStore
from waitroom.tasks import spawn, stop

log = structlog.get_logger(__name__)

FIRST_ANSWER_S = 1.0
"""What the start of the admin listener gives the store; after that its client goes on trying by itself."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a supervisor is given: how settings and keys are had again on a reload, and how it shows itself.

    `watch`: take them again when a file of theirs changes, `file` among them.
    """

    load: Callable[[], tuple[Settings, Secrets]]
    version: str
    human: bool = False
    started: Callable[["Supervisor"], None] = lambda _supervisor: None
    file: Path | None = None
    watch: bool = False


class Supervisor:
    """One running product."""

    def __init__(self, plan: Plan, settings: Settings, secrets: Secrets) -> None:
        self.settings = settings
        self.doors: Doors | None = None
        self.admin_address = ""
        self._plan = plan
        self.secrets = secrets
        self._generation = 1
        self._layout = Layout()
        self._layout.extend(labels_of(settings))
        self._totals = Totals(self._layout)
        self._crew: Crew | None = None
        self._home: Home | None = None
        self._reader: OperatorStore | None = None
        self._applied_ms = self._taken_ms = clock.now_ms()
        self._reload_success = True
        self._changes = Changes(files_of(settings, plan.file))
        self._reloading = asyncio.Lock()
        self._stop_asked = asyncio.Event()
        self._hurry = asyncio.Event()
        self._open = False

    async def run(self) -> None:
        """Serve until told to stop. Raises WaitroomError if the start fails."""
        self._listen_to_signals()
        raise_file_limit()
        async with AsyncExitStack() as undo:
            self.doors, admin_door = self._open_doors(undo)
            undo.push_async_callback(stop, spawn(signs_of_life(), name="signs of life"))
            self._home = home = home_of(self.settings)
            undo.push_async_callback(home.stop)
            await home.start()
            self._reader = reader = OperatorStore(home.url, pool_keys(self.settings))
            undo.push_async_callback(reader.close)
            await reader.start(FIRST_ANSWER_S)
            admin = AdminListener(self, reader)
            undo.push_async_callback(admin.stop)
            await admin.start(admin_door)
            self._crew = crew = Crew(self.doors, self._totals, self._orders)
            undo.push_async_callback(crew.end)
            if await self._begin(crew):
                watching = spawn(self._follow_files(), name="files") if self._plan.watch else None
                await self._stop_asked.wait()
                await stop(watching)
            await self._leave(crew)

    def stop(self) -> None:
        """Drain and end; asked twice, end at once."""
        if self._stop_asked.is_set():
            self._hurry.set()
        self._stop_asked.set()
        if self._crew is not None and not self._open:
            self._crew.give_up()

    async def reload(self) -> bool:
        """Take the settings from their file again, whole or not at all. Returns whether they are in force."""
        async with self._reloading:
            notify("RELOADING=1", f"MONOTONIC_USEC={clock.monotonic_us()}")
            before = self._changes.reading()
            try:
                await self._apply()
            except WaitroomError as error:
                self._reload_success = False
                log.error("config_reload_refused", problem=str(error))  # noqa: TRY400 - the operator's fault: no traceback
            else:
                self._reload_success, self._applied_ms = True, clock.now_ms()
                self._say_what_is_amiss()
                log.info("config_reloaded", generation=self._generation)
            self._changes.taken(before, files_of(self.settings, self._plan.file))
            notify("READY=1", f"STATUS={self._status()}")
            return self._reload_success

    def readings(self) -> Iterator[Reading]:
        """For /metrics: what workers count and what this process knows."""
        yield from self._totals.readings()
        own = {
            "workers": len(self._crew.accepting) if self._crew else 0,
            "worker_restarts_total": self._crew.restarts if self._crew else 0,
            "store_restarts_total": self._home.restarts if self._home else 0,
            "config_reload_success": self._reload_success,
            "config_last_reload_timestamp_seconds": self._applied_ms / 1000,
        }
        for name, value in own.items():
            yield Reading(name, (), (float(value),))
        yield Reading("build_info", (self._plan.version,), (1.0,))

    def pools(self) -> list[str]:
        """For /metrics: the pools there are."""
        return list(self.settings.pools)

    def not_ready(self) -> str | None:
        """For /readyz: why students cannot be served here."""
        if self._stop_asked.is_set():
            return "stopping"
        return None if self._open and self._crew and self._crew.accepting else "no worker accepts connections"

    def _open_doors(self, undo: AsyncExitStack) -> tuple[Doors, socket.socket]:
        """Bind what the settings name, but for what a service manager passes: the public doors, and the admin's."""
        listen, passed = self.settings.listen, passed_sockets()
        undo.callback(passed.close)
        doors = open_doors(listen.public, worker_count(self.settings), passed)
        undo.callback(doors.remove)
        undo.callback(doors.close)
        admin_door, self.admin_address = open_door(listen.admin.host, listen.admin.port, passed)
        undo.callback(admin_door.close)
        if strangers := passed.names():
            raise ListenError(f"the service manager passes {', '.join(strangers)}, which `listen` does not name")
        return doors, admin_door

    async def _begin(self, crew: Crew) -> bool:
        """Start the workers; False if a stop was asked for meanwhile."""
        if not self._stop_asked.is_set():
            await crew.start()
        if self._stop_asked.is_set():
            return False
        self._open = True
        self._say_what_is_amiss()
        self._say_what_a_restart_changed()
        notify("READY=1", f"STATUS={self._status()}")
        self._plan.started(self)
        return True

    async def _leave(self, crew: Crew) -> None:
        """Let what is in flight finish, or not if there is a hurry."""
        assert self.doors is not None
        grace = Grace.of(self.settings)
        longest_s = grace.longest_s + KILL_AFTER_S
        if self.doors.kept:
            longest_s += grace.requests_ms / 1000 + KILL_AFTER_S
        notify("STOPPING=1", f"EXTEND_TIMEOUT_USEC={int((longest_s + STORE_STOP_S) * 1_000_000)}")
        log.info("stopping", workers=len(crew.living), kept=self.doors.kept)
        hurry = spawn(self._kill_on_hurry(crew), name="hurry")
        if self.doors.kept:  # newcomers are served until the last request and tunnel of before is finished
            await crew.retire(grace)
        self.doors.shut()
        self.doors.close()
        await (crew.end() if self._hurry.is_set() else crew.drain(grace))
        await stop(hurry)
        log.info("stopped")

    async def _kill_on_hurry(self, crew: Crew) -> None:
        await self._hurry.wait()
        crew.kill()

    async def _apply(self) -> None:
        assert self._crew is not None
        assert self._reader is not None
        settings, secrets = self._plan.load()  # takes ms, in a process that serves no student and has one thread
        refuse_restarts(self.settings, settings)
        self._layout.extend(labels_of(settings))
        async with self._crew.reloading:
            generation, members = self._generation + 1, self._crew.accepting
            taken_ms = max(clock.now_ms(), self._taken_ms + 1)
            await prepare(members, generation, self._effective(settings, secrets, taken_ms))
            changes = log_changes((self.settings, self.secrets), (settings, secrets))
            self.settings, self.secrets, self._generation, self._taken_ms = settings, secrets, generation, taken_ms
            self._configure_logs()
            self._reader.set_pools(pool_keys(settings))
            await commit(members, generation)
        await self._crew.catch_up()
        if changes:
            spawn(self._audit(audit_entry(RELOAD, changes)), name="audit")
            self._remember()

    def _say_what_a_restart_changed(self) -> None:
        """Against what this machine's service last worked by, where that is known."""
        before = recall(self.settings.store.data_dir)
        changes = before.changes_to(self.settings, self.secrets, self._plan.version) if before else []
        log_each(changes)
        if changes:
            spawn(self._audit(audit_entry(RESTART, changes)), name="audit")
        if changes or before is None:
            self._remember()

    def _remember(self) -> None:
        remember(self.settings.store.data_dir, Note.of(self.settings, self.secrets, self._plan.version))

    async def _audit(self, entry: str) -> None:
        """A store that is away costs the entry and not the reload; the log has it."""
        assert self._reader is not None
        try:
            await self._reader.tell(self.settings.default_pool, entry)
        except StoreError as error:
            log.warning("settings_not_audited", problem=str(error))

    def _orders(self) -> tuple[int, Orders]:
        return self._generation, self._effective(self.settings, self.secrets, self._taken_ms)

    def _effective(self, settings: Settings, secrets: Secrets, taken_ms: int) -> Orders:
        """What workers are told: the settings with the store's real address."""
        assert self._home is not None
        store = settings.store.model_copy(update={"url": self._home.url})
        whole = settings.model_copy(update={"store": store})
        return Orders(whole, secrets, self._layout, taken_ms, human=self._plan.human)

    def _configure_logs(self) -> None:
        configure(LogStyle("supervisor", self.settings.logging.level, self._plan.human), clock.now_ms)

    def _say_what_is_amiss(self) -> None:
        limits = self.settings.limits
        backends = sum(len(pool.backends) for pool in self.settings.pools.values())
        if (shortage := too_few_files(limits.connections, limits.backend_idle * backends)) is not None:
            log.warning("too_few_open_files", notice=shortage)

    def _status(self) -> str:
        """For whoever asks the service manager."""
        refused = "" if self._reload_success else "; the last reload was refused, see the log"
        return f"settings {self._generation} in force{refused}"

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self.stop)
        loop.add_signal_handler(signal.SIGHUP, lambda: spawn(self._reload_when_open(), name="reload"))

    async def _follow_files(self) -> None:
        """Take the settings again whenever a file of theirs has changed; one that is wrong changes nothing."""
        while True:
            await asyncio.sleep(LOOK_S)
            if self._reloading.locked():
                continue  # by SIGHUP, and what it reads counts as taken when it ends: not a second time
            if changed := self._changes.settled():
                log.info("config_files_changed", files=[str(path) for path in changed])
                await self.reload()

    async def _reload_when_open(self) -> None:
        """A SIGHUP during the start is a request for what is being done anyway."""
        if self._open and not self._stop_asked.is_set():
            await self.reload()
