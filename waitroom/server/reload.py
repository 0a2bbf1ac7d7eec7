"""New settings for a running product: whole or not at all.

Law: first everybody says whether they can, then everybody does. A worker that cannot stops the reload and nothing has
changed; one that said yes and then fails is replaced by one that begins with the new settings.
"""

import asyncio
from socket import gethostname

import structlog

from waitroom.admission.audit import write_entry
from waitroom.errors import SettingsError
from waitroom.server.member import Member, MemberError
from waitroom.server.orders import Orders, write_orders
from waitroom.settings.differences import NONE, Difference, differences
from waitroom.settings.model import Settings
from waitroom.settings.secrets import Secrets

log = structlog.get_logger(__name__)

PREPARE_S = 10.0
"""Until every worker must have said whether it can."""

COMMIT_S = 5.0

MAX_LOGGED, MAX_AUDITED = 200, 30
"""Changes of one reload that are told one by one."""


class ReloadRefusedError(SettingsError):
    """The new settings are not applied; the message says why."""


def refuse_restarts(old: Settings, new: Settings) -> None:
    """Raise ReloadRefusedError if what changed needs a restart: sockets, processes, the store."""
    places = {
        "listen": (old.listen, new.listen),
        "workers": (old.workers, new.workers),
        "store": (old.store, new.store),
    }
    changed = [key for key, (before, after) in places.items() if before != after]
    if changed:
        told = [str(each) for each in differences(old, new) if each.key.partition(".")[0] in changed]
        wrong = f"{', '.join(changed)}: changed, which needs a restart; nothing was applied"
        raise ReloadRefusedError(f"{wrong} ({'; '.join(told)})")


def log_changes(old: tuple[Settings, Secrets], new: tuple[Settings, Secrets]) -> list[Difference]:
    """A line for each key that changes, and all of them; secrets are stars, and signing keys are told by their ids."""
    changes = differences(old[0], new[0])
    before, after = (", ".join(key.id for key in secrets.keys) for secrets in (old[1], new[1]))
    if old[1] != new[1]:
        changes.append(Difference("secrets", before, after if after != before else f"{after} (another)"))
    log_each(changes)
    return changes


def log_each(changes: list[Difference]) -> None:
    """A line for each."""
    for each in changes[:MAX_LOGGED]:
        log.info("config_changed", key=each.key, old=each.old, new=each.new)
    if len(changes) > MAX_LOGGED:
        log.info("config_changed_more", keys=len(changes) - MAX_LOGGED)


def audit_entry(what: str, changes: list[Difference]) -> str:
    """The same for the audit, which all machines share: it says on which the settings were read, and at what."""
    told = [(each.key, _value(each.old), _value(each.new)) for each in changes[:MAX_AUDITED]]
    more = f"and {len(changes) - MAX_AUDITED} more, see the log" if len(changes) > MAX_AUDITED else ""
    return write_entry(f"settings file on {gethostname()}", what, more, changes=told)


def _value(shown: str) -> str | None:
    return None if shown == NONE else shown


async def prepare(members: list[Member], generation: int, orders: Orders) -> None:
    """First phase. Raises ReloadRefusedError after calling it off everywhere."""
    message = write_orders(orders)
    answers = await asyncio.gather(*(_prepared(member, generation, message) for member in members))
    problems = sorted({problem for problem in answers if problem})
    if problems:
        for member in members:
            member.tell("abort", generation=generation)
        raise ReloadRefusedError("; ".join(problems))


async def commit(members: list[Member], generation: int) -> None:
    """Second phase: every worker of these works by the new settings or is being replaced."""
    await asyncio.gather(*(_committed(member, generation) for member in members))


async def _prepared(member: Member, generation: int, orders: dict[str, object]) -> str | None:
    """What the worker objects to, or None. A worker that died meanwhile objects to nothing."""
    try:
        reply = await member.ask("prepare", PREPARE_S, generation=generation, **orders)
    except MemberError as error:
        return None if member.leaving.is_set() else str(error)
    problem: str | None = reply["problem"]
    return problem


async def _committed(member: Member, generation: int) -> None:
    try:
        await member.ask("commit", COMMIT_S, generation=generation)
        member.generation = generation
    except MemberError as error:
        log.warning("worker_replaced_after_reload", worker=member.slot, problem=str(error))
        member.kill()
