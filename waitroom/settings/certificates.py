"""Certificates and keys of public listeners: what stands in the files that name them.

Law: the files are read once, when the settings are loaded, and travel inside the settings to every worker (as
waitroom/settings/look.py): a worker that is replaced while a renewal is half written begins with the pair of before.
A file that this user may not read is left out, since `waitroom check` may be run by another than the service's. Whether
a pair can serve is for waitroom/server/keyfiles.py to judge.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from waitroom.settings.care import Tls
from waitroom.settings.problems import Finding

MAX_CERTIFICATE_BYTES = 256 * 1_024

TLS = "tls/"
"""Of what is enclosed: `tls/0/cert` and `tls/0/key` of the first public listener."""


class Pair(NamedTuple):
    """A certificate chain and its key, as they stand in their files (PEM)."""

    cert: str
    key: str


def enclose_certificates(listeners: Iterable[Tls | None]) -> tuple[dict[str, str], list[Finding]]:
    """The contents of the files that can be read here, and what is wrong with the files as such."""
    contents, found = dict[str, str](), list[Finding]()
    for index, tls in enumerate(listeners):
        for name, file in (("cert", tls.cert), ("key", tls.key)) if tls else ():
            data = _read(file)
            if data is not None and len(data) > MAX_CERTIFICATE_BYTES:
                wrong = f"{file}: is larger than {MAX_CERTIFICATE_BYTES // 1_024} KiB"
                found.append(Finding(("listen", "public", index, "tls", name), wrong, "a file in PEM"))
            elif data is not None:
                contents[f"{TLS}{index}/{name}"] = data.decode("latin-1")
    return contents, found


def pair_of(enclosed: Mapping[str, str], index: int) -> Pair | None:
    """What the listener with this number shows; None where a file of it could not be read."""
    cert, key = (enclosed.get(f"{TLS}{index}/{name}") for name in Pair._fields)
    return None if cert is None or key is None else Pair(cert, key)


def _read(file: Path) -> bytes | None:
    try:
        if not file.is_file():
            return None  # opening a pipe would wait for its other end
        with file.open("rb") as opened:
            return opened.read(MAX_CERTIFICATE_BYTES + 1)
    except OSError:
        return None
