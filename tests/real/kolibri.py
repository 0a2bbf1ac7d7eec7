"""`python -m tests.real.kolibri`: learners take a quiz in PyPI Kolibri, directly and through the waiting room.

Law: from nothing, without the internet but for the package registry, and nothing left running whatever happens. Exits
0 when every promise held, 1 when one did not, 2 when this machine lacks something; each with a line that says which.
"""

import asyncio
import fcntl
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.async_api import Browser, Response, async_playwright
from playwright.async_api import Error as BrowserError

from tests.real.learner import CHROMIUM, Learner, chromium, learner
from tests.real.platform import Kolibri, NotPossibleError, install
from tests.real.room import SEATS, waiting_room
from tests.real.watch import OWN, Watch, same
from tests.support.product import Product

OUT = Path(__file__).parents[2] / "out" / "real"

COME_IN_MS = 60_000
"""The head of the line polls every 2 s or so; a minute means it never came in."""

SCRIPTED = (
    ("GET", "/learn/api/state", {"Accept": "application/json, text/plain, */*", "X-Requested-With": "XMLHttpRequest"}),
    ("PUT", "/api/logger/trackprogress/0/", {"Accept": "application/json, text/plain, */*"}),
    ("GET", "/content/storage/f/6/f6.perseus", {"Accept": "*/*"}),
)
"""How Kolibri's scripts ask: axios with its mark, axios without it, and a plain XMLHttpRequest for a file."""

THINK_S = 11.0
"""Kolibri's server (Cheroot) closes a connection that was idle for 10 s: the next save must not go to a dead one."""

LIMIT_S = 600.0
"""For all of it, the first installation apart."""


class BrokenPromiseError(AssertionError):
    """A promise that did not hold."""


def promise(held: bool, said: str) -> None:
    """Say what is promised; stop if it does not hold."""
    tell(f"{'ok  ' if held else 'FAIL'} {said}")
    if not held:
        raise BrokenPromiseError(said)


def tell(text: str) -> None:
    """One line of the transcript."""
    print(f"{time.monotonic() - _STARTED:7.1f}s  {text}", flush=True)


_STARTED = time.monotonic()


async def everything() -> None:
    """The whole story."""
    tell("install: Kolibri from PyPI into its own environment (kept in out/real)")
    python_home = await install(OUT)
    scratch = fresh(OUT / "run")
    kolibri = Kolibri(python_home, scratch / "kolibri")
    async with asyncio.timeout(LIMIT_S):
        tell("provision: facility, class, coach, learners, exercise, active quiz")
        await kolibri.provision()
        async with kolibri.serving() as url, async_playwright() as playwright, chromium(playwright) as browser:
            tell(f"Kolibri serves on {url}")
            direct = await without(kolibri, browser, url)
            async with waiting_room(scratch / "room", url) as product:
                tell(f"the waiting room serves on {product.public}, {SEATS} seat")
                await through(kolibri, browser, product, direct)


async def without(kolibri: Kolibri, browser: Browser, url: str) -> Watch:
    """One learner takes the quiz with nothing in between: what is normal for this platform."""
    ada, *_ = kolibri.school.learners
    async with learner(browser, ada, url, kolibri.school) as one:
        await one.open()
        await one.sign_in()
        await one.open_quiz()
        await one.answer_from(1)
        await one.submit()
        await submitted(kolibri, ada)
        await one.sign_out()
        await one.settle()
    promise(not one.watch.scripts_given_html(), "directly: no script was given HTML")
    tell(f"directly: {len(one.watch.exchanges)} exchanges; its pages complain of: {one.watch.complaints or 'nothing'}")
    tell(f"directly: WebSockets {one.watch.sockets or 'none'}, service workers {one.watch.workers or 'none'}")
    return one.watch


async def through(kolibri: Kolibri, browser: Browser, product: Product, direct: Watch) -> None:
    """One learner inside, another at the door, then the other inside."""
    _, ben, cleo, *_ = kolibri.school.learners
    async with learner(browser, cleo, product.public, kolibri.school) as second:
        async with learner(browser, ben, product.public, kolibri.school) as first:
            await takes_the_seat(first)
            await waits(second, product)
            await finishes(kolibri, product, first, second)
        unharmed(first, direct)
        await takes_the_quiz(kolibri, second)
    unharmed(second, direct)


async def takes_the_seat(first: Learner) -> None:
    """The only seat is free: straight in, no page of ours."""
    response = await first.open()
    promise(response.status == 200 and state_of(response) is None, f"{first.name} is let straight in")
    await first.sign_in()
    await first.open_quiz()
    await first.answer(1)
    await first.picture(OUT / "learner1-quiz.png")
    tell(f"{first.name} is in the quiz, one question answered (out/real/learner1-quiz.png)")


async def waits(second: Learner, product: Product) -> None:
    """The seat is taken: the waiting page in place, with the true position."""
    response = await second.open()
    promise(response.status == 429 and state_of(response) == "waiting", f"{second.name} gets 429, X-Waitroom: waiting")
    promise("retry-after" in response.headers, "with Retry-After")
    promise(response.headers.get("cache-control") == "no-store", "with Cache-Control: no-store")
    promise(second.page.url == f"{product.public}/", "at the URL that was asked for")
    async with second.page.expect_response(lambda got: f"{OWN}status" in got.url) as polled:
        pass
    status = await (await polled.value).json()
    promise((status["state"], status["position"]) == ("waiting", 1), f"first in line by the status: {status}")
    promise((await second.page.locator("#pos").inner_text()).strip() == "1", "first in line on the page")
    await second.picture(OUT / "queue.png")
    tell("the queue page is in out/real/queue.png")
    await scripts_are_refused(second)
    metrics = await product.metrics()
    promise(total(metrics, "waitroom_sessions{") == SEATS, f"{SEATS} session by the metrics")
    promise(total(metrics, "waitroom_waiting{") == 1, "1 waiting by the metrics")


