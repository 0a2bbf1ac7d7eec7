"""What works and is probably not meant: warnings about settings that are whole.

Law: a warning says what will happen, in the operator's units, and what would be better. It looks at values with their
defaults, reads no file, and is given the time.
"""

from collections.abc import Iterator
from ipaddress import IPv4Network

from waitroom.settings.addresses import EVERY_ADDRESS
from waitroom.settings.model import Exam, Match, Pool, Settings
from waitroom.settings.overlaps import overlaps
from waitroom.settings.problems import Finding
from waitroom.settings.units import DAY_MS, MINUTE_MS, SECOND_MS, write_duration
from waitroom.settings.yaml12 import Path

LONGEST_POLL_MS = 30 * SECOND_MS
"""A page far back asks again after this (POLL_MAX_MS in store/library.lua)."""

PAGE_SAVES_MS = MINUTE_MS
"""A page of an exam server that is open and left alone says something this often: Moodle's autosave."""

LAST_IN_MS = 15 * MINUTE_MS
"""Everybody expected should be in so soon after the opening."""

NEXT_POLL_S = 2
"""Who is next asks again after this at the soonest (POLL_MIN_MS in store/library.lua): tokens must last as long."""

NOTICED_MS = MINUTE_MS
"""A dead backend should be noticed within this; students reload for longer."""

REQUESTS_A_SESSION = 20
"""A browser opens six connections to a host (HTTP/1.1), and tabs share them."""

WIDE_BITS = {4: 8, 6: 16}
"""A trusted network with a shorter prefix is larger than any that one organisation runs."""


def advice(settings: Settings, now_ms: int) -> Iterator[Finding]:
    """Everything that is worth a warning, and rules of exams that can never win. References may be broken still."""
    yield from overlaps(settings)
    for name, exam in settings.exams.items():
        pool = settings.pools.get(exam.pool)
        if pool is not None:  # that there is none is a problem of its own (crosscheck.py)
            yield from _times(name, exam, pool, now_ms)
    yield from _unserved(settings)
    for name, each in settings.pools.items():
        exams = {exam: found for exam, found in settings.exams.items() if found.pool == name}
        path: Path = ("pools", name)
        yield from _burst(path, each)
        yield from _capacity(path, each, exams)
        yield from _sessions(path, each, exams)
        yield from _care(path, each)
        if not exams and settings.default_pool in settings.pools and name != settings.default_pool:
            yield _warn(
                path, "no exam uses it, and it is not the default pool: nobody ever gets there", "an exam for it"
            )
    yield from _reach(settings)


def _warn(path: Path, wrong: str, allowed: str = "", *, at_key: bool = True) -> Finding:
    return Finding(path, wrong, allowed, at_key=at_key, warning=True)


def about(duration_ms: int) -> str:
    """A duration for reading: its two largest units."""
    for unit_ms in (DAY_MS, 60 * MINUTE_MS, MINUTE_MS, SECOND_MS):
        if duration_ms >= 24 * unit_ms:
            return write_duration(duration_ms - duration_ms % unit_ms)
    return write_duration(duration_ms)


def _times(name: str, exam: Exam, pool: Pool, now_ms: int) -> Iterator[Finding]:
    path: Path = ("exams", name)
    opens, closes = exam.opens_ms, exam.closes_ms
    if closes is not None and closes <= now_ms:
        wrong = f"was {about(now_ms - closes)} ago: nobody enters any more"
        yield _warn((*path, "closes"), wrong, "a time to come, or no such exam", at_key=False)
    elif opens is not None and opens <= now_ms:
        wrong = f"was {about(now_ms - opens)} ago: who comes now enters without a lobby"
        yield _warn((*path, "opens"), wrong, "a time to come, unless the exam is running", at_key=False)
    if opens is None or closes is None:
        return
    holds = pool.session.hold_until_exam_ends is not False
    if holds and closes - opens > DAY_MS:
        wrong = f"is {about(closes - opens)} after opens, and each slot is held until then"
        yield _warn((*path, "closes"), wrong, "session.hold_until_exam_ends: false in its pool", at_key=False)
    if not holds and closes - opens > pool.session.max_duration_ms:
        wrong = f"is {about(closes - opens)} after opens, but a session ends after max_duration: "
        wrong += write_duration(pool.session.max_duration_ms)
        yield _warn((*path, "closes"), wrong, "a longer max_duration, or hold_until_exam_ends: true", at_key=False)


