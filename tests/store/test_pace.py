"""The laws of a pace, held against the real library: whoever clicks, however often, and whatever happens meanwhile."""

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.clicks import LONG_MS, Crowd, Pace, Student
from tests.store.driver import Server
from waitroom.admission.pacing import Step, Verdict

SLACK_MS = 1_300
"""Who leaves holds up others for no longer: a quarter of a second, and the second until others ask again."""

SWITCH_MS = 1_000
"""Whose request was held and is then met by the page: it asks a second later."""

SOON_MS = 100
"""Whose way to the store and back takes longer may be passed over, and goes first when they ask."""

RATES = st.sampled_from([(1_000, 1), (5_000, 1), (25_000, 5), (200_000, 40)])

laws = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def never_above_rate_and_one_burst(crowd: Crowd) -> None:
    rate, burst = crowd.pace.rules.rate_milli, crowd.pace.rules.burst
    times = [at_ms for at_ms, _, _ in crowd.passed]
    for first, start_ms in enumerate(times):
        for last, end_ms in enumerate(times[first:], first):
            assert (last - first + 1 - burst) * 1_000_000 <= (end_ms - start_ms) * rate, (start_ms, end_ms)


@laws
@given(data=st.data(), rate=RATES)
def test_requests_pass_in_the_order_of_arrival(server: Server, data: st.DataObject, rate: tuple[int, int]) -> None:
    """Never above the rate and one burst, each once, and each at the instant that it was told first."""
    arrivals = sorted(data.draw(st.lists(st.integers(0, 2_000), min_size=1, max_size=40)))
    crowd = Crowd(Pace(server.client, *rate), [Student(at_ms, patience_ms=LONG_MS) for at_ms in arrivals])
    crowd.run()
    assert [name for _, name, _ in crowd.passed] == [f"v{n}" for n in range(len(arrivals))]
    assert all(at_ms == crowd.promised[name] for at_ms, name, _ in crowd.passed)
    never_above_rate_and_one_burst(crowd)


def students() -> st.SearchStrategy[Student]:
    """Who waits, who leaves, who clicks again; held for long or met by the page, on lines slow or fast."""
    return st.builds(
        Student,
        at_ms=st.integers(0, 3_000),
        patience_ms=st.sampled_from([0, 2_000, LONG_MS]),
        line_ms=st.integers(0, 600),
        leaves_ms=st.one_of(st.just(LONG_MS), st.just(LONG_MS), st.integers(1, 20_000)),
        again_ms=st.one_of(st.just(LONG_MS), st.integers(1, 5_000)),
    )


@laws
@given(crowd_of=st.lists(students(), min_size=1, max_size=40), rate=RATES)
def test_nobody_is_lost_sent_twice_or_held_up_for_long(
    server: Server, crowd_of: list[Student], rate: tuple[int, int]
) -> None:
    """Whoever stays passes once, soon after the time promised; the rate holds whatever others do."""
    crowd = Crowd(Pace(server.client, *rate), crowd_of)
    crowd.run()
    never_above_rate_and_one_burst(crowd)
    passed = {name: at_ms for at_ms, name, _ in crowd.passed}
    assert len(passed) == len(crowd.passed), "sent twice"
    turn_ms = 1_000_000 // rate[0]
    for number, student in enumerate(crowd_of):
        if student.leaves_ms == LONG_MS:
            late_ms = passed[f"v{number}"] - crowd.promised[f"v{number}"]
            others = sum(other.at_ms <= student.at_ms and other.again_ms < LONG_MS for other in crowd_of)
            switch_ms = SWITCH_MS if 0 < student.patience_ms < LONG_MS else 0
            slow = sum(other.at_ms <= student.at_ms and other.line_ms > SOON_MS for other in crowd_of)
            back_ms = SLACK_MS + slow * turn_ms if slow else 0
            assert late_ms <= SLACK_MS + switch_ms + back_ms + (others + 2) * turn_ms + 6 * student.line_ms


@laws
@given(at=st.lists(st.integers(0, 1_000), min_size=2, max_size=30), wiped_ms=st.integers(0, 3_000))
def test_a_store_that_lost_all_finds_the_order_again(server: Server, at: list[int], wiped_ms: int) -> None:
    """Nobody passes until all who are held have asked again; those who had waited go first, in their order."""
    arrivals = sorted(at)
    crowd = Crowd(Pace(server.client, 5_000, 1), [Student(at_ms, patience_ms=LONG_MS) for at_ms in arrivals])
    crowd.run(wipe_at_ms=wiped_ms)
    before = [int(name[1:]) for at_ms, name, _ in crowd.passed if arrivals[int(name[1:])] < wiped_ms]
    assert before == sorted(before)
    assert len(crowd.passed) == len(arrivals)


