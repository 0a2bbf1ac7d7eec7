"""How the values of the line cross into the library and back; library.lua states the other side of each.

Law: only integers and short strings cross. Nothing is decided here.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, repeat
from typing import Any

from waitroom.admission.draw import Lot
from waitroom.admission.line import (
    Announced,
    Flow,
    Lane,
    Life,
    Move,
    Moved,
    Notice,
    Presence,
    Rules,
    Snapshot,
    Standing,
    State,
    Touch,
    Touched,
    Whereabouts,
)
from waitroom.admission.order import lane_of, order_key
from waitroom.admission.waits import Outcome, Wait
from waitroom.store.keys import Argument

OK, NO_RULES, NAME_THESE = 0, 1, 2
"""First element of a reply of every function that works on a pool."""

_CONFIRMED, _HIDDEN, _MAY_ENTER, _PAGE, _LANE, _EXAM = 1, 2, 4, 8, 16, 64
_TOLD_BEFORE, _AS_IT_CAME, _IN_LANE = 16, 32, 64
_KNOWN = 6
_SAVED, _LAPSES = 65_536, 131_072
_STATES = (State.WAITING, State.ADMITTED, State.LOBBY, State.RETURNING, State.HELD, State.DOWN)
_STANDS = (None, State.WAITING, State.LOBBY, State.ADMITTED)
_LIVES = (Life.LIVE, Life.LAPSED, Life.RELEASED)


def present_arguments(batch: Iterable[Presence]) -> tuple[dict[str, int], list[Argument]]:
    """The exams of a batch with their openings, and the arguments of its tickets."""
    exams: dict[str, int] = {}
    positions: dict[str, int] = {}
    own: list[Argument] = []
    stamped_us = 0
    named = False
    for one in batch:
        visitor, arrival_us, order_us, lane, exam, opens_ms, confirmed, hidden, may_enter, page, identity, stamped = one
        if stamped and arrival_us > stamped_us and not order_us:
            stamped_us = arrival_us
        mix = (
            (_CONFIRMED if confirmed else 0)
            + (_HIDDEN if hidden else 0)
            + (_MAY_ENTER if may_enter else 0)
            + (_PAGE if page else 0)
            + lane * _LANE
        )
        if exam:
            position = positions.get(exam)
            if position is None:
                position = positions[exam] = len(positions) + 1
            if opens_ms >= exams.get(exam, 0):
                exams[exam] = opens_ms
            mix += position * _EXAM
        place: Argument = arrival_us
        if identity:
            place, named = f"{arrival_us}:{order_us}:{identity}", True
        elif order_us:
            place = f"{arrival_us}:{order_us}"
        own += (visitor, place, mix)
    word = "known" if named else "lanes"
    own.append(f"{word}:{stamped_us}" if stamped_us else word)
    return exams, own


def standings(batch: Sequence[Presence], backends: Sequence[str], reply: list[Any]) -> list[Standing]:
    """The answers to a batch of presences; fewer where the reply ends too early, which `Presents` finds out."""
    now_ms, parts = reply[1], iter(reply[2:])
    found = []
    for one, code, ahead, waiting, next_poll_ms in zip(batch, parts, parts, parts, parts, strict=False):
        if code & _AS_IT_CAME:
            state = _STATES[code % _TOLD_BEFORE]
            told = Standing(state, one.visitor, one.arrival_us, now_ms, "", 0, ahead, waiting, next_poll_ms, one.lane)
        else:
            arrival_us, at, admitted_ms = next(parts), next(parts), next(parts)
            if code == _KNOWN:
                found.append(_elsewhere(next(parts).decode(), arrival_us, now_ms, Lane(ahead)))
                continue
            state, before = _STATES[code % _TOLD_BEFORE], bool(code & _TOLD_BEFORE)
            backend, counts = backends[at - 1] if at else "", (ahead, waiting, next_poll_ms)
            lane = one.lane if code < _IN_LANE else Lane(code // _IN_LANE - 1)
            told = Standing(state, one.visitor, arrival_us, now_ms, backend, admitted_ms, *counts, lane, before)
        found.append(told)
    return found


def _elsewhere(visitor: str, arrival_us: int, now_ms: int, lane: Lane) -> Standing:
    return Standing(State.WAITING, visitor, arrival_us, now_ms, lane=lane, elsewhere=True)


def touch_arguments(batch: Iterable[Touch]) -> tuple[tuple[str, ...], list[Argument]]:
    """The backends of a batch of passes, and the arguments of the passes."""
    positions: dict[str, int] = {}
    own: list[Argument] = []
    for one in batch:
        position = positions.setdefault(one.backend, len(positions) + 1)
        marked = position + one.saved * _SAVED + one.lapses * _LAPSES
        own += (one.visitor, marked, one.admitted_ms, one.keep_until_ms)
    return tuple(positions), own


def touched(batch: Sequence[Touch], reply: list[int]) -> list[Touched]:
    """The answers to a batch of passes."""
    return [
        Touched(one.visitor, _LIVES[reply[at]], reply[at + 1])
        for one, at in zip(batch, range(2, len(reply), 2), strict=True)
    ]


def whereabouts(reply: list[int]) -> Whereabouts:
    """The reply of `wr_where` for one ticket."""
    return Whereabouts(_STANDS[reply[2]], reply[3], reply[4])


def rules_arguments(rules: Rules) -> tuple[Argument, ...]:
    """The arguments of `wr_rules`."""
    text = {
        "rate_milli": rules.rate_milli,
        "burst": rules.burst,
        "idle_ms": rules.idle_timeout_ms,
        "max_ms": rules.max_duration_ms,
        "grace_ms": rules.absence_grace_ms,
        "held": int(rules.held),
        "share": rules.priority_percent,
        "move": int(rules.move),
        "backends": [[one.name, one.max_sessions, int(one.open)] for one in rules.backends],
    }
    return rules.version, json.dumps(text, separators=(",", ":"))


def moved(reply: list[int]) -> Moved:
    """The reply of `wr_lane`."""
    return Moved(tuple(Move)[reply[2]], Lane(reply[3]))


def names(found: list[bytes]) -> list[str]:
    """Names of backends or exams in a reply."""
    return [name.decode() for name in found]


def snapshot(reply: list[int | list[bytes | int]], ends: Sequence[int] = ()) -> Snapshot:
    """The reply of `wr_snapshot`, which was asked about `ends`."""
    now_ms, held, rate_milli, tokens_milli, absent = (_whole(value) for value in reply[1:6])
    waiting, lobby, sessions, flow, totals, notices, returns, live = (_parts(value) for value in reply[6:14])
    total = _counts(totals, 2, 1)
    return Snapshot(
        now_ms=now_ms,
        held=bool(held),
        rate_milli=rate_milli,
        tokens_milli=tokens_milli,
        waiting={lane: _whole(waiting[lane]) for lane in Lane},
        absent=absent,
        lobby=_counts(lobby, 2, 1),
        sessions=_counts(sessions, 3, 1),
        limits=_counts(sessions, 3, 2),
        flow=_flow(flow, _parts(reply[14]) if len(reply) > 14 else []),
        arrivals_total=total.get("arrivals", 0),
        admissions_total=_below(total, "admissions:"),
        departures_total=_below(total, "departures:"),
        notices={
            _word(notices[at]): Notice(announced(_word(notices[at + 2])).texts, _whole(notices[at + 1]))
            for at in range(0, len(notices), 3)
        },
        live={_word(live[at]): _word(live[at + 1]) for at in range(0, len(live), 2)},
        returning=_counts(returns, 3, 1),
        missed=_counts(returns, 3, 2),
        ends=tuple(zip(ends, map(_whole, _parts(reply[15])), strict=False)) if len(reply) > 15 else (),
    )


def _flow(parts: list[bytes | int], unused: list[bytes | int]) -> tuple[Flow, ...]:
    """Slices of time; a store of before does not say which sessions were never used."""
    numbers = iter(map(_whole, parts))
    each = zip(numbers, numbers, numbers, numbers, map(_whole, chain(unused, repeat(0))), strict=False)
    return tuple(Flow(*part) for part in each)


def waiting(reply: list[Any]) -> list[Wait]:
    """The reply of `wr_waits` about those still waiting."""
    page, found = reply[2], []
    for at in range(0, len(page), 3):
        order = int(float(page[at + 1]))
        lane = lane_of(order)
        arrival_us, exam = order - order_key(lane, 0), page[at + 2].decode()
        found.append(Wait(page[at].decode(), arrival_us, lane, exam, Outcome.WAITING, reply[1]))
    return found


def ended(reply: list[Any]) -> list[Wait]:
    """The reply of `wr_waits` about the ends of others, which it gives with the latest last."""
    return [_ended(line.decode()) for line in reversed(reply[2])]


def _ended(line: str) -> Wait:
    visitor, arrival_us, at_ms, lane, first, backend, exam = line.split(" ")
    outcome, backend = (Outcome.LEFT, "") if backend == "-" else (Outcome.ADMITTED, backend)
    return Wait(visitor, int(arrival_us), Lane(int(lane)), exam, outcome, int(at_ms), backend, int(first))


def announcement(said: Announced) -> str:
    """What staff say and who of them, as the library keeps it."""
    return json.dumps({"texts": dict(said.texts), "by": said.by}, ensure_ascii=False, separators=(",", ":"))


def announced(text: str) -> Announced:
    """The announcement in such a text."""
    found = json.loads(text)
    return Announced(tuple(found["texts"].items()), found["by"])


def draw_arguments(proposed: Mapping[str, Lot]) -> list[Argument]:
    """The arguments of `wr_draw`."""
    return [word for exam, lot in proposed.items() for word in (exam, lot.opens_ms, lot.seed)]


def lots(exams: Iterable[str], reply: list[Any]) -> dict[str, Lot]:
    """The reply of `wr_draw` about these exams."""
    parts = iter(reply[2:])
    return {exam: Lot(opens_ms, seed.decode()) for exam, opens_ms, seed in zip(exams, parts, parts, strict=True)}


def departures(reply: list[bytes | int]) -> dict[str, int]:
    """The reply of `wr_sweep`."""
    return _counts(reply[2:], 2, 1)


def _word(value: object) -> str:
    assert isinstance(value, bytes)
    return value.decode()


def _whole(value: object) -> int:
    assert isinstance(value, int)
    return value


def _parts(value: int | list[bytes | int]) -> list[bytes | int]:
    assert isinstance(value, list)
    return value


def _counts(parts: list[bytes | int], width: int, column: int) -> dict[str, int]:
    """Every `width`-th element is a name; its count stands `column` behind it."""
    found = {}
    for at in range(0, len(parts), width):
        found[_word(parts[at])] = _whole(parts[at + column])
    return found


def _below(totals: dict[str, int], prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): value for name, value in totals.items() if name.startswith(prefix)}