def _unserved(settings: Settings) -> Iterator[Finding]:
    """Rules that no request can fit, whatever other rules say. Those of paces are problems (crosscheck.py)."""
    rules: list[tuple[Path, Match]] = [
        (("exams", name, "match", index), match)
        for name, exam in settings.exams.items()
        for index, match in enumerate(exam.match)
    ]
    for key in ("bypass", "release"):
        rules += [((key, index), match) for index, match in enumerate(getattr(settings, key))]
    for path, match in rules:
        if match.host is not None and settings.hosts and match.host not in settings.hosts:
            wrong = f"{match.host} is not served: it is not in hosts"
            yield _warn((*path, "host"), wrong, ", ".join(settings.hosts[:10]), at_key=False)
        if match.path is not None and match.path.startswith(settings.prefix):
            yield _warn((*path, "path"), f"{settings.prefix} is ours", "a path of the exam server", at_key=False)


def _burst(path: Path, pool: Pool) -> Iterator[Finding]:
    """Whether the rate can be reached: tokens that nobody asks for in time are lost."""
    rate, burst = pool.admission.rate_milli, pool.admission.burst
    least = NEXT_POLL_S * rate // 1_000
    if burst < least:
        wrong = f"{burst} is earned in less than the {NEXT_POLL_S} s after which who is next asks: fewer enter"
        better = f"{least} or more, or none: it is {NEXT_POLL_S} s of the rate"
        yield _warn((*path, "admission", "burst"), wrong, better)


def _capacity(path: Path, pool: Pool, exams: dict[str, Exam]) -> Iterator[Finding]:
    """Whether those expected fit, exam by exam and all that are on at the same time."""
    limits = [backend.max_sessions for backend in pool.backends.values()]
    held = None if None in limits else sum(limit or 0 for limit in limits)
    for name, exam in exams.items():
        where, expected = ("exams", name, "expected"), exam.expected
        if expected is None:
            continue
        if held is not None and expected > held:
            wrong = (
                f"{expected} students, and {path[-1]} holds {held} at a time: {_left_out(expected - held, exam, pool)}"
            )
            yield _warn(where, wrong, f"{expected} slots or more in the pool", at_key=False)
        rate = pool.admission.rate_milli
        last_ms = max(0, expected - pool.admission.burst) * 1_000_000 // rate if rate else 0
        if last_ms > LAST_IN_MS:
            wrong = (
                f"{expected} students, and at the rate of {path[-1]} the last enters {about(last_ms)} after the first"
            )
            yield _warn(where, wrong, f"a rate that lets all in within {write_duration(LAST_IN_MS)}", at_key=False)
    together = _together(exams)
    count = sum(exams[name].expected or 0 for name in together)
    if held is not None and len(together) > 1 and count > held:
        wrong = f"holds {held} at a time, and {', '.join(together[:5])} expect {count} students at the same time"
        yield _warn(path, wrong, "more slots, times apart, or another pool")


def _left_out(number: int, exam: Exam, pool: Pool) -> str:
    kept = exam.closes_ms is not None and pool.session.hold_until_exam_ends is not False
    return f"{number} wait " + ("until somebody logs out, or the exam is over" if kept else "for a free slot")


def _together(exams: dict[str, Exam]) -> list[str]:
    """Of the exams that state who is expected, those that are on at the fullest instant."""
    stated = {name: exam for name, exam in exams.items() if exam.expected is not None}
    fullest: list[str] = []
    most = 0
    for at in {exam.opens_ms or 0 for exam in stated.values()}:
        on = [
            name
            for name, exam in stated.items()
            if (exam.opens_ms or 0) <= at and (exam.closes_ms is None or at < exam.closes_ms)
        ]
        count = sum(stated[name].expected or 0 for name in on)
        if count > most:
            fullest, most = on, count
    return fullest


