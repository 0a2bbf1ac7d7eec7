"""The store: reachable, of a version that works, not evicting, keeping what it is told, its clock near ours.

Law: what a server says of itself (INFO, TIME) is judged by a pure function. No password is ever told.
"""

import asyncio
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path

from waitroom import clock
from waitroom.errors import StoreAwayError, WaitroomError
from waitroom.server.doctor.finding import Found, ok, problem, warning
from waitroom.settings.effective import masked
from waitroom.settings.model import Settings
from waitroom.store.embedded import server_binary, socket_path
from waitroom.store.places import Places
from waitroom.store.wire import Address, Wire

ASK_S = 5.0
LEAST_VERSION = (7, 0)
"""Functions came with Redis 7."""

SKEW_MS, BAD_SKEW_MS = 500, 5_000
SLOW_MS = 10
"""A batch is asked for every 2 ms; a server that is further away than this delays every newcomer."""

FULL = 0.8

REMEDIES = {
    "denied": "the user and password in store.url, and what that user may do",
    "tls": "?ssl_ca_certs=FILE in store.url, or redis:// where it speaks no TLS",
    "connect_timeout": "is a firewall in between? or correct store.url",
    "unfound": "start the sentinels or nodes of store.url; is the name behind the slash theirs?",
    "loading": "wait until it has read its file",
    "full": "room on its disk, or more maxmemory",
}
"""By the kind of failure (errors.py)."""


async def look_at_store(settings: Settings) -> list[Found]:
    """Every server that the settings lead to now."""
    url = settings.store.url
    if url is None:
        return await _embedded(settings)
    shown = str(masked(("store", "url"), url))
    places, found, seen = Places(url), list[Found](), set[tuple[str, int, str]]()
    for pool in settings.pools if places.apart else [next(iter(settings.pools))]:
        try:
            address = await places.of(pool).find()
            if (key := (address.host, address.port, address.path)) not in seen:
                seen.add(key)
                found += await _ask(address, address.path or f"{address.host}:{address.port}")
        except (WaitroomError, OSError, ValueError) as error:
            remedy = REMEDIES.get(getattr(error, "kind", ""), "start it, or correct store.url")
            found.append(problem("store", f"{shown}: {error}", remedy))
    return found


async def _embedded(settings: Settings) -> list[Found]:
    folder = settings.store.data_dir.resolve()
    socket = socket_path(folder)
    if socket.exists():
        try:
            return await _ask(Address(path=str(socket)), "the embedded store")
        except StoreAwayError:
            pass  # a socket that was left over
    try:
        binary = server_binary()
    except WaitroomError as error:
        return [problem("store", str(error), "store.url of a Valkey or Redis")]
    version = await _version(binary)
    if version is None:
        return [problem("store", f"{binary} does not run on this machine", "store.url of a Valkey or Redis")]
    return [ok("store", f"embedded ({version}), not running: it starts with the service")]


