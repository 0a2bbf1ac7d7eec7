"""`waitroom serve`: settings from a file, flags or both, and then the supervisor.

Law: what is wrong before the start is said in as many lines as there are faults, without a traceback, and the exit
code is 1.
"""

import asyncio
import sys
from importlib.metadata import version
from pathlib import Path

import click
import structlog
import uvloop

from waitroom import clock
from waitroom.cli.telling import FILE, say_what_is_wrong
from waitroom.errors import WaitroomError
from waitroom.logs import LogStyle, configure
from waitroom.server.inspection import inspect
from waitroom.server.supervisor import Plan, Supervisor
from waitroom.settings.load import Examined, Flags, examine
from waitroom.settings.model import Backend, Settings
from waitroom.settings.secrets import Secrets, load_secrets

log = structlog.get_logger(__name__)


@click.command()
@click.argument("file", required=False, type=FILE)
@click.option("--backend", metavar="URL", help="The server to stand in front of.")
@click.option("--max-sessions", type=int, metavar="N", help="Visitors that may be in it at once.")
@click.option("--listen", metavar="HOST:PORT", help="Where students come.  [default: 0.0.0.0:8080]")
@click.option("--admin", metavar="HOST:PORT", help="Where Prometheus comes.  [default: 127.0.0.1:9090]")
@click.option("--data-dir", metavar="DIR", help="Folder of the embedded store and the secrets.  [default: ./var]")
@click.option("--store", metavar="URL", help="A Redis or Valkey of yours instead of the embedded one.")
@click.option("--workers", metavar="N", help="Worker processes.  [default: one a core]")
@click.option("--watch/--no-watch", default=True, help="Take FILE again when it or a file that it names changes.",
              show_default=True)  # fmt: skip
def serve(file: Path | None, *, watch: bool, **flags: str | int | None) -> None:
    """Run the waiting room, with the settings of FILE; flags win over the file.

    \b
    waitroom serve --backend http://10.0.0.11 --max-sessions 400
    waitroom serve waitroom.yaml
    \b
    SIGHUP    take FILE again: whole or not at all; each changed key is logged
    SIGTERM   finish what is in flight, then end; twice: end at once
    """
    human = sys.stderr.isatty()
    configure(LogStyle("supervisor", human=human), clock.now_ms)

    def look() -> Examined:
        return examine(file, Flags(**flags), inspect)  # type: ignore[arg-type] # click has made the types that Flags names

    found = look()
    if found.settings is None:
        say_what_is_wrong(file, found)
        sys.exit(1)
    try:
        settings, secrets = _taken(found)
        configure(LogStyle("supervisor", settings.logging.level, human), clock.now_ms)
        plan = Plan(lambda: _taken(look()), version("waitroom"), human, _greet if human else _silent, file, watch)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(Supervisor(plan, settings, secrets).run())
    except WaitroomError as error:
        click.echo(f"waitroom: {error}", err=True)
        sys.exit(1)


def _taken(found: Examined) -> tuple[Settings, Secrets]:
    """The settings and the keys they name; what is probably not meant is logged. Raises SettingsError."""
    settings = found.whole()
    for each in found.warnings:
        log.warning("setting_doubtful", place=each.place.rstrip(": "), notice=each.what.removeprefix("warning: "))
    return settings, load_secrets(settings.secrets.file)


def _silent(_supervisor: Supervisor) -> None:
    """The log says it."""


def _greet(supervisor: Supervisor) -> None:
    """Three or four lines for somebody who has just typed the command."""
    assert supervisor.doors is not None
    for address in supervisor.doors.addresses:
        click.echo(f"Students:  {_url(address)}")
    click.echo(f"Operators: {_url(supervisor.admin_address)}  (Prometheus: /metrics)")
    for name, pool in supervisor.settings.pools.items():
        backends = ", ".join(_backend(backend) for backend in pool.backends.values())
        click.echo(f"Pool {name}: {backends}")
    click.echo("Stop with Ctrl-C.")


def _backend(backend: Backend) -> str:
    limit = "no limit" if backend.max_sessions is None else f"at most {backend.max_sessions} sessions"
    return f"{backend.url} ({limit})"


def _url(address: str) -> str:
    """An address that can be clicked: somebody who listens everywhere can be reached here."""
    if address.startswith("unix:"):
        return address
    host, _, port = address.rpartition(":")
    everywhere = host in {"0.0.0.0", "[::]"}  # noqa: S104 - shown, not bound
    return f"http://{'localhost' if everywhere else host}:{port}/"
