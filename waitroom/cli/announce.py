"""`waitroom announce`: what staff have to say stands on every open page within 5 s.

Law: exit code 0: it is said; 1: refused, with what is allowed; 2: the service was not reached.
"""

import json
from pathlib import Path
from urllib.parse import quote, urlencode

import click

from waitroom.cli.operator import Operator, operator_options
from waitroom.cli.spans import for_option, json_option, why_option


@click.command()
@click.argument("pool")
@click.argument("text", required=False)
@click.option("--in", "texts", multiple=True, metavar="LANG=TEXT", help="The same in a language; may be repeated.")
@click.option("--exam", default="", metavar="NAME", help="Only those who come for this exam of the pool.")
@for_option(until="until --clear")
@click.option("--clear", is_flag=True, help="Say nothing any more.")
@why_option
@json_option
@operator_options
def announce(
    pool: str,
    text: str | None,
    texts: tuple[str, ...],
    exam: str,
    *,
    for_s: int,
    why: str,
    clear: bool,
    as_json: bool,
    config: Path | None,
    admin: str | None,
    token_file: Path | None,
    data_dir: Path | None,
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
    operator = Operator.of(config, admin, token_file, data_dir)
    path = f"/api/v1/pools/{quote(pool, safe='')}/announcement"
    if clear:
        query = urlencode({name: value for name, value in (("exam", exam), ("why", why)) if value})
        operator.call("DELETE", f"{path}?{query}" if query else path)
        answer = {"pool": pool, "exam": exam, "text": None}
    else:
        answer = operator.call("PUT", path, {"text": said, "exam": exam, "for_s": for_s, "why": why})
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    where = f"{pool}, exam {exam}" if exam else pool
    click.echo(
        f"{where}: nothing is said any more."
        if clear
        else f"{where}: said; on every open page within 5 s. Take it back with: {answer['undo']}"
    )


def _pair(text: str) -> tuple[str, str]:
    language, equals, said = text.partition("=")
    if not (language and equals and said):
        raise click.UsageError(f"--in {text}: a language and a text, such as --in fr='Nous redémarrons.'")
    return language, said