@pytest.fixture
def pace(server: Server) -> Pace:
    """25 a second, burst used up."""
    pace = Pace(server.client)
    for n in range(5):
        assert pace.click(f"first{n}").verdict is Verdict.DIRECT
    return pace


def test_to_ask_again_changes_nothing(pace: Pace) -> None:
    """A second click, a reload or another tab has the visitor's place, and nobody else's moves."""
    a, b = pace.click("a"), pace.click("b")
    assert (a.wait_ms, b.wait_ms) == (40, 80)
    for form in ("f", "f", "another"):
        assert pace.click("a", form).wait_ms == 40
        assert pace.page("a", form, since_us=a.since_us).wait_ms == 40
    assert pace.click("b", since_us=b.since_us).wait_ms == 80
    assert pace.click("c").wait_ms == 120


def test_who_does_not_ask_again_is_passed_over_and_first_on_return(pace: Pace) -> None:
    """A browser that was closed holds nobody up; opened again, it has its place."""
    gone, stays = pace.click("gone"), [pace.click(f"s{n}") for n in range(30)]
    pace.now_ms += 1_000
    assert pace.click("s29", since_us=stays[29].since_us).wait_ms == 320, "18 have not asked in time"
    pace.now_ms += 40
    assert pace.click("gone").verdict is Verdict.TURN
    assert gone.wait_ms == 40


def test_several_requests_of_one_visitor_take_turns_with_others(pace: Pace) -> None:
    """One place each: when one of them has passed, the next goes to the end."""
    mine = [pace.click("a", form) for form in "xyz"]
    other = pace.click("b")
    assert [one.wait_ms for one in mine] == [40, 40, 40]
    pace.now_ms += 40
    assert pace.click("a", "x", since_us=mine[0].since_us).verdict is Verdict.TURN
    assert pace.click("a", "y", since_us=mine[1].since_us).wait_ms == 80
    assert pace.click("b", since_us=other.since_us).wait_ms == 40


def test_one_of_two_pages_is_told_to_send(pace: Pace) -> None:
    """Of two tabs with the same form one sends; the other learns that it was sent, and a click on it is a new one."""
    tabs = [pace.click("a", patience_ms=0) for _ in range(2)]
    assert [tab.verdict for tab in tabs] == [Verdict.PAGE] * 2
    pace.now_ms += 1_000
    told = [pace.page("a", since_us=tab.since_us).verdict for tab in tabs]
    assert told == [Verdict.GO, Verdict.PAGE]
    assert pace.page("a", since_us=tabs[0].since_us).verdict is Verdict.GO, "the answer may have been lost"
    assert pace.click("a").verdict is Verdict.TURN
    assert pace.page("a", since_us=tabs[1].since_us).verdict is Verdict.PAGE, "it is at the backend"
    pace.end("a")
    assert pace.page("a", since_us=tabs[1].since_us).verdict is Verdict.SENT
    assert pace.click("a").verdict is Verdict.DIRECT


@pytest.mark.parametrize("answered", [True, False])
def test_a_copy_waits_for_the_end_of_the_first(pace: Pace, answered: bool) -> None:
    """Sent again while it is at the backend: not again if the answer came; a request of its own if none did."""
    pace.now_ms += 1_000
    assert pace.click("a").verdict is Verdict.DIRECT
    copy = pace.click("a")
    assert (copy.verdict, copy.next_ms) == (Verdict.HOLD, 500)
    assert pace.click("a", "other form").verdict is Verdict.DIRECT
    pace.now_ms += 500
    assert pace.click("a", since_us=copy.since_us).verdict is Verdict.HOLD
    pace.end("a", answered=answered)
    after = pace.click("a", since_us=copy.since_us)
    assert after.verdict is (Verdict.SENT if answered else Verdict.TURN)


def test_a_page_never_sends_what_may_have_arrived(pace: Pace) -> None:
    """A page that kept the form before another copy passed is told so even if that one was never answered."""
    tab = pace.click("a", patience_ms=0)
    pace.now_ms += 1_000
    assert pace.click("a").verdict is Verdict.TURN
    pace.end("a", answered=False)
    assert pace.page("a", since_us=tab.since_us).verdict is Verdict.SENT
    assert pace.click("a").verdict is Verdict.DIRECT, "a new click is a new request"


