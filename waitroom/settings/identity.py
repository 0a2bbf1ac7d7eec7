"""Who a student is, and who of them goes first: names by a header, a cookie or a token, and rosters of names.

Law: a roster is read once, when the settings are loaded, and of a name only its SHA-256 is kept. The key of tokens
travels inside the settings, as the files of pages do: what was checked is what is used.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from waitroom.settings.part import Part, exactly_one
from waitroom.settings.problems import Finding
from waitroom.settings.spelling import CookieName, FilePath, HeaderName, named, one_of, whole

MAX_KEY_BYTES = 16 * 1_024
MAX_ROSTER_BYTES = 4 * 1_024 * 1_024
MAX_ROSTER_NAMES = 50_000
MAX_NAME_BYTES = 256

KEY = "identity.jwt.key"
ROSTER = "roster/"
"""Of what is enclosed: the key of tokens, and by pool the digests of a roster."""

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})", re.ASCII)


class Jwt(Part):
    """A signed token that carries the student's identity."""

    header: HeaderName | None = Field(default=None, description="Header that carries it; a Bearer prefix is fine.")
    cookie: CookieName | None = Field(default=None, description="Cookie that carries it.")
    claim: Annotated[str, named(r"[!-~]{1,64}", "the name of a claim")] = Field(
        default="sub", description="Claim that names the student."
    )
    key_file: FilePath = Field(
        description="File with the key that verifies the token: a public key (PEM), or for HS256 the secret itself."
    )
    algorithm: Annotated[str, one_of("HS256", "RS256", "ES256")] = Field(
        default="RS256", description="The one algorithm that is accepted."
    )
    audience: Annotated[str, named(r"[!-~]{1,256}", "an audience, such as https://exam.uni.example")] | None = Field(
        default=None, description="Audience that a token must be for (its aud). Default: any."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        exactly_one(self, ("header", "cookie"))
        return self


class Identity(Part):
    """How a student is known across browsers. Only a keyed hash of it is kept."""

    header: HeaderName | None = Field(default=None, description="Header set by a sign-on proxy in trusted_proxies.")
    cookie: CookieName | None = Field(
        default=None, description="Cookie whose value names the student. Whoever can choose it can be anybody."
    )
    jwt: Jwt | None = Field(default=None, description="A signed token.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        exactly_one(self, ("header", "cookie", "jwt"))
        return self


class Priority(Part):
    """The lane of accommodations: students who need more time, or who must be in first."""

    share: Annotated[int, whole(1, 99)] = Field(
        default=50,
        description="Percent of admissions that it gets at most while others wait too, so that nobody starves.",
    )
    roster: FilePath | None = Field(
        default=None,
        description="File with a student a line: the name that identity gives, or sha256: and the hash of that name.",
    )


def enclose_names(
    identity: Identity | None, rosters: Mapping[str, Path | None]
) -> tuple[dict[str, str], list[Finding]]:
    """What stands in the files named here, rosters by pool, and what is wrong with them."""
    contents, found = dict[str, str](), list[Finding]()
    if identity is not None and identity.jwt is not None:
        data = _read(identity.jwt.key_file, MAX_KEY_BYTES)
        if isinstance(data, str):
            found.append(Finding(("identity", "jwt", "key_file"), data, "a file with the key"))
        else:
            contents[KEY] = data.decode("latin-1")
    for name, path in rosters.items():
        if path is None:
            continue
        data = _read(path, MAX_ROSTER_BYTES)
        wrong = data if isinstance(data, str) else _wrong(path, data)
        if wrong is not None or isinstance(data, str):
            allowed = "a text file in UTF-8 with a student a line"
            found.append(Finding(("pools", name, "priority", "roster"), str(wrong), allowed))
        else:
            contents[ROSTER + name] = "\n".join(sorted({digest for _, digest in _digests(data)}))
    return contents, found


def roster_of(enclosed: Mapping[str, str], pool: str) -> frozenset[str]:
    """The digests of the names on a pool's roster."""
    return frozenset(enclosed.get(ROSTER + pool, "").split())


def _read(path: Path, most: int) -> bytes | str:
    """The contents, or what is wrong."""
    try:
        if not path.is_file():
            return f"{path}: is not a file" if path.exists() else f"{path}: no such file"
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        return f"{path}: cannot be read: {(error.strerror or str(error)).lower()}"
    return data if len(data) <= most else f"{path}: is larger than {most // 1_024} KiB"


def _wrong(path: Path, data: bytes) -> str | None:
    """What is wrong with a roster. A name is never repeated."""
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return f"{path}: is not UTF-8"
    names = list(_digests(data))
    for line, digest in names:
        if not digest:
            return f"{path}:{line}: is no name of at most {MAX_NAME_BYTES} bytes, nor sha256: and 64 hex digits"
    if not names:
        return f"{path}: names nobody"
    return f"{path}: names more than {MAX_ROSTER_NAMES} students" if len(names) > MAX_ROSTER_NAMES else None


def _digests(data: bytes) -> Iterator[tuple[int, str]]:
    """Line and digest of each name; "" for a line that is none. Lines that begin with # are comments."""
    for number, line in enumerate(data.decode("utf-8-sig").splitlines(), start=1):
        name = line.strip()
        if not name or name.startswith("#"):
            continue
        hashed, raw = _DIGEST.fullmatch(name), name.encode()
        if hashed is not None:
            yield number, hashed[1]
        else:
            good = len(raw) <= MAX_NAME_BYTES and name.isprintable() and not name.startswith("sha256:")
            yield number, hashlib.sha256(raw).hexdigest() if good else ""
