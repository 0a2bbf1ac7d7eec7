"""The files that settings name and that others must not read, or that run out: certificates, keys, rosters.

Law: what cannot serve is a problem (no such certificate, a key of another one); what serves badly is a warning (it
expires, it names another host, others may read the key). A file that this user may not read is not judged. Nothing of
a key is ever repeated.
"""

import os
import ssl
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path as FilePath
from typing import NamedTuple

from waitroom.errors import SettingsError
from waitroom.server.certificates import server_context
from waitroom.settings.advice import about
from waitroom.settings.certificates import MAX_CERTIFICATE_BYTES, Pair, pair_of
from waitroom.settings.model import Settings, Tls
from waitroom.settings.problems import Finding
from waitroom.settings.secrets import ENVIRONMENT, load_secrets
from waitroom.settings.units import DAY_MS
from waitroom.settings.yaml12 import Path

EXPIRES_SOON_MS = 14 * DAY_MS
"""Let's Encrypt renews 30 days ahead: with less left than this, the renewal does not work."""


OF_ANOTHER = ("KEY_VALUES_MISMATCH", "NO_CERTIFICATE_ASSIGNED")
"""What OpenSSL says of another certificate's key: of the same kind (two of RSA), of another kind."""


class Certificate(NamedTuple):
    """What of a certificate counts here: names, and when it is valid, ms since the epoch."""

    names: tuple[str, ...]
    from_ms: int
    until_ms: int

    @classmethod
    def read(cls, path: FilePath) -> "Certificate":
        """The first of a PEM file. Raises ValueError, OSError."""
        x509 = import_module("cryptography.x509")  # 30 ms, and most files name no certificate
        with path.open("rb") as file:
            found = x509.load_pem_x509_certificates(file.read(MAX_CERTIFICATE_BYTES))[0]
        try:
            alternatives = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            names = [*alternatives.get_values_for_type(x509.DNSName)]
            names += [str(each) for each in alternatives.get_values_for_type(x509.IPAddress)]
        except x509.ExtensionNotFound:
            names = []
        ends = (found.not_valid_before_utc, found.not_valid_after_utc)
        return cls(tuple(names), *(int(each.timestamp() * 1_000) for each in ends))

    def covers(self, host: str) -> bool:
        """Whether it is for this host; a star stands for one label (RFC 6125 section 6.4.3)."""
        bare = host.strip("[]").lower()
        labels = bare.count(".")
        return any(fnmatchcase(bare, name.lower()) and name.count(".") == labels for name in self.names)


def file_findings(settings: Settings, now_ms: int) -> Iterator[Finding]:
    """What is wrong or doubtful with the files that settings name, beyond their contents."""
    for index, listen in enumerate(settings.listen.public):
        if listen.tls is not None:
            yield from _listener(index, listen.tls, settings, now_ms)
    for pool_name, pool in settings.pools.items():
        for name, backend in pool.backends.items():
            if backend.ca is not None:
                yield from _authority(("pools", pool_name, "backends", name, "ca"), backend.ca)
        if pool.priority.roster is not None:
            yield from _open_to_others(("pools", pool_name, "priority", "roster"), pool.priority.roster, "the names")
    how = settings.identity.jwt if settings.identity else None
    if how is not None and how.algorithm == "HS256":
        yield from _open_to_others(("identity", "jwt", "key_file"), how.key_file, "the secret")
    yield from _secrets(settings)


def _listener(index: int, tls: Tls, settings: Settings, now_ms: int) -> Iterator[Finding]:
    path, wrong = ("listen", "public", index, "tls"), _unusable(tls, pair_of(settings.enclosed, index))
    if wrong is not None:
        key, said, allowed = wrong
        yield Finding((*path, key), said, allowed)
        return
    yield from _open_to_others((*path, "key"), tls.key, "the private key")
    try:
        certificate = Certificate.read(tls.cert)
    except (OSError, ValueError):
        return  # OpenSSL reads it and this does not: nothing to say about it
    yield from _validity((*path, "cert"), tls.cert, certificate, settings, now_ms)
    for host in settings.hosts:
        if certificate.names and not certificate.covers(host):
            wrong_name = f"{tls.cert}: is not for {host}, but for {', '.join(certificate.names[:5])}"
            yield Finding((*path, "cert"), wrong_name, "a certificate for all of hosts", warning=True)