async def _version(binary: Path) -> str | None:
    try:
        process = await asyncio.create_subprocess_exec(
            str(binary), "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        said, _ = await asyncio.wait_for(process.communicate(), ASK_S)
    except (OSError, TimeoutError):
        return None
    words = said.decode("ascii", "replace").split()
    version = next((word.removeprefix("v=") for word in words if word.startswith("v=")), None)
    return f"{words[0]} {version}" if process.returncode == 0 and version else None


async def _ask(address: Address, shown: str) -> list[Found]:
    """Raises StoreAwayError."""
    wire = await Wire.open(address)
    try:
        before_ms, mark_ms = clock.now_ms(), clock.monotonic_ms()
        (stamp,) = await wire.exchange([("TIME",)], ASK_S)
        took_ms = clock.monotonic_ms() - mark_ms
        (info,) = await wire.exchange([("INFO",)], ASK_S)
    finally:
        wire.close()
    if not isinstance(info, bytes) or not isinstance(stamp, list):
        return [
            problem("store", f"{shown} refuses INFO or TIME: {info}", "allow @connection, info and time to its user")
        ]
    skew_ms = int(stamp[0]) * 1_000 + int(stamp[1]) // 1_000 - before_ms - took_ms // 2
    clear = bool(address.password) and address.tls is None and not address.path and not _near(address.host)
    return [*judge(read_info(info), shown, skew_ms, took_ms, clear=clear)]


def _near(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_info(text: bytes) -> dict[str, str]:
    """The fields of an INFO reply."""
    lines = (line.partition(":") for line in text.decode("utf-8", "replace").splitlines() if not line.startswith("#"))
    return {name: value.strip() for name, colon, value in lines if colon}


def judge(info: Mapping[str, str], name: str, skew_ms: int, took_ms: int, *, clear: bool = False) -> Iterator[Found]:
    """What a server's own words mean for an exam. `clear`: a password went to another machine without TLS."""
    server = "Valkey" if "valkey_version" in info else "Redis"
    version = info.get("valkey_version") or info.get("redis_version", "")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < LEAST_VERSION:
        yield problem("store", f"{name}: {server} {version or '?'} has no functions", "Redis 7 or later, or Valkey")
    else:
        yield ok("store", f"{name}: {server} {version}, answers in {took_ms} ms")
    yield from _keeps(info, name)
    if clear:
        yield warning("store", f"{name}: its password crosses the network in the clear", "rediss:// (TLS)")
    if took_ms > SLOW_MS:
        yield warning("store", f"{name}: {took_ms} ms for an answer; every newcomer waits for it", "a store nearby")
    if abs(skew_ms) > SKEW_MS:
        make = problem if abs(skew_ms) > BAD_SKEW_MS else warning
        ahead = "ahead of" if skew_ms > 0 else "behind"
        said = f"{name}: its clock is {abs(skew_ms) / 1_000:.1f} s {ahead} this machine's; exams open by the store's"
        yield make("clock", said, "synchronise both (NTP)")
    else:
        yield ok("clock", f"{name}: its clock and this machine's agree within {SKEW_MS} ms")


def _keeps(info: Mapping[str, str], name: str) -> Iterator[Found]:
    """Whether it keeps what it is told: policy, memory, role, persistence."""
    policy, most, used = (
        info.get("maxmemory_policy", ""),
        int(info.get("maxmemory", 0)),
        int(info.get("used_memory", 0)),
    )
    if policy != "noeviction":
        said = f"{name}: maxmemory-policy is {policy or 'unknown'}: when it is full it throws students out"
        yield problem("store", said, "CONFIG SET maxmemory-policy noeviction, and in its configuration file")
    elif most and used > FULL * most:
        said = f"{name}: {100 * used // most} % of its maxmemory is used; when it is full nobody new gets a place"
        yield warning("store", said, "more maxmemory, or a server of its own")
    else:
        yield ok("store", f"{name}: never evicts (maxmemory-policy noeviction)")
    if info.get("role", "master") != "master":
        yield problem(
            "store", f"{name}: is a replica and takes no writes", "the primary's address, or redis+sentinel://"
        )
    elif int(info.get("connected_slaves", 0)) and "min_slaves_good_slaves" not in info:
        said = f"{name}: has replicas, and cut off from them it would go on letting students in"
        yield warning("store", said, "CONFIG SET min-replicas-to-write 1, and in its configuration file")
    if info.get("aof_enabled") != "1":
        said = (
            f"{name}: keeps no append-only file: after a restart the line is rebuilt from cookies, and admissions wait"
        )
        yield warning("store", said, "CONFIG SET appendonly yes, and in its configuration file")
    elif info.get("aof_last_write_status", "ok") != "ok":
        yield problem("store", f"{name}: could not write its append-only file", "make room on its disk; see its log")
    else:
        yield ok("store", f"{name}: keeps an append-only file")
