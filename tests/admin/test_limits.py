"""Limits that staff set by the API, in front of a real store: in force, shown, foretold, undone, audited."""

from typing import Any

import pytest

from tests.admin.desk import Desk, desk
from tests.admin.test_announcements import HELPDESK
from tests.support.aio import run

LIMITS = {"max_sessions": 2, "rate": "10/s", "for_s": 1_200, "why": "db slow"}


def drift(pool: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """What the file says and what is in force, where they differ."""
    return {each["key"]: (each["file"], each["in_force"]) for each in pool["drift"]}


def test_a_limit_is_in_force_and_shown_as_drift() -> None:
    """Of each backend and of the pool; with who, why, until when, and the command that undoes it."""

    async def check() -> None:
        async with desk() as it:
            answer = await it.done("PATCH", "pools/main", LIMITS)
            assert [tuple(each.values()) for each in answer["changes"]] == [
                ("admission.rate", "20/s", "10/s"),
                ("backends.b1.max_sessions", "4", "2"),
                ("backends.b2.max_sessions", "4", "2"),
            ]
            assert answer["undo"] == "waitroom limit main --undo"
            assert sum(bool(one.backend) for one in await it.crowd(9)) == 4
            pool = await it.done("GET", "pools/main")
            assert drift(pool) == {
                "main.admission.rate": ("20/s", "10/s"),
                "main.backends.b1.max_sessions": ("4", "2"),
                "main.backends.b2.max_sessions": ("4", "2"),
            }
            how = pool["backends"][0]["sessions"]["set"]
            assert (how["who"], how["why"], how["until_ms"]) == ("dean", "db slow", answer["until_ms"])
            assert how["undo"] == "waitroom limit main --backend b1 --undo"
            assert how["until_ms"] - how["at_ms"] == 1_200_000
            assert (pool["sessions"], pool["sessions_limit"], pool["line"]["waiting"]) == (4, 4, 5)
            assert pool["rate"]["ceiling_per_s"] == 10

    run(check())


@pytest.mark.parametrize(
    ("body", "undo"),
    [
        ({"rate": "10/s"}, "waitroom limit main --rate file"),
        ({"max_sessions": 3}, "waitroom limit main --max-sessions file"),
        ({"max_sessions": 3, "backend": "b1"}, "waitroom limit main --backend b1 --max-sessions file"),
        ({"max_sessions": 3, "backend": "b1", "rate": "9/s"},
         "waitroom limit main --backend b1 --max-sessions file --rate file"),
        ({"max_sessions": 3, "rate": "9/s"}, "waitroom limit main --undo"),
    ],
)  # fmt: skip
def test_its_undo_undoes_nothing_else(body: Any, undo: str) -> None:
    """What a colleague has set stays, unless this was set over it."""

    async def check() -> None:
        async with desk() as it:
            assert (await it.done("PATCH", "pools/main", body))["undo"] == undo

    run(check())


async def undo_all(it: Desk) -> Any:
    return await it.done("DELETE", "pools/main/limits?why=over")


async def undo_one(it: Desk) -> Any:
    await it.done("PATCH", "pools/main", {"rate": None, "max_sessions": None, "backend": "b2"})
    return await it.done("DELETE", "pools/main/limits?backend=b1")


async def set_to_the_file(it: Desk) -> Any:
    return await it.done("PATCH", "pools/main", {"rate": None, "max_sessions": None})


@pytest.mark.parametrize("undo", [undo_all, undo_one, set_to_the_file])
def test_undone(undo: Any) -> None:
    """In one call: the file's limits are in force again, and there is nothing more to undo."""

    async def check() -> None:
        async with desk() as it:
            await it.done("PATCH", "pools/main", LIMITS)
            answer = await undo(it)
            assert answer["undo"] is None
            assert answer["until_ms"] == 0
            pool = await it.done("GET", "pools/main")
            assert (pool["drift"], pool["sessions_limit"], pool["rate"]["ceiling_per_s"]) == ([], 8, 20)
            assert (await undo_all(it))["changes"] == []
            (last, *_) = (await it.done("GET", "audit?limit=1"))["entries"]
            assert (last["who"], last["what"]) == ("dean", "undo")

    run(check())


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"max_sessions": 21}, 409, "more than 5 times the file's 4"),
        ({"rate": "101/s"}, 409, "it says 20/s"),
        ({"rate": "10"}, 422, "has no unit"),
        ({"rate": "0.0001/s"}, 422, "0.001/s"),
        ({"rate": "100000/s"}, 422, "out of range"),
        ({"rate": 10}, 422, "rate"),
        ({"max_sessions": 0}, 422, "max_sessions"),
        ({"max_sessions": 1.5}, 422, "max_sessions"),
        ({"max_sessions": 2, "backend": "b9"}, 404, "The backends of main are: b1, b2"),
        ({"rate": "1/s", "backend": "b1"}, 422, "rate is the pool's"),
        ({"why": "x"}, 422, "rate or max_sessions"),
        ({"max_sessions": 2, "for_s": 604_801}, 422, "for_s"),
        ({"max_sessions": 2, "why": "a\nb"}, 422, "one line"),
        ({"max_sessions": 2, "colour": 1}, 422, "colour"),
    ],
)
def test_what_may_not_be_set(body: Any, status: int, word: str) -> None:
    """Told with what is allowed; nothing changes."""

    async def check() -> None:
        async with desk() as it:
            got, problem = await it.ask("PATCH", "pools/main", body)
            assert (got, word in problem["detail"]) == (status, True), problem
            assert (await it.done("GET", "pools/main"))["drift"] == []
            assert (await it.done("GET", "audit"))["entries"] == []

    run(check())


