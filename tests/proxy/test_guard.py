"""The guard's laws, whatever happens in whatever order: what its docstring promises, and nothing about sockets."""

from dataclasses import dataclass, field

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from waitroom.admission.limits import KINDS
from waitroom.metrics.catalogue import ENDS
from waitroom.proxy import guard as guard_module
from waitroom.proxy.guard import NOT_KNOWN, PASSED_OVER, End, Guard, share_of
from waitroom.proxy.limiters import UNLIMITED, RequestKinds
from waitroom.proxy.urgency import Urgency

WAIT_S = 10.0


@dataclass(eq=False)
class Request:
    """One request, and what it was told."""

    urgency: Urgency
    number: int
    since_s: float = 0.0
    told: list[str] = field(default_factory=list)
    parked: bool = False
    holds: bool = False
    leaves_at_once: Guard | None = None

    def come_in(self) -> None:
        self.told.append("in")
        self.holds = True
        if self.leaves_at_once is not None:
            self.holds = False
            self.leaves_at_once.leave()

    def turned_away(self, end: End) -> None:
        self.told.append(end)

    def moved(self) -> None:
        self.told.append("moved")

    @property
    def waits(self) -> bool:
        return self.parked and not self.told


class Machine(RuleBasedStateMachine):
    """Requests come, go, stream and lose patience while the limit changes; the places are few, so that they run out."""

    requests = Bundle("requests")
    places = 6

    def __init__(self) -> None:
        super().__init__()
        self.guard = Guard(2)
        self.limit = 2
        self.now_s = 0.0
        self.all: list[Request] = []
        self.streaming: set[int] = set()
        self.over = 0
        """Requests that count beyond the limit, since it fell or since they could not be refused."""
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(guard_module, "PLACES", self.places)

    def teardown(self) -> None:
        self.patch.undo()

    @property
    def waiting(self) -> list[Request]:
        return [each for each in self.all if each.waits]

    @property
    def holding(self) -> list[Request]:
        return [each for each in self.all if each.holds and each.number not in self.streaming]

    @rule(target=requests, urgency=st.sampled_from(Urgency), hasty=st.booleans())
    def arrive(self, urgency: Urgency, hasty: bool) -> object:
        request = Request(urgency, len(self.all), self.now_s, leaves_at_once=self.guard if hasty else None)
        if self.guard.held < self.guard.limit:
            assert not self.waiting, "nobody overtakes those who wait"
            self.guard.held += 1
            request.leaves_at_once = None
            request.holds = True
            self.all.append(request)
            return request
        before = self.waiting
        request.parked = True
        loser = self.guard.park(request, urgency, self.now_s)
        self.all.append(request)
        if len(before) < self.places:
            assert loser is None
        else:
            assert isinstance(loser, Request)
            least = max([*before, request], key=lambda each: (each.urgency, each.number))
            assert loser is least, "the last of the least important"
            loser.turned_away(End.CROWDED)
        return request if request.waits else multiple()

    @rule(request=consumes(requests))
    def end(self, request: Request) -> None:
        if request.holds:
            request.holds = False
            if request.number in self.streaming:
                self.streaming.discard(request.number)
                self.guard.streaming -= 1
            else:
                self.settle(self.guard.leave)
        elif request.waits:
            self.guard.withdraw(request)
            request.told.append(End.LEFT)

    @rule(request=requests)
    def stream(self, request: Request) -> None:
        if request.holds and request.number not in self.streaming:
            self.streaming.add(request.number)
            self.settle(self.guard.streams)

    @rule(request=requests)
    def work_again(self, request: Request) -> None:
        if request.holds and request.number in self.streaming:
            self.streaming.discard(request.number)
            self.guard.comes_back()

    @rule(limit=st.integers(1, 5))
    def resize(self, limit: int) -> None:
        self.limit = limit
        self.settle(lambda: self.guard.resize(limit))

    @rule(seconds=st.sampled_from([1.0, 4.0, WAIT_S]), at_most=st.integers(1, 3))
    def time_passes(self, seconds: float, at_most: int) -> None:
        self.now_s += seconds
        self.guard.tick()
        assert self.guard.saturated >= (self.guard.held >= self.limit)
        while self.guard.turn_away(self.now_s - WAIT_S, at_most):
            pass
        assert all(each.since_s > self.now_s - WAIT_S for each in self.waiting), "nobody waits longer"

    @rule()
    def move(self) -> None:
        waiting = self.waiting
        self.guard.dissolve()
        assert all(each.told == ["moved"] for each in waiting)

    def settle(self, step: object) -> None:
        """A step that may let others in: in the right order."""
        before = self.waiting
        assert callable(step)
        step()
        entered = [each for each in before if each.told == ["in"]]
        for urgency in Urgency:
            served = [each.number for each in entered if each.urgency == urgency]
            stayed = [each.number for each in self.waiting if each.urgency == urgency]
            assert served == sorted(served)
            assert not served or not stayed or max(served) < min(stayed), "in the order of arrival within a class"

    @invariant()
    def counts_are_true(self) -> None:
        assert self.guard.held == len(self.holding)
        assert self.guard.streaming == len(self.streaming)
        assert self.guard.waiting == len(self.waiting) <= self.places
        assert self.guard.level.inflight == len(self.holding) + len(self.streaming)

    @invariant()
    def a_place_is_free_only_where_nobody_waits(self) -> None:
        assert not self.waiting or self.guard.held >= self.limit

    @invariant()
    def each_is_told_once(self) -> None:
        assert all(len(each.told) <= 1 for each in self.all)


