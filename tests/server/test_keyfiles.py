"""Files that run out, do not fit or lie open: real certificates, judged as a listener would use them."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support import certificates
from waitroom.server.keyfiles import Certificate, file_findings
from waitroom.settings.certificates import MAX_CERTIFICATE_BYTES
from waitroom.settings.load import from_mapping
from waitroom.settings.model import Settings
from waitroom.settings.problems import BadSettingsError, Finding

NOW = datetime(2026, 5, 1, 8, 30, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1_000)


def certify(folder: Path, name: str = "site", **how: Any) -> None:
    """One that is valid around `NOW`."""
    certificates.certify(folder, name, now=NOW, **how)


def settings(folder: Path, cert: str = "site.crt", key: str = "site.key", **more: object) -> Settings:
    tls = {"cert": str(folder / cert), "key": str(folder / key)}
    pools = {"main": {"backends": {"a": {"url": "http://10.0.0.1", "max_sessions": 5}}}}
    secrets = {"file": str(folder / "secrets")}
    listen = {"public": {"address": "0.0.0.0:8443", "tls": tls}}
    return from_mapping({"pools": pools, "listen": listen, "secrets": secrets, **more})


def found(folder: Path, *files: str, **more: object) -> list[Finding]:
    return [*file_findings(settings(folder, *files, **more), NOW_MS)]


def test_a_good_certificate_brings_no_word(tmp_path: Path) -> None:
    """For all hosts, long enough, its key for its owner alone."""
    certify(tmp_path)
    assert found(tmp_path, hosts=["exam.uni.example"]) == []


@pytest.mark.parametrize(
    ("days", "since", "said"),
    [
        (-2, -9, "expired 2d ago"),
        (5, -1, "expires in 5d"),
        (90, 3, "is not valid yet, but in 3d"),
        (20, -1, "expires on 2026-05-21, before the end of E1"),
    ],
)
def test_a_certificate_has_its_time(tmp_path: Path, days: int, since: int, said: str) -> None:
    """A warning: a running service must not refuse a reload for it."""
    certify(tmp_path, days=days, since=since)
    exams = {"E1": {"pool": "main", "match": [{"path": "/e"}], "closes": "2026-06-01T12:00:00Z"}}
    (finding,) = found(tmp_path, exams=exams if "E1" in said else {})
    assert finding.path == ("listen", "public", 0, "tls", "cert")
    assert finding.warning
    assert said in finding.wrong


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_a_key_of_another_certificate_is_a_problem(tmp_path: Path, kind: str) -> None:
    """As are files that are not there, or nothing of the kind."""
    certify(tmp_path)
    certify(tmp_path, "other", kind=kind)
    (mismatch,) = found(tmp_path, "site.crt", "other.key")
    assert (mismatch.warning, mismatch.path[-1]) == (False, "key")
    assert mismatch.wrong == f"{tmp_path}/other.key: is not the key of {tmp_path}/site.crt"
    (missing,) = found(tmp_path, "none.crt", "site.key")
    assert (missing.warning, missing.wrong) == (False, f"{tmp_path}/none.crt: no such file")
    (tmp_path / "large.crt").write_bytes(b"#" * (MAX_CERTIFICATE_BYTES + 1))
    with pytest.raises(BadSettingsError, match="larger than 256 KiB"):
        found(tmp_path, "large.crt")
    (tmp_path / "bad.key").write_text("-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n")
    (bad,) = found(tmp_path, "site.crt", "bad.key")
    assert (bad.warning, bad.path[-1]) == (False, "key")
    assert "hunter2" not in bad.wrong


@pytest.mark.parametrize("key", ["tls", "ca"])
def test_what_may_not_be_looked_at_is_not_judged(tmp_path: Path, key: str) -> None:
    """By whoever checks: systemd hides a service's credentials from its ExecReload. The service itself sees them."""
    hidden, file = tmp_path / "hidden", tmp_path / "waitroom.yaml"
    hidden.mkdir()
    certificates.certify(hidden, days=90)
    tls, ca = f"tls: {{cert: {hidden}/site.crt, key: {hidden}/site.key}}", f", ca: {hidden}/site.crt"
    file.write_text(
        f"listen: {{public: [{{address: '0.0.0.0:8443', {tls}}}]}}\n" * (key == "tls")
        + "pools: {main: {backends: {a: {url: 'https://10.0.0.1', max_sessions: 5"
        + ca * (key == "ca")
        + "}}}}\n"
    )
    hidden.chmod(0)
    nobody_special = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    check = [*nobody_special, sys.executable, "-m", "waitroom", "check", str(file)]
    said = subprocess.run(check, check=False, capture_output=True, text=True)
    hidden.chmod(0o700)
    assert (said.returncode, said.stderr) == (0, ""), said.stdout + said.stderr


def test_a_certificate_names_its_hosts(tmp_path: Path) -> None:
    """A star stands for one label."""
    certify(tmp_path, host="*.uni.example")
    (finding,) = found(tmp_path, hosts=["exam.uni.example", "a.exam.uni.example"])
    assert finding.wrong.endswith("is not for a.exam.uni.example, but for *.uni.example")
    assert Certificate.read(tmp_path / "site.crt").covers("EXAM.uni.example")


def test_what_others_may_read_is_named(tmp_path: Path) -> None:
    """A private key, the secret of tokens and names on a roster as a warning; our own keys as the problem it is."""
    certify(tmp_path)
    (tmp_path / "site.key").chmod(0o644)
    for name in ("roster", "sso"):
        (tmp_path / name).write_text("x" * 32)
        (tmp_path / name).chmod(0o644)
    (tmp_path / "secrets").write_text("k1:" + "A" * 43 + "=\n")
    (tmp_path / "secrets").chmod(0o644)
    said = settings(
        tmp_path,
        identity={"jwt": {"cookie": "t", "key_file": str(tmp_path / "sso"), "algorithm": "HS256"}},
        pools={
            "main": {
                "backends": {"a": {"url": "http://10.0.0.1", "max_sessions": 5}},
                "priority": {"roster": str(tmp_path / "roster")},
            }
        },
    )
    findings = {each.path: each for each in file_findings(said, NOW_MS)}
    assert {path: each.warning for path, each in findings.items()} == {
        ("listen", "public", 0, "tls", "key"): True,
        ("pools", "main", "priority", "roster"): True,
        ("identity", "jwt", "key_file"): True,
        ("secrets", "file"): False,
    }
    assert all("mode 0644" in each.wrong for each in findings.values())


def test_an_authority_that_is_none_is_a_problem(tmp_path: Path) -> None:
    """A backend behind https would never be reached."""
    certify(tmp_path)
    (tmp_path / "ca.pem").write_text("nothing")
    backend = {"url": "https://10.0.0.1", "max_sessions": 5, "ca": str(tmp_path / "ca.pem")}
    (finding,) = found(tmp_path, pools={"main": {"backends": {"a": backend}}})
    assert (finding.warning, finding.path[-1]) == (False, "ca")
