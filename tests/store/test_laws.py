"""The laws of admission, held against the real library: whatever happens, it does what the model says."""

import hashlib
from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.store.driver import T0_MS, Line, Server, rules
from tests.store.model import Model
from tests.store.operating import dismiss, override
from waitroom.admission.line import BackendRules, Lane, Presence, Rules, Standing, State, Touch

OPENS_MS = {"early": T0_MS + 20_000, "late": T0_MS + 90_000}


def in_force(file: Rules, set_: dict[str, tuple[str, int]]) -> Rules:
    """The file's rules with what staff have set over them."""
    value = {field: value for field, (value, _) in set_.items()}
    rate, burst = int(value.get("ceiling", file.rate_milli)), file.burst
    if "ceiling" in value:
        burst = max(1, burst * rate // file.rate_milli if file.rate_milli else rate // 500)
    backends = tuple(
        BackendRules(
            one.name, int(value.get(f"sessions:{one.name}", one.max_sessions)), f"staff:{one.name}" not in value
        )
        for one in file.backends
    )
    return replace(file, rate_milli=rate, burst=burst, backends=backends, held=file.held or "held" in value)


class Pool(RuleBasedStateMachine):
    """One pool, two backends, two exams with a lobby; people come, wait, leave, use their sessions and vanish; staff
    set limits over the file's, hold, drain, and end what somebody has.
    """

    server: Server
    told = Bundle("told")

    @initialize(
        slots=st.tuples(st.integers(1, 3), st.integers(0, 2)),
        rate=st.sampled_from([0, 0, 300, 5_000]),
        percent=st.sampled_from([50, 50, 20, 85]),
        drawn=st.booleans(),
    )
    def begin(self, slots: tuple[int, int], rate: int, percent: int, drawn: bool) -> None:
        self.line = Line(self.server.client)
        self.line.exams = OPENS_MS
        self.percent, self.drawn = percent, drawn
        wanted = rules(*slots, rate_milli=rate, burst=2, grace_ms=120_000, percent=percent)
        self.line.write(wanted)
        self.file, self.set = wanted, dict[str, tuple[str, int]]()
        self.model = Model(wanted, OPENS_MS)
        self.born = 0

    def settle(self) -> None:
        """What the passing of time does at the next call."""
        self.model.open_and_expire(self.line.now_ms)
        self.model.fill(self.line.now_ms)

    def present(self, *batch: Presence) -> list[Standing]:
        self.settle()
        found = self.line.present(*batch)
        for presence, told in zip(batch, found, strict=True):
            self.model.present(presence, told)
        return found

    def newcomer(self, lane: Lane, exam: str) -> Presence:
        self.born += 1
        visitor, opens_ms = f"v{self.born:04d}", OPENS_MS.get(exam, 0)
        return Presence(visitor, 0, self.order_us(visitor, exam, self.line.now_ms * 1000), lane, exam, opens_ms)

    def order_us(self, visitor: str, exam: str, arrival_us: int) -> int:
        """The place that was drawn, of somebody who was there before the opening."""
        opens_us = OPENS_MS.get(exam, 0) * 1000
        if not self.drawn or arrival_us >= opens_us:
            return 0
        return opens_us - 1 - int(hashlib.sha256(visitor.encode()).hexdigest(), 16) % 1_000_000

    @rule(
        target=told,
        who=st.lists(
            st.tuples(
                st.sampled_from([Lane.STANDARD, Lane.STANDARD, Lane.PRIORITY]),
                st.sampled_from(["", "", "early", "late"]),
            ),
            min_size=1,
            max_size=4,
        ),
    )
    def arrive(self, who: list[tuple[Lane, str]]) -> object:
        batch = [self.newcomer(lane, exam) for lane, exam in who]
        found = self.present(*batch)
        return multiple(*zip(batch, found, strict=True))

    @rule(
        which=st.lists(told, min_size=1, max_size=4),
        hidden=st.booleans(),
        may_enter=st.sampled_from([True, True, True, False]),
    )
    def poll(self, which: list[tuple[Presence, Standing]], hidden: bool, may_enter: bool) -> None:
        self.present(
            *[
                presence._replace(
                    arrival_us=standing.arrival_us,
                    order_us=self.order_us(presence.visitor, presence.exam, standing.arrival_us),
                    confirmed=True,
                    hidden=hidden,
                    may_enter=may_enter,
                )
                for presence, standing in which
            ]
        )

    @rule(which=told, keep_ms=st.sampled_from([0, 0, 0, 60_000]))
    def use(self, which: tuple[Presence, Standing], keep_ms: int) -> None:
        visitor = which[0].visitor
        session = self.model.sessions.get(visitor)
        if session is None:
            ended_ms = self.model.lapsed.get(visitor) or self.model.released.get(visitor)
            if which[1].state is not State.ADMITTED or ended_ms is None:
                return
            backend, admitted_ms = which[1].backend, which[1].admitted_ms
        else:
            backend, admitted_ms = session.backend, session.admitted_ms
        touch = Touch(visitor, backend, admitted_ms, self.line.now_ms + keep_ms if keep_ms else 0)
        self.model.expire_sessions(self.line.now_ms, frozenset({backend}))
        self.model.expire_tickets(self.model.awake, self.model.absent, self.line.now_ms)
        self.model.touch(touch, self.line.touch(touch)[0], self.line.now_ms)

    @rule(which=told)
    def log_out(self, which: tuple[Presence, Standing]) -> None:
        visitor = which[0].visitor
        if visitor in self.model.sessions or visitor in self.model.lapsed:
            self.line.release(visitor)
            self.model.release(visitor, self.line.now_ms)

    @rule(which=consumes(told))
    def give_up(self, which: tuple[Presence, Standing]) -> None:
        visitor = which[0].visitor
        if visitor in self.model.sessions:
            return
        assert self.line.leave(visitor) == self.model.leave(visitor)

    @rule(ms=st.integers(0, 12_000))
    def wait(self, ms: int) -> None:
        self.line.now_ms += ms
        over = [field for field, (_, until_ms) in self.set.items() if 0 < until_ms <= self.line.now_ms]
        for field in over:
            del self.set[field]
        self.model.rules = in_force(self.file, self.set)
        if over:
            self.model.fill(self.line.now_ms)
        self.line.sweep()
        self.model.sweep(self.line.now_ms)

    @rule(steps=st.integers(2, 12))
    def wait_long(self, steps: int) -> None:
        for _ in range(steps):
            self.wait(7_000)

    @precondition(lambda self: self.model.rules.version < 6)
    @rule(slots=st.tuples(st.integers(0, 3), st.integers(0, 3)), held=st.booleans(), rate=st.sampled_from([0, 400]))
    def reconfigure(self, slots: tuple[int, int], held: bool, rate: int) -> None:
        wanted = rules(
            *slots,
            version=self.model.rules.version + 1,
            rate_milli=rate,
            burst=2,
            grace_ms=120_000,
            held=held,
            percent=self.percent,
        )
        self.model.fill(self.line.now_ms)
        assert self.line.write(wanted) == wanted.version
        self.file, self.model.rules = wanted, in_force(wanted, self.set)

    @rule(
        fields=st.fixed_dictionaries(
            {},
            optional={
                "sessions:b1": st.sampled_from(["", "1", "3"]),
                "sessions:b2": st.sampled_from(["", "1", "3"]),
                "ceiling": st.sampled_from(["", "300", "5000"]),
                "held": st.sampled_from(["", "", "1"]),
                "staff:b2": st.sampled_from(["", "draining"]),
            },
        ),
        for_ms=st.sampled_from([0, 5_000, 30_000]),
    )
    def staff_set(self, fields: dict[str, str], for_ms: int) -> None:
        now_ms = self.line.now_ms
        self.model.fill(now_ms)
        before = override(self.line, fields, for_ms)
        assert before == [self.set.get(field, ("", 0))[0] for field in fields]
        for field, value in fields.items():
            self.set.pop(field, None)
            if value:
                self.set[field] = value, now_ms + for_ms if for_ms else 0
        self.model.rules = in_force(self.file, self.set)

    @rule(which=consumes(told))
    def staff_end(self, which: tuple[Presence, Standing]) -> None:
        """What a ticket is worth after that is in test_dismissals.py."""
        visitor = which[0].visitor
        what, _ = dismiss(self.line, visitor)
        assert what == self.model.dismiss(visitor, self.line.now_ms)

    @invariant()
    def the_store_holds_what_the_model_holds(self) -> None:
        if not hasattr(self, "model"):
            return
        seen, model = self.line.snapshot(), self.model
        assert seen.rate_milli == model.rules.rate_milli
        assert seen.limits == {"b1": 0, "b2": 0} | {
            one.name: one.max_sessions if one.open else 0 for one in model.rules.backends
        }
        assert seen.sessions == {name: model.used(name) for name in ("b1", "b2")}
        assert sum(seen.waiting.values()) == len(model.awake)
        assert {exam: n for exam, n in seen.lobby.items() if n} == {e: len(t) for e, t in model.lobby.items() if t}
        assert seen.absent == len(model.absent) + sum(len(gone) for gone in model.absent_lobby.values())
        assert seen.arrivals_total == model.totals.get("arrivals", 0)
        for way in ("direct", "line", "return"):
            assert seen.admissions_total.get(way, 0) == model.totals.get(way, 0)
        for reason in ("released", "lapsed", "left", "absent"):
            assert seen.departures_total.get(reason, 0) == model.totals.get(reason, 0)

    @invariant()
    def each_wait_is_told_once(self) -> None:
        """Admitted, left or waiting; of a visitor whose ticket was used up, the latest wait comes first."""
        if not hasattr(self, "model"):
            return
        told = self.line.waits()
        assert len({(each.visitor, each.arrival_us) for each in told}) == len(told)
        latest = {each.visitor: (str(each.outcome), each.exam) for each in reversed(told)}
        assert latest == self.model.waits()


def test_laws_1_to_5_8_and_10_hold_in_any_order_of_events(server: Server) -> None:
    """Slots, order, presence, newcomers, repeats, endings, counts and what staff set are what the model says."""

    class Here(Pool):
        pass

    Here.server = server
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=80, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
