"""The library as a file and in a store: its headers are true, it names what it touches, it never goes back."""

import re

import pytest

from tests.store.driver import T0_MS, Line, Server, rules
from tests.store.operating import audit, dismiss, override, visitors, where
from tests.support.aio import run
from waitroom.admission.line import Presence
from waitroom.errors import LibraryError
from waitroom.store import codec, library
from waitroom.store.keys import ADDED, FIXED, LAST, call
from waitroom.store.operators import Known
from waitroom.store.wire import Address, Wire

HEADER = re.compile(
    r"--\[\[ (wr_\w+): (?P<purpose>.+?)\nKEYS +(?P<keys>.+?)\nARGV +(?P<argv>.+?)\nReply +(?P<reply>.+?) \]\]\n"
    r"local function \1\((?P<parameters>.*?)\)(?P<body>.+?)end\n(?=\n|redis)",
    re.DOTALL,
)


def functions() -> dict[str, re.Match[str]]:
    return {found[1]: found for found in HEADER.finditer(library.source())}


def test_every_function_has_a_header_and_is_registered() -> None:
    """Purpose, KEYS, ARGV and reply stand above each function that can be called."""
    registered = re.findall(r"redis\.register_function[({](?:function_name = )?'(\w+)'", library.source())
    assert sorted(registered) == sorted(functions())


@pytest.mark.parametrize("name", functions())
def test_a_header_says_what_the_body_takes(name: str) -> None:
    """Arguments that the header names for each item are as many as the body steps over; keys as it takes them."""
    header = functions()[name]
    body = header["body"]
    if header["keys"].startswith("the pool's"):
        assert "pool_of(keys, args)" in body
        assert header["argv"].startswith("the pool's")
        assert header["reply"].startswith("0, now_ms")
    else:
        assert "pool_of" not in body
    if each := re.search(r"then of each \w+: (.+)", header["argv"], re.DOTALL):
        names = re.sub(r"\([^()]*\)", "", each[1]).split(",")
        steps = re.search(r"for at = (?:pool|pace)\.first, #args(?:, (\d))? do", body)
        assert steps is not None
        assert len(names) == int(steps[1] or 1)
    if header["argv"].strip() in {"none", "the pool's, nothing more"}:
        assert "args[" not in body


def test_the_fixed_keys_are_those_of_the_library() -> None:
    """Python and Lua name the keys of a pool in the same order."""
    stated = re.search(r"KEYS  ([a-z ]+), then sess", library.source())
    assert stated is not None
    assert tuple(stated[1].split()) == FIXED
    body = library.source().split("local function pool_of")[1].split("local key, at")[0]
    taken = re.findall(r"(\w+) = keys\[(\d+)\]", body)
    assert [(name.removesuffix("_key"), int(at)) for name, at in taken] == [(n, i) for i, n in enumerate(FIXED, 1)]


def test_the_last_keys_are_those_of_the_library() -> None:
    """What a version added stands behind all that a worker of before names."""
    stated = re.search(r"of each exam named in ARGV, then ([a-z ]+), then\s+back", library.source())
    assert stated is not None
    assert tuple(stated[1].split()) == LAST
    added = re.search(r"backdue:<backend> of each backend, then ([a-z ]+)\. All", library.source())
    assert added is not None
    assert tuple(added[1].split()) == ADDED


def test_a_worker_of_before_finds_its_keys(line: Line) -> None:
    """It calls a newer library without the last keys: its sweep and snapshot work, and what staff say stays."""
    line.write(rules(1, 1))
    line.call("wr_announce", ("", 0, '{"texts":{"":"x"},"by":""}'), {}, line.backends)
    admitted = line.one("v1")
    for function in ("wr_sweep", "wr_snapshot"):
        command = call(line.pool, function, line.backends, (), (), now_ms=line.now_ms)
        count = int(command[2])
        known = count - len(LAST) - 2 * len(line.backends) - len(ADDED)
        command = [*command[:2], known, *command[3 : 3 + known], *command[3 + count :]]
        assert line.client.execute_command(*command)[0] == 0
    presence, before = Presence("v2"), len(line.waits())
    for last in range(LAST.index("waits") + 1):  # a worker of each version before waits were kept
        leave = call(line.pool, "wr_leave", line.backends, (), ("v2",), now_ms=line.now_ms)
        exams, own = codec.present_arguments([presence])
        for command in (call(line.pool, "wr_present", line.backends, exams.items(), own, now_ms=line.now_ms), leave):
            count, gone = int(command[2]), len(LAST) - last + 2 * len(line.backends) + len(ADDED)
            keys = command[3 : 3 + count - gone]
            assert line.client.execute_command(*command[:2], len(keys), *keys, *command[3 + count :])[0] == 0
    assert len(line.waits()) == before
    assert line.snapshot().sessions[admitted.backend] == 1
    assert line.snapshot().notices[""].texts == (("", "x"),)


