"""`waitroom demo`: a sample exam server that collapses, the waiting room in front of it, and on request a crowd.

Law: it needs nothing else. Exit code 0 if every student of the crowd submitted (or nobody was sent), 1 if not, 2 if it
could not be played. `--without` has shown what it came to show whenever it ran to its end.
"""

import asyncio
import json
import signal
import sys

import click
import uvloop
from rich.console import Console

from waitroom.demo.crowd import State, Tally
from waitroom.demo.play import Plan, Result, links, play
from waitroom.demo.stage import Places, StageError

CROWD_SESSIONS = 40
"""Two thirds of what the sample server carries: what an operator who does not know it would dare."""

CLICK_SESSIONS = 2
"""Two browsers fill it; the third one waits."""

LONGEST_S = 600.0
"""A crowd that is not done by then is not going to be."""


@click.command()
@click.option("--students", type=click.IntRange(0, 5_000), default=0, metavar="N", help="Send a crowd of N.")
@click.option("--without", is_flag=True, help="Send the same crowd straight at the same server.")
@click.option("--listen", metavar="HOST:PORT", help="Where students come.  [default: 127.0.0.1 at the port base]")
@click.option("--port-base", type=click.IntRange(1, 65_532), default=8_080, show_default=True, metavar="PORT",
              help="First of four ports: waiting room, exam server, its console, metrics.")  # fmt: skip
@click.option("--max-sessions", type=click.IntRange(1), metavar="N",
              help=f"Let in at a time.  [default: {CROWD_SESSIONS}; {CLICK_SESSIONS} without a crowd]")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0.1), metavar="S", help="End after so many seconds.")
@click.option("--speed", type=click.FloatRange(0.1), default=30.0, show_default=True, metavar="X",
              help="Exam minutes pass so many times faster.")  # fmt: skip
@click.option("--seed", type=int, default=1, show_default=True, help="One seed, one crowd.")
@click.option("--json", "as_json", is_flag=True, help="End with the result in JSON, and print nothing else.")
def demo(students: int, listen: str | None, port_base: int, max_sessions: int | None, *, without: bool,
         seconds: float | None, speed: float, seed: int, as_json: bool) -> None:  # fmt: skip
    """Show what the waiting room does.

    \b
    waitroom demo                             open the page in three private windows: the third one waits
    waitroom demo --students 200              a crowd; everybody gets through
    waitroom demo --students 200 --without    the same crowd kills the same server, again and again
    """
    console = Console(quiet=as_json, stderr=False)
    try:
        plan = Plan(
            places=Places.of(listen, port_base),
            students=students,
            max_sessions=max_sessions or (CROWD_SESSIONS if students else CLICK_SESSIONS),
            with_waiting_room=not without,
            within_s=seconds or (LONGEST_S if students else None),
            seed=seed,
            speed=speed,
        )
        _introduce(plan, console)
        result = uvloop.run(_play(plan, console))
    except StageError as error:
        click.echo(f"waitroom demo: {error}", err=True)
        sys.exit(2)
    if as_json:
        click.echo(json.dumps(_facts(result), indent=2))
    else:
        _conclude(result, console)
    sys.exit(_exit_code(result))


async def _play(plan: Plan, console: Console) -> Result:
    ended = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(name, ended.set)
    return await play(plan, console, ended)


def _introduce(plan: Plan, console: Console) -> None:
    for name, url in links(plan):
        console.print(f"[bold]{name:12}[/] [cyan]{url}[/]", highlight=False)
    if not plan.students and plan.with_waiting_room:
        full = plan.max_sessions
        console.print(
            f"\nThe waiting room lets {full} student{'s' if full > 1 else ''} in at a time.\n"
            f"Open the first in {full + 1} private windows: the last one waits and enters when another logs out.\n"
            "Or send a crowd: waitroom demo --students 200\nStop with Ctrl-C.",
            highlight=False,
            soft_wrap=True,
        )
    if plan.students and plan.with_waiting_room:
        console.print("\nOpen the first address while the crowd is there: you are the next in line.", highlight=False)
    console.print("Starting ...", style="dim")


def _conclude(result: Result, console: Console) -> None:
    tally = result.tally
    if tally is None:
        return
    good = tally.everybody_submitted
    total, submitted = tally.states.total(), tally.states[State.SUBMITTED]
    head = f"All {total} students submitted" if good else f"{submitted} of {total} students submitted"
    console.print(f"\n[bold {'green' if good else 'red'}]{head}, after {_span(result.seconds)}.[/]", highlight=False)
    for name, text in _findings(result, tally):
        console.print(f"  [bold]{name:13}[/] {text}", highlight=False, soft_wrap=True)
    console.print(f"\n{_other(result.plan)}\n", highlight=False)


def _findings(result: Result, tally: Tally) -> list[tuple[str, str]]:
    watch, deaths = result.watch, result.watch.server.deaths
    fates = [
        f"{tally.states[state]} {state}" for state in State if state is not State.SUBMITTED and tally.states[state]
    ]
    found = [("Others", ", ".join(fates))] if fates else []
    if tally.longest_wait_s is not None and tally.median_wait_s is not None and result.plan.with_waiting_room:
        found.append(("Wait", f"median {_span(tally.median_wait_s)}, longest {_span(tally.longest_wait_s)}"))
    if tally.promises:
        share = round(100 * tally.promises_held / tally.promises)
        found.append(("Estimates", f"{share} % came in within the range that they were shown first"))
    died = f"{len(deaths)} deaths" if len(deaths) != 1 else "1 death"
    causes = ", ".join(sorted({death.cause for death in deaths}))
    load = f"at most {watch.most_sessions} sessions, {watch.most_queued} requests in its backlog"
    found.append(("Exam server", f"{died}{f' ({causes})' if causes else ''}; {load}"))
    found.append(("Errors seen", f"{tally.errors}, reloads pressed {tally.reloads}"))
    return found


def _other(plan: Plan) -> str:
    command = f"waitroom demo --students {plan.students}"
    if plan.with_waiting_room:
        return f"The same crowd without the waiting room: [cyan]{command} --without[/]"
    return f"The same crowd with the waiting room: [cyan]{command}[/]"


def _facts(result: Result) -> dict[str, object]:
    tally, watch = result.tally, result.watch
    facts: dict[str, object] = {
        "with_waiting_room": result.plan.with_waiting_room,
        "seconds": round(result.seconds, 1),
        "deaths": len(watch.server.deaths),
        "most_sessions": watch.most_sessions,
        "most_waiting": watch.most_waiting,
    }
    if tally is not None:
        facts |= {
            "students": {state.name.lower(): tally.states[state] for state in State},
            "errors": tally.errors,
            "reloads": tally.reloads,
            "median_wait_s": tally.median_wait_s,
            "longest_wait_s": tally.longest_wait_s,
            "estimates": tally.promises,
            "estimates_held": tally.promises_held,
        }
    return facts


def _exit_code(result: Result) -> int:
    through = result.tally is None or result.tally.everybody_submitted
    return 0 if through or not result.plan.with_waiting_room else 1


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