def _unusable(tls: Tls, pair: Pair | None) -> tuple[str, str, str] | None:
    """Key, fault and remedy, if a listener cannot begin with these files; None also where they may not be read here."""
    for key, file in (("cert", tls.cert), ("key", tls.key)):
        if _missing(file):
            return key, f"{file}: no such file", "a file in PEM"
    if pair is None:
        return None
    try:
        server_context(pair)
    except ssl.SSLError as error:
        if error.reason in OF_ANOTHER:
            return "key", f"{tls.key}: is not the key of {tls.cert}", "the key that the certificate was made for"
        bad = "key" if _is_certificate(tls.cert) else "cert"
        return bad, f"{getattr(tls, bad)}: cannot be read ({error.reason or 'not PEM'})", "PEM, without a passphrase"
    return None


def _missing(file: FilePath) -> bool:
    """Whether this user can tell that there is no such file; systemd shows ExecReload no credentials, for one."""
    try:
        return not stat.S_ISREG(file.stat().st_mode)
    except PermissionError:
        return False
    except OSError:
        return True


def _is_certificate(file: FilePath) -> bool:
    try:
        Certificate.read(file)
    except (OSError, ValueError, IndexError):
        return False
    return True


def _validity(
    path: Path, file: FilePath, certificate: Certificate, settings: Settings, now_ms: int
) -> Iterator[Finding]:
    """Valid now, and until the last exam that is known is over."""
    ends = {name: exam.closes_ms or exam.opens_ms or 0 for name, exam in settings.exams.items()}
    late = [name for name, end_ms in ends.items() if end_ms > max(now_ms, certificate.until_ms)]
    day = datetime.fromtimestamp(certificate.until_ms / 1_000, UTC).strftime("%Y-%m-%d")
    left_ms = certificate.until_ms - now_ms
    wrong = None
    if left_ms <= 0:
        wrong = f"expired {about(-left_ms)} ago: browsers turn students away"
    elif certificate.from_ms > now_ms:
        wrong = f"is not valid yet, but in {about(certificate.from_ms - now_ms)}: browsers turn students away"
    elif late:
        wrong = f"expires on {day}, before the end of {', '.join(late[:5])}"
    elif left_ms < EXPIRES_SOON_MS:
        wrong = f"expires in {about(left_ms)}"
    if wrong is not None:
        yield Finding(path, f"{file}: {wrong}", "a renewed certificate; a running service takes it up", warning=True)


def _authority(path: Path, file: FilePath) -> Iterator[Finding]:
    if _missing(file):
        yield Finding(path, f"{file}: no such file", "certificates in PEM")
    elif os.access(file, os.R_OK):
        try:
            ssl.create_default_context(cafile=str(file))
        except (OSError, ValueError):
            yield Finding(path, f"{file}: holds no certificates", "certificates in PEM")


def _open_to_others(path: Path, file: FilePath, what: str) -> Iterator[Finding]:
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
    except OSError:
        return
    if mode & stat.S_IRWXO:
        wrong = f"{file}: mode {mode:04o} lets everyone on this machine at {what}"
        yield Finding(path, wrong, f"0600 or 0640: chmod o= {file}", warning=True)


def _secrets(settings: Settings) -> Iterator[Finding]:
    """Keys that are there and that a start would refuse; a start makes them where they are not."""
    file = settings.secrets.file
    if ENVIRONMENT in os.environ or not os.access(file, os.R_OK):
        return
    try:
        load_secrets(file, {})
    except SettingsError as error:
        wrong, _, allowed = str(error).partition("; allowed: ")
        yield Finding(("secrets", "file"), wrong, allowed)
