"""How a command of an operator reaches the running waiting room: by its admin API, as whoever may read its keys.

Law: what goes wrong is said in one line with its remedy, on stderr. Exit code 1: refused; 2: not reached.
"""

import json
import os
import re
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from waitroom.cli.telling import FILE
from waitroom.errors import WaitroomError
from waitroom.settings.addresses import DEFAULT_ADMIN
from waitroom.settings.load import Flags, load
from waitroom.settings.secrets import ENVIRONMENT, load_secrets

TOKEN_ENVIRONMENT = "WAITROOM_TOKEN"  # noqa: S105 - a name
ADMIN_ENVIRONMENT, CONFIG_ENVIRONMENT = "WAITROOM_ADMIN", "WAITROOM_CONFIG"
DATA_ENVIRONMENT = "WAITROOM_DATA_DIR"
REFUSED, NOT_REACHED = 1, 2
ANSWER_S = 10.0
MAX_PORT = 65_535
PIECE_BYTES = 64 * 1024
DEFAULT_SECRETS = Path("var/secrets")

_URL = re.compile(r"https?://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>\d{1,5}))?(?:/[!-~]*)?", re.ASCII)
_TOKEN = re.compile(r"[!-~]{1,1000}", re.ASCII)
WHERE = "--config or --admin say where it is"
GIVE = f"Give a token with --token-file or {TOKEN_ENVIRONMENT}, or run this where the service's keys can be read"


class _Straight(urllib.request.HTTPRedirectHandler):
    """A token is for the URL that the operator gave: no answer may send it elsewhere."""

    def redirect_request(self, *_args: object, **_more: object) -> None:
        """Follow nothing; the answer is an error."""


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Straight)
"""Without the proxy of the environment: a campus proxy would see the token, and reaches no loopback of ours."""

Command = TypeVar("Command", bound=Callable[..., Any])


def operator_options(command: Command) -> Command:
    """The options by which every operator's command finds the waiting room."""
    for option in (
        click.option(
            "--data-dir",
            envvar=DATA_ENVIRONMENT,
            type=FILE,
            metavar="DIR",
            help=f"Folder of the service's keys, where serve was given one; or {DATA_ENVIRONMENT}.",
        ),
        click.option("--token-file", type=FILE, help="File with a token of admin.tokens."),
        click.option(
            "--admin",
            envvar=ADMIN_ENVIRONMENT,
            metavar="URL",
            help=f"The admin listener; or {ADMIN_ENVIRONMENT}.  [default: http://{DEFAULT_ADMIN}]",
        ),
        click.option(
            "--config",
            envvar=CONFIG_ENVIRONMENT,
            type=FILE,
            metavar="FILE",
            help=f"Settings file of the running service; or {CONFIG_ENVIRONMENT}.",
        ),
    ):
        command = option(command)
    return command


