"""`waitroom waits`: how long everyone waited for an exam, as CSV, or in a few numbers.

Law: a file is whole or not there. Exit code 0 done, 1 refused, 2 the service was not reached or cut its answer off.
"""

import csv
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median
from urllib.parse import quote

import click

from waitroom.cli.operator import REFUSED, Operator, operator_options


@click.command()
@click.argument("exam", required=False)
@click.option("--pool", metavar="NAME", help="The pool; without EXAM, all waits of it.")
@click.option("--csv", "file", metavar="FILE", help="Write every wait there; - for the terminal or a pipe.")
@click.option("--json", "as_json", is_flag=True, help="Answer with the numbers in JSON.")
@operator_options
def waits(
    exam: str | None,
    pool: str | None,
    file: str | None,
    *,
    as_json: bool,
    config: Path | None,
    admin: str | None,
    token_file: Path | None,
    data_dir: Path | None,
) -> None:
    """Write how long everyone waited for EXAM: who was let in, who left, who waits.

    \b
    waitroom waits MATH0001 --csv waits.csv
    waitroom waits --pool sciences --csv - | head
    Each is named by the code that their page shows, never by a name or an address.
    """
    if not (exam or pool):
        raise click.UsageError("Which exam, or which --pool?")
    if as_json and file == "-":
        raise click.UsageError("Either --json or --csv -: both go to the same place.")
    pieces = Operator.of(config, admin, token_file, data_dir).download(_path(exam, pool))
    if file == "-":
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        return
    summary = _summary(_saved(Path(file), pieces) if file else pieces)
    click.echo(json.dumps(summary) if as_json else _told(exam or f"pool {pool}", summary, file))


def _path(exam: str | None, pool: str | None) -> str:
    named = quote(pool or "", safe="")
    if not exam:
        return f"/api/v1/pools/{named}/waits.csv"
    return f"/api/v1/exams/{quote(exam, safe='')}/waits.csv" + (f"?pool={named}" if pool else "")


def _saved(path: Path, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same pieces, which are in the file when the last has come. Before that there is no such file."""
    handle, temporary = -1, ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as sink:
            for piece in pieces:
                sink.write(piece)
                yield piece
        Path(temporary).replace(path)
        temporary = ""
    except OSError as error:
        click.echo(f"waitroom: {path}: {error.strerror or error}", err=True)
        sys.exit(REFUSED)
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)


def _summary(pieces: Iterable[bytes]) -> dict[str, object]:
    counts, waited = {"admitted": 0, "left": 0, "waiting": 0}, []
    for row in csv.DictReader(_lines(pieces)):
        counts[row["outcome"]] += 1
        if row["outcome"] == "admitted":
            waited.append(float(row["wait_s"]))
    return {**counts, "median_wait_s": median(waited) if waited else None, "longest_wait_s": max(waited, default=None)}


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from (f"{line.decode()}\n" for line in whole)
    yield from io.StringIO(rest.decode())


def _told(what: str, summary: dict[str, object], file: str | None) -> str:
    told = [f"{what}: {summary['admitted']} let in, {summary['waiting']} waiting, {summary['left']} left."]
    if summary["median_wait_s"] is not None:
        told.append(
            f"Waits of those let in: median {summary['median_wait_s']} s, longest {summary['longest_wait_s']} s."
        )
    told.append(f"Every wait is in {file}." if file else "Every wait: --csv FILE")
    return "\n".join(told)
