"""The keys of a pool, and the beginning that every call of the library shares.

Law: this is the one place that spells a key. All keys of a pool carry the hash tag `{pool}`, so that they live in one
slot of a cluster, and a call names every key that it may touch.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Argument = str | int

FIXED = ("rules", "state", "bucket", "flow", "line", "awake", "due", "left", "passes")
"""The keys that every call names first, in the order of the library."""

LAST = ("notices", "waits", "live", "who", "traffic")
"""The keys that every call names behind the exams', followed by `back:` and `backdue:` of each backend."""

ADDED = ("audit",)
"""The keys that every call names last. One that a version adds goes here, at the end: a library newer than the worker
must find the worker's keys where they were."""

AS_REMEMBERED = -1
"""Opening of an exam of which the caller knows only the name."""


@dataclass(frozen=True, slots=True)
class PoolKeys:
    """What a worker's settings say of a pool: the names of its backends, and of its exams that may have a lobby."""

    backends: tuple[str, ...]
    exams: tuple[str, ...] = ()


def pool_key(pool: str, part: str) -> str:
    """A key of `pool`: one of `FIXED`, `LAST`, `ADDED` and `RECORDS`, `sess:`, `back:` or `backdue:<backend>`,
    `lobby:` or `lobbydue:<exam>`."""
    return f"wr:{{{pool}}}:{part}"


def lease_key(name: str) -> str:
    """The key of a lease."""
    return f"wr:{{{name}}}:lease"


RECORDS = ("hour", "day", "outages")
"""The records of a pool, each a key of its own call."""


def keep_call(pool: str, record: str, own: Iterable[Argument]) -> list[Argument]:
    """The command that adds to one of `RECORDS`."""
    return ["FCALL", "wr_keep", 1, pool_key(pool, record), *own]


def kept_call(pool: str, record: str, from_ms: int, lines: int) -> list[Argument]:
    """The command that reads one of `RECORDS` from an instant on."""
    return ["FCALL", "wr_kept", 1, pool_key(pool, record), from_ms, lines]


PACE = ("pace", "pace:line", "pace:awake", "pace:due", "pace:sent", "pace:underway")
"""The keys of a pace, in the order of the library; its name is their hash tag."""


def pace_call(name: str, rate_milli: int, burst: int, own: Iterable[Argument], *, now_ms: int = 0) -> list[Argument]:
    """The command that asks the pace `name`; `own` are the arguments of the requests."""
    return ["FCALL", "wr_pace", len(PACE), *(pool_key(name, part) for part in PACE), now_ms, rate_milli, burst, *own]


def call(
    pool: str,
    function: str,
    backends: Sequence[str],
    exams: Iterable[tuple[str, int]],
    own: Iterable[Argument],
    *,
    now_ms: int = 0,
) -> list[Argument]:
    """The command that calls a function on `pool`; `exams` are names with openings, `own` its own arguments."""
    keys = [pool_key(pool, part) for part in FIXED]
    keys.extend(pool_key(pool, f"sess:{name}") for name in backends)
    header: list[Argument] = []
    for name, opens_ms in exams:
        keys.append(pool_key(pool, f"lobby:{name}"))
        keys.append(pool_key(pool, f"lobbydue:{name}"))
        header.append(name)
        header.append(opens_ms)
    keys.extend(pool_key(pool, part) for part in LAST)
    keys.extend(pool_key(pool, f"{part}:{name}") for name in backends for part in ("back", "backdue"))
    keys.extend(pool_key(pool, part) for part in ADDED)
    return ["FCALL", function, len(keys), *keys, now_ms, len(backends), *backends, len(header) // 2, *header, *own]