def test_a_call_touches_no_key_that_it_did_not_name(server: Server) -> None:
    """What a cluster demands, seen with MONITOR over a life in a pool."""
    line = Line(server.client)
    line.exams = {"x": T0_MS + 5_000}
    with server.client.monitor() as monitor:
        live(line)
        server.client.echo("over")
        named: set[str] = set()
        checked = 0
        for event in monitor.listen():
            words = event["command"].split()
            if words[0] == "ECHO":
                break
            if words[0] == "FCALL":
                named = set(words[3 : 3 + int(words[2])])
            elif event["client_type"] == "lua" and words[0] != "TIME":
                touched = {word for word in words[1:] if word.startswith(f"wr:{{{line.pool}}}")}
                assert touched, event
                assert touched <= named, event
                checked += 1
    assert checked > 100


def live(line: Line) -> None:
    line.write(rules(1, 1, rate_milli=5_000))
    told = line.present(*[Presence(f"v{n}") for n in range(6)])
    told += line.present(*[Presence(f"x{n}", exam="x", opens_ms=line.exams["x"]) for n in range(3)])
    for one in told[2:6]:
        line.again(one)
    line.use(told[0])
    line.release("v0")
    line.use(told[0])
    line.leave("v3")
    line.leave("x0")
    line.advance(40_000)
    line.use(told[1], keep_until_ms=line.now_ms + 60_000)
    line.write(rules(2, version=2))
    line.advance(700_000)
    line.now_ms -= 300_000
    line.sweep()
    line.waits()
    override(line, {"sessions:b1": "3", "ceiling": "1000"}, for_ms=1)
    line.now_ms += 1
    line.sweep()
    for known in Known:
        visitors(line, known)
    for visitor in ("v1", "v4", "x1"):
        where(line, visitor)
        dismiss(line, visitor)
    audit(line)
    line.call("wr_tell", ("{}",), {}, line.backends)
    line.report("w", "{}")
    line.call("wr_traffic", (), {}, line.backends)
    line.snapshot()


async def ensured(server: Server, text: str | None = None) -> int:
    wire = await Wire.open(Address(path=server.path))
    try:
        return await library.ensure(wire, text)
    finally:
        wire.close()


def with_version(version: int) -> str:
    return re.sub(r"local VERSION = \d+", f"local VERSION = {version}", library.source())


def test_an_older_worker_never_downgrades_the_library() -> None:
    """It finds a newer one, leaves it, and works; a newer worker replaces an older one."""
    server = Server()
    try:
        ours = library.version_of(library.source())
        assert run(ensured(server, with_version(ours + 1))) == ours + 1
        assert run(ensured(server, with_version(ours))) == ours + 1
        assert server.client.fcall("wr_version", 0) == ours + 1
        line = Line(server.client)
        line.write(rules(1))
        assert line.one("a").backend == "b1"
        assert run(ensured(server, with_version(ours + 2))) == ours + 2
        assert server.client.fcall("wr_version", 0) == ours + 2
        assert line.one("a").repeated
    finally:
        server.stop()


def test_an_empty_store_gets_the_library() -> None:
    """After a wipe, functions and all."""
    server = Server()
    try:
        server.client.function_flush()
        assert run(ensured(server)) == library.version_of(library.source())
    finally:
        server.stop()


def test_a_library_that_does_not_load_says_so() -> None:
    """A typed error, not a raw one."""
    server = Server()
    try:
        with pytest.raises(LibraryError, match="refused the library"):
            run(ensured(server, with_version(99) + "\nthis is not Lua"))
    finally:
        server.stop()


def test_two_writers_of_rules_agree(line: Line) -> None:
    """The higher version stays, the first of a version stays, repeating changes nothing."""
    assert line.write(rules(1, version=5)) == 5
    assert line.write(rules(9, version=4)) == 5
    assert line.write(rules(9, version=5)) == 5
    assert line.snapshot().limits["b1"] == 1
    assert line.write(rules(2, version=6)) == 6
    assert line.snapshot().limits["b1"] == 2


def test_a_lease_has_one_owner(server: Server) -> None:
    """Renewed by its owner, refused to others until it runs out."""

    def lease(owner: str, ttl_ms: int) -> int:
        return int(server.client.fcall("wr_lease", 1, "wr:{test}:lease", owner, ttl_ms))

    assert [lease("a", 5_000), lease("b", 5_000), lease("a", 1)] == [1, 0, 1]
    while server.client.exists("wr:{test}:lease"):
        pass
    assert lease("b", 5_000) == 1
