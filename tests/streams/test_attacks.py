"""Slow attacks by 2,000 at once: they are shown out in time, and no honest client notices them."""

from pathlib import Path

import pytest

from tests.proxy.wire import Call
from tests.streams.room import as_ever, p99, pass_of, room
from tests.streams.script import backend
from tests.streams.siege import Siege, besieged, calm
from tests.support.aio import run
from tests.support.student import Student

DEADLINE_S = 3.0
SHORT = "timeouts: {head: 3s, idle: 3s, body_grace: 3s, body: 3s}"

DEFAULT_S = 10.0

TICKS_S = 2.0
"""A deadline is kept within two ticks (waitroom/proxy/ticker.py)."""

LINGER_S = 2.0
"""What a client is given to read why it is shown out (waitroom/proxy/rules.py)."""

LATE_S = 1.0
"""What a loaded machine may add."""

MOST = 1_500
"""Attackers that are there at once before the first of them is shown out."""

PAGE = b"x" * 50_000

HEADS = ("-H", "-i", "1")
"""A header line a second: never silent for long, and never done."""

BODIES = ("-B", "-i", "100", "-s", "8192")
"""A body of which the first bytes come and no more."""

TRICKLES = ("-B", "-i", "1", "-s", "8192")
"""A body that is never silent for long, and never at its least rate."""

RANGES = ("-R", "-a", "5", "-b", "2000")
"""Heads of 14 KB that ask for 2,000 overlapping ranges."""

READS = ("-X", "-w", "1", "-y", "512", "-n", "1", "-z", "5")
"""A page read at 5 bytes a second."""


async def _large(call: Call) -> None:
    """A page of 50 KB; an upload is read to its end."""
    await call.body(call.backend.heads[-1])
    await call.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(PAGE) + PAGE)


TURNS = 4
"""In one of which all is as promised: in each, unless the machine stands still for a second meanwhile."""


def _withstood(tmp_path: Path, mode: tuple[str, ...], *, inside: bool, more: str, within_s: float | None) -> None:
    """An attack, `inside` by somebody who has a pass: honest clients are served as ever; the attackers are gone within
    this time, if any.
    """

    async def main() -> None:
        async with (
            backend({"/large": _large}) as url,
            room(tmp_path, url, more) as product,
            Student(product.public, "ann") as ann,
        ):
            cookie = await pass_of(ann)
            good_s, told, well = as_ever(await calm(product, cookie)), list[str](), False
            while not well:
                assert len(told) < TURNS, told
                siege = await besieged(tmp_path, product, cookie, *mode, *(("-j", cookie) if inside else ()))
                before_s, good_s = good_s, as_ever(await calm(product, cookie))
                well = _as_promised(siege, max(before_s, good_s), within_s)
                told.append(f"{siege} (good: {max(before_s, good_s) * 1e3:.1f} ms)")
                print(mode[0], told[-1])

    run(main())


def _as_promised(siege: Siege, good_s: float, within_s: float | None) -> bool:
    """Honest clients were served as before and afterwards; of attackers very many were there, and gone in time."""
    in_time = within_s is None or (siege.most >= MOST and siege.lasted_s <= within_s)
    return in_time and p99(siege.seconds) <= good_s


@pytest.mark.parametrize(
    ("mode", "inside"),
    [(HEADS, False), (BODIES, False), (BODIES, True), (TRICKLES, True), (READS, True)],
    ids=["heads", "bodies", "bodies-with-a-pass", "trickles", "reads"],
)
def test_attackers_are_shown_out(tmp_path: Path, mode: tuple[str, ...], inside: bool) -> None:
    """Each within its deadline; all honest clients are served meanwhile, newcomers too, and not later than ever."""
    _withstood(tmp_path, mode, inside=inside, more=SHORT, within_s=DEADLINE_S + TICKS_S + LINGER_S + LATE_S)


def test_ranges_are_only_large_heads(tmp_path: Path) -> None:
    """Whoever asks for 2,000 ranges 2,000 times is answered like anybody, and holds nothing."""
    _withstood(tmp_path, RANGES, inside=True, more=SHORT, within_s=None)


@pytest.mark.parametrize(("mode", "inside"), [(HEADS, False), (TRICKLES, True)], ids=["heads", "trickles"])
def test_attacks_by_default(tmp_path: Path, mode: tuple[str, ...], inside: bool) -> None:
    """The same with the time-outs that an operator has who has set none: 10 s for a head, and for a body's grace."""
    _withstood(tmp_path, mode, inside=inside, more="", within_s=DEFAULT_S + TICKS_S + LINGER_S + LATE_S)
