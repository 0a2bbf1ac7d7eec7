"""An answer of the admin API as a busy morning gives it, for what commands make of it."""

from typing import Any

NOW_MS = 1_938_150_300_000
"""Five past nine in Liège, 2 June 2031."""

Answer = dict[str, Any]


def wait(low_s: int | None, high_s: int | None, unknown: str | None = None) -> Answer:
    at = [None if each is None else NOW_MS + 1_000 * each for each in (low_s, high_s)]
    return {"low_s": low_s, "high_s": high_s, "low_at_ms": at[0], "high_at_ms": at[1], "unknown": unknown}


def setting(undo: str, **more: Any) -> Answer:
    return {"at_ms": NOW_MS - 60_000, "until_ms": 0, "who": "dean", "why": "", "undo": undo} | more


def backend(name: str, live: int, limit: int | None = 400, **more: Any) -> Answer:
    load = {
        "inflight": 40, "inflight_limit": 80, "inflight_waiting": 0, "requests_per_s": 25.24, "failed_per_s": 0.0,
        "p50_ms": 80, "p95_ms": 180,
    }  # fmt: skip
    return {
        "backend": name, "phase": "up", "phase_since_ms": 0, "hold": None, "hold_set": None,
        "sessions": {"live": live, "limit": limit, "max_sessions": limit, "file": limit, "set": None},
        "load": load, "returning": 0, "return_rate_per_s": None,
    } | more  # fmt: skip


def pool(name: str = "sciences", **more: Any) -> Answer:
    return {
        "pool": name, "now_ms": NOW_MS, "state": "open", "hold_set": None,
        "line": {
            "waiting": 840, "lanes": {"return": 3, "priority": 12, "standard": 825}, "absent": 31, "lobby": [],
            "last": wait(540, 720), "newcomer": wait(545, 730),
        },
        "sessions": 700, "sessions_limit": 800,
        "rate": {
            "allowed_per_s": 20.0, "ceiling_per_s": 20.0, "file_per_s": 20.0, "adaptive": False,
            "admitted_per_s": 18.217, "set": None,
        },
        "backends": [backend("sci-1", 350), backend("sci-2", 350)], "announcements": [], "drift": [],
        "exams": ["MATH0001"], "hours": [], "totals": {"arrivals": 1540, "admissions": {"line": 700}, "departures": {}},
    } | more  # fmt: skip


def quiet(name: str = "humanities") -> Answer:
    """A pool where nothing happens."""
    line = {
        "waiting": 0, "lanes": {"return": 0, "priority": 0, "standard": 0}, "absent": 0,
        "lobby": [{"exam": "HIST0042", "tickets": 120, "opens_ms": NOW_MS + 3_300_000}],
        "last": wait(0, 0), "newcomer": wait(0, 0),
    }  # fmt: skip
    rate = {"allowed_per_s": None, "ceiling_per_s": None, "file_per_s": None, "adaptive": False, "admitted_per_s": 0.0,
            "set": None}  # fmt: skip
    return pool(
        name,
        line=line,
        rate=rate,
        sessions=3,
        sessions_limit=None,
        backends=[backend("hum-1", 3, None, load=None)],
        exams=[],
    )


def trouble() -> Answer:
    """A pool in which everything happens at once."""
    limits = setting("waitroom limit sciences --backend sci-1 --undo", until_ms=NOW_MS + 900_000, why="db slow")
    load = backend("x", 0)["load"]
    return pool(
        state="held",
        hold_set=setting("waitroom open sciences", why="database is slow, and nobody knows why it is so slow today"),
        line=pool()["line"] | {"last": wait(None, None, "held")},
        backends=[
            backend("sci-1", 310, 300, load=load | {"inflight": 80, "inflight_waiting": 14, "failed_per_s": 2.5}),
            backend("sci-2", 350, phase="down", phase_since_ms=NOW_MS - 123_456, load=None, returning=322),
            backend("a-backend-with-quite-a-long-name", 0, 0, hold="draining"),
        ],
        drift=[
            {"key": "sciences.backends.sci-1.max_sessions", "file": "400", "in_force": "300", "set": limits},
            {"key": "sciences.hold", "file": None, "in_force": "held", "set": setting("waitroom open sciences")},
        ],
        announcements=[{"exam": "", "text": {"fr": "Nous cherchons la panne."}, "at_ms": NOW_MS}],
    )


def answer(*pools: Answer, **more: Any) -> Answer:
    return {
        "now_ms": NOW_MS, "version": "0.1.0", "store_up": True, "who": "dean", "scopes": ["read"],
        "pools": list(pools), "missing": [],
    } | more  # fmt: skip