def test_where_the_file_states_no_limit() -> None:
    """Any number may be set, and the drift says that there was none."""

    async def check() -> None:
        async with desk() as it:
            await it.done("PATCH", "pools/spare", {"max_sessions": 900_000})
            assert drift(await it.done("GET", "pools/spare")) == {"spare.backends.s1.max_sessions": (None, "900000")}
            await it.done("DELETE", "pools/spare/limits")
            backend = (await it.done("GET", "pools/spare"))["backends"][0]
            assert (backend["sessions"]["limit"], backend["sessions"]["max_sessions"]) == (None, None)

    run(check())


def test_a_preview_changes_nothing() -> None:
    """It says when the last in line would enter, now and then; who may only read may ask."""

    async def check() -> None:
        async with desk() as it:
            await it.crowd(9)
            status, seen = await it.ask("POST", "pools/main/preview", {"max_sessions": 2, "backend": "b1"}, HELPDESK)
            assert status == 200
            assert (seen["waiting"], seen["now"]["free"], seen["then"]["free"]) == (1, 0, -2)
            assert "b1 has 4 sessions: nobody is thrown out" in seen["text"]
            _, seen = await it.ask("POST", "pools/main/preview", {"max_sessions": 20, "rate": "1/s"}, HELPDESK)
            assert seen["then"]["last"]["unknown"] is None
            assert seen["text"].startswith("Who waits would enter at")
            _, seen = await it.ask("POST", "pools/main/preview", {"hold": True}, HELPDESK)
            assert seen["then"]["last"]["unknown"] == "held"
            assert (await it.ask("POST", "pools/main/preview", {"rate": "101/s"}, HELPDESK))[0] == 409
            pool = await it.done("GET", "pools/main")
            assert (pool["drift"], pool["state"]) == ([], "open")
            assert (await it.done("GET", "audit"))["entries"] == []

    run(check())


def test_everything_staff_do_is_audited() -> None:
    """Who, what, whose, why, from what to what; the latest first, of one pool or of all."""

    async def check() -> None:
        async with desk() as it:
            told = await it.crowd(9)
            await it.done("PATCH", "pools/main", {"max_sessions": 3, "backend": "b1", "why": "cold"})
            await it.done("PUT", "pools/main/hold", {"why": "restart", "for_s": 60})
            await it.done("DELETE", "pools/main/hold?why=well%20again")
            await it.done("PUT", "pools/main/backends/b2/hold", {"drain": True})
            await it.done("PUT", "pools/spare/announcement", {"text": {"fr": "Un instant"}, "why": "noise"})
            await it.done("DELETE", "pools/spare/announcement")
            seen = await it.done("GET", f"tickets/{told[-1].visitor}")
            await it.done("POST", f"tickets/{seen['code']}/lane", {"lane": "priority", "why": "extra time"})
            await it.done("POST", f"tickets/{seen['code']}/release", {"why": "went home"})
            found = (await it.done("GET", "audit"))["entries"]
            told_of = [(each["pool"], each["what"], each["target"], each["why"]) for each in reversed(found)]
            assert told_of == [
                ("main", "limit", "b1", "cold"),
                ("main", "hold", "", "restart"),
                ("main", "open", "", "well again"),
                ("main", "hold", "b2", ""),
                ("spare", "announce", "", "noise"),
                ("spare", "silence", "", ""),
                ("main", "lane", seen["code"], "extra time"),
                ("main", "release", seen["code"], "went home"),
            ]
            changes = [tuple(found[-1 - at]["changes"][0].values()) for at in (1, 2, 3, 4, 6)]
            assert changes == [
                ("hold", None, "held"), ("hold", "held", None), ("backends.b2.hold", None, "draining"),
                ("announcement", None, "fr: Un instant"), ("lane", "standard", "priority"),
            ]  # fmt: skip
            assert {each["who"] for each in found} == {"dean"}
            page = await it.done("GET", "audit?pool=main&limit=2&skip=1")
            assert ([each["what"] for each in page["entries"]], page["more"]) == (["lane", "hold"], True)
            assert (await it.ask("GET", "audit?pool=none"))[0] == 404

    run(check())


def test_all_pools_at_once() -> None:
    """With who asks and what they may do; a pool that nobody serves yet is named as missing."""

    async def check() -> None:
        async with desk() as it:
            _, seen = await it.ask("GET", "pools", headers=HELPDESK)
            assert ([each["pool"] for each in seen["pools"]], seen["missing"]) == (["main", "spare"], [])
            assert (seen["who"], seen["scopes"], seen["store_up"]) == ("helpdesk", ["read"], True)
            assert "127.0.0.1" not in str(seen)
            await it.store.close()
            _, seen = await it.ask("GET", "pools", headers=HELPDESK)
            assert (seen["pools"], seen["missing"], seen["store_up"]) == ([], ["main", "spare"], False)

    run(check())