TestGuard = Machine.TestCase
TestGuard.settings = hypothesis_settings(max_examples=200, stateful_step_count=60, deadline=None)


def _queue(guard: Guard, *urgencies: Urgency) -> list[Request]:
    requests = [Request(urgency, number, parked=True) for number, urgency in enumerate(urgencies)]
    for request in requests:
        assert guard.park(request, request.urgency, 0.0) is None
    return requests


def _served(guard: Guard, requests: list[Request], count: int) -> list[int]:
    """The next ones let in, one after the other."""
    order = []
    for _ in range(count):
        guard.leave()
        (now,) = [each for each in requests if each.holds]
        now.holds = False
        order.append(now.number)
    return order


def test_nobody_is_let_in_beyond_the_limit_by_one_that_ends() -> None:
    """A limit that has fallen is reached as requests end, not at once."""
    guard = Guard(3)
    guard.held = 3
    (waiting,) = _queue(guard, Urgency.SAVE)
    guard.resize(1)
    guard.leave()
    guard.leave()
    assert waiting.waits
    guard.leave()
    assert waiting.holds
    assert guard.held == 1


def test_what_saves_something_goes_first() -> None:
    """Then scripts, pages, and parts of pages; each in the order of arrival."""
    guard = Guard(1)
    guard.held = 1
    requests = _queue(guard, Urgency.ASSET, Urgency.PAGE, Urgency.SAVE, Urgency.PROGRAM, Urgency.PAGE, Urgency.SAVE)
    assert _served(guard, requests, 6) == [2, 5, 3, 1, 4, 0]


def test_no_class_starves() -> None:
    """However many answers there are to save, a page is loaded now and then, and even an image."""
    guard = Guard(1)
    guard.held = 1
    requests = _queue(guard, Urgency.PAGE, Urgency.ASSET, *[Urgency.SAVE] * (3 * PASSED_OVER))
    order = _served(guard, requests, 2 * PASSED_OVER)
    assert order.index(0) == PASSED_OVER, "as often as it may be passed over"
    assert order.index(1) <= PASSED_OVER + len(Urgency)


def test_a_long_row_of_short_stays_is_no_deep_call() -> None:
    """Each that comes in ends at once, as requests with a broken body do: ten thousand are a loop, not a recursion."""
    guard = Guard(1)
    guard.held = 1
    for number in range(guard_module.PLACES):
        guard.park(Request(Urgency.SAVE, number, leaves_at_once=guard), Urgency.SAVE, 0.0)
    guard.leave()
    assert (guard.held, guard.waiting) == (0, 0)


@pytest.mark.parametrize("workers", [1, 2, 3, 7, 80])
@pytest.mark.parametrize("name", ["a/a-1", "a/a-2", "b/b-1"])
def test_shares_make_up_the_whole(workers: int, name: str) -> None:
    """Exactly, and no two differ by more than one; before ranks are known, never more than the whole."""
    for total in (workers, workers + 1, 80, 100_000):
        shares = [share_of(total, workers, rank, name) for rank in range(workers)]
        assert sum(shares) == total
        assert max(shares) - min(shares) <= 1
        assert share_of(total, workers, NOT_KNOWN, name) * workers <= total
    assert share_of(1, workers, 0, name) == 1, "every worker can serve whoever is connected to it"


def test_what_is_left_over_does_not_always_go_to_the_same() -> None:
    """Of many small backends no worker gets all the odd places."""
    favoured = [next(rank for rank in range(4) if share_of(9, 4, rank, f"p/b-{n}") == 3) for n in range(64)]
    assert set(favoured) == {0, 1, 2, 3}


def test_without_a_limit_there_is_always_a_place() -> None:
    """The comparison that every request makes."""
    assert Guard().limit == UNLIMITED
    assert Guard().level == (0, UNLIMITED, 0, False)


def test_ends_are_the_metrics_words() -> None:
    """One list of words."""
    assert tuple(End) == ENDS


def test_kinds_of_requests_are_few() -> None:
    """Methods and paths are told apart, numbers in them are not, and beyond a bound all others are one kind."""
    kinds = RequestKinds()
    start = kinds.number(b"POST", b"/mod/quiz/startattempt.php?x=1")
    assert start == kinds.number(b"POST", b"/mod/quiz/startattempt.php")
    assert start != kinds.number(b"GET", b"/mod/quiz/startattempt.php")
    assert kinds.number(b"GET", b"/user/17/x") == kinds.number(b"GET", b"/user/4/x")
    numbers = {kinds.number(b"GET", b"/" + b"x" * n) for n in range(10 * KINDS)}
    assert len(numbers) < KINDS
    assert max(numbers) < KINDS
    assert start == kinds.number(b"POST", b"/mod/quiz/startattempt.php")
