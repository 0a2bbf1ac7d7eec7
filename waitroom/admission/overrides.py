"""What staff set over the file while it runs: what is in force, how far it is from the file, what it would do.

Law: an operator's word counts in both directions, up to `MOST_TIMES` what the file says: a zero too many, typed in a
hurry, is refused, and whoever means it writes it into the file. A limit below the present sessions throws nobody out.
The store applies all of this (library.lua, key `live`); here it is read, judged beforehand and told.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from waitroom.admission.audit import CEILING, HELD, SESSIONS, STAFF
from waitroom.admission.line import Snapshot

MOST_TIMES = 5
"""Of what the file says. Ten would let the commonest slip of the finger through."""

_NOTE = "note:"


class Filed(NamedTuple):
    """What the file says of a pool. `max_sessions` by backend; None: no limit is stated. `rate_milli` 0: unlimited."""

    rate_milli: int
    burst: int
    max_sessions: Mapping[str, int | None]

    def fields(self) -> dict[str, str]:
        """The same under the names of the store, where something is stated."""
        found = {CEILING: str(self.rate_milli)}
        return found | {f"{SESSIONS}{name}": str(most) for name, most in self.max_sessions.items() if most}


class Override(NamedTuple):
    """One field that staff have set."""

    field: str
    value: str
    at_ms: int
    until_ms: int
    """0: until it is undone."""
    who: str
    why: str

    @property
    def backend(self) -> str:
        """The backend that it is about, or ""."""
        return self.field.partition(":")[2]


def overrides(live: Mapping[str, str]) -> dict[str, Override]:
    """All that staff have set, by field. What was set by a version that kept no notes has no name and no instant."""
    found = {}
    for field, value in sorted(live.items()):
        if field in (CEILING, HELD) or field.startswith((SESSIONS, STAFF)):
            at_ms, until_ms, text = (live.get(_NOTE + field) or "0 0 {}").split(" ", 2)
            said = json.loads(text)
            found[field] = Override(field, value, int(at_ms), int(until_ms), said.get("who", ""), said.get("why", ""))
    return found


def until_ms(live: Mapping[str, str], field: str) -> int:
    """When the time of what staff set is over; 0: it is not set, or until it is undone."""
    note = live.get(_NOTE + field) if field in live else None
    return int(note.split(" ", 2)[1]) if note else 0


def ceiling_milli(live: Mapping[str, str], filed_milli: int) -> int:
    """The rate that admissions never exceed; 0: unlimited."""
    return int(live.get(CEILING, filed_milli))


def max_sessions(live: Mapping[str, str], backend: str, filed: int | None) -> int | None:
    """How many sessions a backend may have; None: no limit is stated."""
    value = live.get(f"{SESSIONS}{backend}")
    return filed if value is None else int(value)


def too_many_sessions(filed: int | None, wanted: int) -> str:
    """Why a backend may not be given so many, or ""."""
    if filed is None or wanted <= MOST_TIMES * filed:
        return ""
    return f"max_sessions {wanted} is more than {MOST_TIMES} times the file's {filed}: write it into the file"


def too_fast(filed_milli: int, wanted_milli: int) -> str:
    """Why newcomers may not come so fast, or ""."""
    if not filed_milli or wanted_milli <= MOST_TIMES * filed_milli:
        return ""
    return f"is more than {MOST_TIMES} times the file's: write it into the file"


def would_be(snapshot: Snapshot, filed: Filed, fields: Mapping[str, str]) -> Snapshot:
    """The pool as it would be with these fields set ("": no more of it), everybody being where they are."""
    live = {name: value for name, value in {**snapshot.live, **fields}.items() if value}
    ceiling = ceiling_milli(live, filed.rate_milli)
    adaptive = int(live["rate"]) if "rate" in live else 0
    rate = min(each for each in (ceiling, adaptive) if each) if ceiling or adaptive else 0
    limits = {name: _limit(snapshot, live, name, filed) for name in snapshot.limits}
    burst_milli = 1_000 * _burst(filed, ceiling) if CEILING in live else 1_000 * filed.burst
    return replace(
        snapshot,
        live=live,
        held=HELD in live if HELD in fields else snapshot.held,
        rate_milli=rate,
        tokens_milli=min(snapshot.tokens_milli, burst_milli),
        limits=limits,
    )


def _limit(snapshot: Snapshot, live: Mapping[str, str], backend: str, filed: Filed) -> int:
    """0 for a backend that is closed."""
    was, key = snapshot.limits[backend], f"{STAFF}{backend}"
    if key in live:
        return 0
    opens = key in snapshot.live and not live.get(f"phase:{backend}", "").startswith("down")
    if (not was and not opens) or backend not in filed.max_sessions:
        return was
    most = max_sessions(live, backend, filed.max_sessions[backend])
    return was if most is None else most


def _burst(filed: Filed, ceiling: int) -> int:
    """As the library has it: in proportion to the rate, or two seconds of it."""
    if not ceiling:
        return filed.burst
    return max(1, filed.burst * ceiling // filed.rate_milli if filed.rate_milli else ceiling // 500)


def undone(live: Mapping[str, str], backends: Sequence[str] = (), *, rate: bool = True) -> dict[str, str]:
    """The fields to set so that limits are the file's again: all of them, or those of some backends."""
    found = {f"{SESSIONS}{name}": "" for name in backends if f"{SESSIONS}{name}" in live}
    if not backends:
        found = {field: "" for field in live if field.startswith(SESSIONS)}
        found |= {CEILING: ""} if rate and CEILING in live else {}
    return found