def _sessions(path: Path, pool: Pool, exams: dict[str, Exam]) -> Iterator[Finding]:
    session = pool.session
    if session.idle_timeout_ms < 2 * PAGE_SAVES_MS:
        wrong = f"{write_duration(session.idle_timeout_ms)} is less than two autosaves of an exam's page take: "
        wrong += "who writes is thrown out"
        yield _warn(
            (*path, "session", "idle_timeout"), wrong, f"{write_duration(2 * PAGE_SAVES_MS)} or more", at_key=False
        )
    if session.idle_timeout_ms > session.max_duration_ms:
        wrong = f"{write_duration(session.idle_timeout_ms)} is never reached: a session ends after max_duration, "
        wrong += write_duration(session.max_duration_ms)
        yield _warn((*path, "session", "idle_timeout"), wrong, "less, or a longer max_duration beside it", at_key=False)
    if pool.absence_grace_ms < 2 * LONGEST_POLL_MS:
        wrong = f"{write_duration(pool.absence_grace_ms)} is less than two polls of a page far back take"
        allowed = f"{write_duration(2 * LONGEST_POLL_MS)} or more"
        yield _warn((*path, "absence_grace"), wrong, allowed, at_key=False)
    if session.hold_until_exam_ends and not any(exam.closes_ms for exam in exams.values()):
        wrong = "has no effect: no exam of this pool closes"
        yield _warn((*path, "session", "hold_until_exam_ends"), wrong, "closes in its exams")
    for name, backend in pool.backends.items():
        inflight, sessions = backend.max_inflight, backend.max_sessions
        if isinstance(inflight, int) and sessions is not None and inflight > REQUESTS_A_SESSION * sessions:
            wrong = f"{inflight} is never reached: {sessions} sessions send {REQUESTS_A_SESSION * sessions} at most"
            yield _warn(
                (*path, "backends", name, "max_inflight"), wrong, "what the backend works on at a time", at_key=False
            )


def _care(path: Path, pool: Pool) -> Iterator[Finding]:
    rate, initial = pool.admission.rate_milli, pool.recovery.initial_rate_milli
    if "recovery" in pool.model_fields_set and 0 < rate < initial:
        wrong = "is above admission.rate: the ramp after an outage would begin higher than it may end"
        yield _warn((*path, "recovery", "initial_rate"), wrong, "less than the rate", at_key=False)
    if pool.on_backend_down == "move" and len(pool.backends) == 1:
        yield _warn((*path, "on_backend_down"), "has no effect: the pool has one backend", "hold, or a second backend")
    health = pool.health
    if health is None:
        return
    noticed_ms, where = health.fall * max(health.interval_ms, health.timeout_ms), (*path, "health", "interval")
    noticed = f"a dead backend is noticed after {write_duration(noticed_ms)} (fall x interval)"
    if noticed_ms > pool.session.idle_timeout_ms:
        yield _warn(where, f"{noticed}: its sessions end before, by session.idle_timeout", "a shorter interval")
    elif noticed_ms > NOTICED_MS:
        allowed = f"{write_duration(NOTICED_MS // health.fall)} or less"
        yield _warn(where, f"{noticed}: students are sent to it until then", allowed)


def _reach(settings: Settings) -> Iterator[Finding]:
    for index, network in enumerate(settings.trusted_proxies):
        least = WIDE_BITS[4 if isinstance(network, IPv4Network) else 6]
        if 0 < network.prefixlen < least:
            wrong = f"{network} is larger than any network of one organisation: each of its hosts may name any client"
            yield _warn(("trusted_proxies", index), wrong, "the networks of your own proxies", at_key=False)
    if settings.listen.admin.host in EVERY_ADDRESS:
        wrong = f"{settings.listen.admin} is open to every network of this machine, students' too"
        yield _warn(("listen", "admin"), wrong, "an address that only operators reach, or a firewall", at_key=False)
