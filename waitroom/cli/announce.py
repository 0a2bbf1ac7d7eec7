"""`waitroom announce`: what staff have to say stands on every open page within 5 s.

Law: exit code 0: it is said; 1: refused, with what is allowed; 2: the service was not reached.
"""

import json
from pathlib import Path
from urllib.parse import quote

import click

from waitroom.cli.operator import Operator, operator_options
from waitroom.settings.spelling import duration
from waitroom.settings.units import BadValueError


@click.command()
@click.argument("pool")
@click.argument("text", required=False)
@click.option("--in", "texts", multiple=True, metavar="LANG=TEXT", help="The same in a language; may be repeated.")
@click.option("--exam", default="", metavar="NAME", help="Only those who come for this exam of the pool.")
@click.option("--for", "for_", metavar="TIME", help="Take it away after this: 20m, 2h.  [default: until --clear]")
@click.option("--clear", is_flag=True, help="Say nothing any more.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
@operator_options
def announce(
    pool: str,
    text: str | None,
    texts: tuple[str, ...],
    exam: str,
    for_: str | None,
    *,
    clear: bool,
    as_json: bool,
    config: Path | None,
    admin: str | None,
    token_file: Path | None,
) -> None:
    """Say TEXT on the page of everyone who waits in POOL, with the time at which it was said.

    \b
    waitroom announce sciences "We are restarting the server. Nobody loses time." --for 20m
    waitroom announce sciences --in fr="Nous redémarrons." --in en="We are restarting."
    waitroom announce sciences --clear
    """
    said = dict(_pair(each) for each in texts) | ({"": text} if text else {})
    if clear == bool(said):
        raise click.UsageError("Either something to say (TEXT or --in LANG=TEXT) or --clear.")
    seconds = _seconds(for_)
    operator = Operator.of(config, admin, token_file)
    path = f"/api/v1/pools/{quote(pool, safe='')}/announcement"
    if clear:
        operator.call("DELETE", f"{path}?exam={quote(exam, safe='')}" if exam else path)
        answer = {"pool": pool, "exam": exam, "text": None}
    else:
        answer = operator.call("PUT", path, {"text": said, "exam": exam, "for_s": seconds})
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    where = f"{pool}, exam {exam}" if exam else pool
    click.echo(f"{where}: nothing is said any more." if clear else f"{where}: said; on every open page within 5 s.")


def _pair(text: str) -> tuple[str, str]:
    language, equals, said = text.partition("=")
    if not (language and equals and said):
        raise click.UsageError(f"--in {text}: a language and a text, such as --in fr='Nous redémarrons.'")
    return language, said


def _seconds(text: str | None) -> int:
    if text is None:
        return 0
    try:
        return int(str(duration("1s", "7d").read(text))) // 1000
    except BadValueError as error:
        raise click.UsageError(f"--for: {error.wrong}; allowed: {error.allowed}") from error