async def scripts_are_refused(waiting: Learner) -> None:
    """What Kolibri's scripts ask in their three ways gets an answer they can tell from a page."""
    for method, path, headers in SCRIPTED:
        answer = await waiting.page.request.fetch(waiting.base + path, method=method, headers=headers)
        got = (answer.status, answer.headers.get("content-type"))
        promise(got == (429, "application/problem+json"), f"without a pass {method} {path} gets {got}")
        promise(answer.headers["retry-after"].isdecimal(), "with Retry-After in whole seconds, as Kolibri reads it")


async def finishes(kolibri: Kolibri, product: Product, first: Learner, second: Learner) -> None:
    """The first learner hands in and signs out; the second comes in without touching anything."""
    await first.think(THINK_S)
    await first.answer_from(2)
    await first.submit()
    await submitted(kolibri, first.name)
    promise(await second.page.locator("#pos").is_visible(), f"{second.name} still waits")
    async with second.page.expect_navigation(url="**/auth/**", timeout=COME_IN_MS):
        landing = await first.sign_out()
        left = time.monotonic()
    empty_s = time.monotonic() - left
    promise(True, f"{second.name}'s page came in by itself, {empty_s:.1f} s after {first.name} signed out")
    where, state = same(landing.url), state_of(landing)
    promise((landing.status, state) == (200, None), f"{first.name} sees Kolibri's own sign-in page ({where})")
    await first.settle()
    metrics = await product.metrics()
    promise(total(metrics, "waitroom_waiting{") == 0, f"{first.name} stands in no line")


async def takes_the_quiz(kolibri: Kolibri, second: Learner) -> None:
    """The one who waited does all that the first did."""
    await second.sign_in()
    await second.open_quiz()
    await second.answer(1)
    await second.picture(OUT / "learner2-inside.png")
    tell(f"{second.name} is in the quiz (out/real/learner2-inside.png)")
    await second.answer_from(2)
    await second.submit()
    await submitted(kolibri, second.name)
    await second.sign_out()
    await second.settle()


async def submitted(kolibri: Kolibri, name: str) -> None:
    """Kolibri's own database has the quiz as handed in, every answer right."""
    attempt = (await kolibri.attempts()).get(name)
    right = {question.id: 1.0 for question in kolibri.school.questions}
    promise(
        attempt is not None and attempt.submitted and attempt.marks == right,
        f"{name}'s quiz is in the database: {attempt}",
    )


def unharmed(one: Learner, direct: Watch) -> None:
    """Nothing went wrong in this browser that does not go wrong without us."""
    html = one.watch.scripts_given_html()
    promise(not html, f"{one.name}: no script was given HTML {[str(got) for got in html] or ''}")
    new = [said for said in one.watch.complaints if said not in direct.complaints and not refusal(said, one.watch)]
    promise(not new, f"{one.name}: no complaint that is not there without the waiting room {new or ''}")
    strange = sorted(one.watch.shapes() - direct.shapes())
    worse = [shape for shape in strange if shape[2] >= 400]
    promise(not worse, f"{one.name}: no failed request that does not fail without it {worse or ''}")
    refused = [str(got) for got in one.watch.refusals()]
    tell(f"{one.name}: refused by the waiting room: {refused or 'nothing'}")
    tell(f"{one.name}: exchanges of a kind not seen directly: {strange or 'none'}")


def refusal(complaint: str, watch: Watch) -> bool:
    """Chromium notes a page of ours in its console, for its 429; that is the page we promised."""
    pages = [got for got in watch.refusals() if got.kind == "document"]
    return any(str(got.status) in complaint and complaint.endswith(f" at {got.path}") for got in pages)


def state_of(response: Response) -> str | None:
    """The waiting room's own word for its answer; None for the platform's."""
    return response.headers.get("x-waitroom")


def total(metrics: dict[str, float], start: str) -> float:
    """The sum of the samples whose name and labels start so."""
    return sum(value for name, value in metrics.items() if name.startswith(start))


def fresh(scratch: Path) -> Path:
    """The scratch folder of this run; that of the last one is kept until now, for its logs."""
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "room").mkdir(parents=True)
    return scratch


@contextmanager
def alone() -> Iterator[None]:
    """One run at a time: they share the scratch folder."""
    OUT.mkdir(parents=True, exist_ok=True)
    with (OUT / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotPossibleError("another run is under way (out/real/lock)") from None
        yield


def equipped() -> None:
    """Say at once what only a person can put here."""
    if not Path(CHROMIUM).exists():
        raise NotPossibleError(f"{CHROMIUM} is missing: apt-get install chromium")


async def ended_by_signal() -> None:
    """SIGTERM ends the run like Ctrl-C: through every `finally`."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await everything()


def main() -> int:
    """Run it and say how it ended."""
    try:
        with alone():
            equipped()
            asyncio.run(ended_by_signal())
    except NotPossibleError as lacking:
        tell(f"NOT POSSIBLE HERE: {lacking}")
        return 2
    except (AssertionError, BrowserError, TimeoutError) as broken:
        tell(f"FAILED: {type(broken).__name__}: {broken}\n          logs: {OUT / 'run'}")
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        tell("stopped")
        return 130
    tell("all promises held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