class NoAnswerError(WaitroomError):
    """The API refused, or was not reached; `code` is the exit code that says which."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class NotThisTokenError(NoAnswerError):
    """The token, or that there was none, is refused."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Where the API is, and the token to use there ("": none)."""

    url: str
    token: str
    keys: Path | None = None
    """The file whose keys the token is made of, where nobody gave one; they may be another service's."""

    @classmethod
    def of(
        cls, config: Path | None, admin: str | None, token_file: Path | None, data_dir: Path | None = None
    ) -> "Operator":
        """From the options, the environment, the settings file and the keys it names, in this order."""
        url, secrets, keys = admin, (data_dir / "secrets" if data_dir else DEFAULT_SECRETS), None
        try:
            if config is not None:
                settings = load(config, Flags(data_dir=str(data_dir) if data_dir else None))
                secrets, url = settings.secrets.file, url or f"http://{settings.listen.admin}"
            token = _token(os.environ.get(TOKEN_ENVIRONMENT, ""), TOKEN_ENVIRONMENT)
            if token_file is not None:
                token = _token(token_file.read_text("latin-1"), str(token_file), needed=True)
            elif not token and (ENVIRONMENT in os.environ or os.access(secrets, os.R_OK)):
                token, keys = load_secrets(secrets).local_token, secrets
        except WaitroomError as error:
            _give_up(str(error), REFUSED)
        except OSError as error:
            _give_up(f"{error.filename}: cannot be read: {(error.strerror or str(error)).lower()}", REFUSED)
        url = url or DEFAULT_ADMIN
        if "://" not in url:  # as `serve --admin` takes it
            url = f"http://{url}"
        match = _URL.fullmatch(url)
        if match is None or int(match["port"] or 0) > MAX_PORT:
            _give_up(f"{url}: not a URL such as http://{DEFAULT_ADMIN}", REFUSED)
        return cls(url.rstrip("/"), token, keys)

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """The JSON of an answer, None for an empty one; ends the command for any other."""
        try:
            return self.ask(method, path, body)
        except NoAnswerError as error:
            _give_up(str(error), error.code)

    def ask(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """The same for a command that goes on without an answer. Raises NoAnswerError."""
        text = b"".join(self._answer(method, path, body))
        try:
            return json.loads(text) if text else None
        except ValueError:
            raise self._somebody_else("something that is no JSON") from None

    def download(self, path: str) -> Iterator[bytes]:
        """An answer as it comes, of any length; ends the command if it is refused or cut off."""
        try:
            yield from self._answer("GET", path, None)
        except NoAnswerError as error:
            _give_up(str(error), error.code)

    def _answer(self, method: str, path: str, body: object) -> Iterator[bytes]:
        """With the token; where that is of keys that are not this service's, it may let anybody in from here."""
        try:
            yield from self._pieces(method, path, body, self.token)
        except NotThisTokenError as refused:
            if self.keys is None:
                raise
            try:
                yield from self._pieces(method, path, body, "")
            except NotThisTokenError:
                said = f"{self.keys} holds another service's keys. {GIVE} (--config, --data-dir)."
                raise NoAnswerError(said, REFUSED) from refused

    def _pieces(self, method: str, path: str, body: object, token: str) -> Iterator[bytes]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)  # noqa: S310 - its scheme was looked at
        if data is not None:
            request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with _OPENER.open(request, timeout=ANSWER_S) as answer:
                while piece := answer.read(PIECE_BYTES):
                    yield piece
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error) from None
        except HTTPException:
            raise NoAnswerError(f"{self.url} cut its answer off; ask again", NOT_REACHED) from None
        except OSError as error:
            said = f"{self.url} does not answer ({_reason(getattr(error, 'reason', error))}); {WHERE}"
            raise NoAnswerError(said, NOT_REACHED) from None

    def _refusal(self, error: urllib.error.HTTPError) -> NoAnswerError:
        """What the API says against it; or that this is not the API."""
        if error.headers.get("X-Waitroom"):
            return NoAnswerError(f"{self.url} is where students come, not the admin listener; {WHERE}", NOT_REACHED)
        try:
            problem = json.loads(error.read())
            said = str(problem.get("detail") or problem["title"])
        except (ValueError, KeyError, AttributeError, HTTPException, OSError):
            return self._somebody_else(f"{error.code} {error.reason}")
        if error.code == 401 or (error.code == 429 and self.keys is not None):  # 429: too many were none
            return NotThisTokenError(f"{said} {GIVE}.", REFUSED)
        return NoAnswerError(said, REFUSED)

    def _somebody_else(self, answer: str) -> NoAnswerError:
        said = f"{self.url} answers {answer}: that is no waiting room's admin listener; {WHERE}"
        return NoAnswerError(said, NOT_REACHED)


def _token(text: str, source: str, *, needed: bool = False) -> str:
    """A bearer token; ends the command for what can be none, without repeating it."""
    token = text.strip()
    if not _TOKEN.fullmatch(token) and (token or needed):
        _give_up(f"{source}: holds no token; allowed: one line of printable characters without blanks", REFUSED)
    return token


def _reason(error: object) -> str:
    """Why nobody answers, for people."""
    if isinstance(error, ssl.SSLError):
        return "it speaks no TLS: http://" if error.reason == "WRONG_VERSION_NUMBER" else (error.reason or str(error))
    if isinstance(error, TimeoutError):
        return f"nothing within {ANSWER_S:g} s"
    strerror = error.strerror if isinstance(error, OSError) else None
    return (strerror or str(error)).lower()


def _give_up(what: str, code: int) -> NoReturn:
    click.echo(f"waitroom: {what}", err=True)
    sys.exit(code)