def test_a_dead_workers_form_is_at_the_backend_for_half_a_minute(pace: Pace) -> None:
    """Nobody told its end."""
    pace.now_ms += 1_000
    pace.click("a")
    copy = pace.click("a")
    pace.now_ms += 29_900
    assert pace.click("a", since_us=copy.since_us).verdict is Verdict.HOLD
    pace.now_ms += 200
    assert pace.click("a", since_us=copy.since_us).verdict is Verdict.TURN


def test_what_was_not_sent_is_given_back(pace: Pace) -> None:
    """The visitor left in the last moment: the turn is another's, and their next click has the place of before."""
    first = pace.click("a")
    others = [pace.click(f"o{n}") for n in range(3)]
    pace.now_ms += 40
    passed = pace.click("a", since_us=first.since_us)
    pace.give_back("a", "f", passed.since_us)
    assert pace.click("a").verdict is Verdict.TURN
    pace.now_ms += 40
    assert pace.click("o0", since_us=others[0].since_us).verdict is Verdict.TURN


def test_a_reload_changes_the_rate(pace: Pace) -> None:
    """From the next call on; what was earned stays earned, up to the new burst."""
    held = [pace.click(f"v{n}") for n in range(10)]
    pace.rules = type(pace.rules)(100_000, 20)
    assert pace.click("v9", since_us=held[9].since_us).wait_ms == 100
    pace.rules = type(pace.rules)(1_000, 1)
    assert pace.click("v0", since_us=held[0].since_us).wait_ms == 1_000


@pytest.mark.parametrize("jump_ms", [-3_600_000, 3_600_000])
def test_a_clock_that_jumps(pace: Pace, jump_ms: int) -> None:
    """Back: no turn is earned twice, nobody waits for those who have left. On: a burst, and not more."""
    held = [pace.click(f"v{n}") for n in range(10)]
    pace.now_ms += jump_ms
    again = [pace.click(f"v{n}", since_us=one.since_us) for n, one in enumerate(held)][::-1]
    if jump_ms < 0:
        assert [one.wait_ms for one in again] == [400 - 40 * n for n in range(10)]
        pace.now_ms += 1_400
        assert pace.click("late").wait_ms == 0, "nobody is waited for who has not asked again"
    else:
        assert sum(one.verdict is Verdict.TURN for one in again) == 5
    orders = [one.since_us for one in again][::-1]
    assert orders == sorted(orders)
    assert all(a < b for a, b in pairwise(orders))


def test_places_and_memories_are_bounded_and_expire(pace: Pace) -> None:
    """Two minutes after the last that was heard of them, and all with the pace when nobody uses it."""
    pace.ask(*[Step(f"v{n}", "f", 0, 60_000) for n in range(100)])
    pace.now_ms += 20_000
    pace.ask(Step("x", "f", 0, 0))
    pace.now_ms += 120_001
    pace.ask(Step("y", "", 0, 0))
    sizes = {key.rpartition("}:")[2]: pace.client.zcard(key) for key in pace.key_names()[1:]}
    assert sizes == {"pace:line": 0, "pace:awake": 0, "pace:due": 0, "pace:sent": 1, "pace:underway": 0}
    assert all(0 < pace.client.pttl(key) <= 600_000 for key in pace.key_names() if pace.client.exists(key))
    assert pace.client.hlen(pace.key_names()[0]) == 4


def test_a_pace_touches_no_key_that_it_did_not_name(server: Server) -> None:
    """What a cluster demands, seen with MONITOR."""
    pace = Pace(server.client, 5_000, 1)
    with server.client.monitor() as monitor:
        Crowd(
            pace, [Student(10 * n, 0 if n % 2 else 2_000, leaves_ms=LONG_MS if n % 3 else 500) for n in range(9)]
        ).run()
        pace.now_ms -= 600_000
        pace.click("back")
        pace.end("back", answered=False)
        server.client.echo("over")
        touched: set[str] = set()
        for event in monitor.listen():
            words = event["command"].split()
            if words[0] == "ECHO":
                break
            if event["client_type"] == "lua":
                found = {word for word in words[1:] if word.startswith("wr:")}
                assert found, event
                touched |= found
    assert touched == set(pace.key_names())
