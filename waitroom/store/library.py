"""Brings the Lua library into a store.

Law: a store never goes back to an older library. An older worker works with a newer one, because functions only gain
abilities; a newer worker replaces an older one, under a lock, so that two who arrive together cannot undo each other.
"""

import asyncio
import re
from functools import cache
from pathlib import Path
from uuid import uuid4

import hiredis

from waitroom.errors import LibraryError, StoreAwayError
from waitroom.store.keys import Argument, lease_key
from waitroom.store.wire import Reply, Wire

ANSWER_S = 1.0
LOAD_S = 5.0
"""Time to load a library: the store compiles it once."""

LOCK = lease_key("library")
LOCK_MS = 10_000
LOCK_TRIES = 100
LOCK_PAUSE_S = 0.05

_VERSION = re.compile(r"^local VERSION = (\d+)$", re.MULTILINE)
_UNKNOWN = ("Function not found", "Library not found")


@cache
def source() -> str:
    """The text of the library."""
    return (Path(__file__).parent / "library.lua").read_text(encoding="utf-8")


def version_of(text: str) -> int:
    """The version that a library's text states."""
    found = _VERSION.search(text)
    assert found is not None
    return int(found[1])


def is_unknown_function(reply: object) -> bool:
    """Whether a reply says that the library is not in the store."""
    return isinstance(reply, hiredis.ReplyError) and any(text in str(reply) for text in _UNKNOWN)


async def ensure(wire: Wire, text: str | None = None, lock: str = LOCK) -> int:
    """Load the library unless the store has this version or a newer one; returns the version that is there.

    `lock`: a node of a cluster keeps only a key whose slot is its own.
    """
    text = source() if text is None else text
    ours = version_of(text)
    there = await _stored_version(wire)
    if there >= ours:
        return there
    owner = uuid4().hex
    for _ in range(LOCK_TRIES):
        if await _ask(wire, "SET", lock, owner, "NX", "PX", LOCK_MS) is not None:
            break
        await asyncio.sleep(LOCK_PAUSE_S)
    else:
        raise StoreAwayError("another worker is loading the library and does not finish", "busy")
    try:
        there = await _stored_version(wire)
        if there < ours:
            await _ask(wire, "FUNCTION", "LOAD", "REPLACE", text)
        return max(there, ours)
    finally:
        await _ask(wire, "DEL", lock)


async def _stored_version(wire: Wire) -> int:
    reply = (await wire.exchange([("FCALL_RO", "wr_version", 0)], ANSWER_S))[0]
    if is_unknown_function(reply):
        return 0
    if isinstance(reply, int):
        return reply
    raise LibraryError(f"the store cannot run the library (Redis 7 or Valkey is needed): {reply}")


async def _ask(wire: Wire, *command: Argument) -> Reply:
    reply = (await wire.exchange([command], LOAD_S))[0]
    if isinstance(reply, hiredis.ReplyError):
        raise LibraryError(f"the store refused the library: {reply}")
    return reply
