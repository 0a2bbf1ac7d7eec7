"""The systemd units: systemd finds nothing wrong with them, and the service lives inside the walls that they draw."""

import re
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import yaml

from tests.deploy.places import DEPLOY, told
from tests.docs.blocks import blocks
from tests.support.aio import run
from tests.support.backend import counting_backend
from tests.support.load import one_request
from tests.support.product import serving, until
from waitroom.server.crew import START_S, START_TRIES
from waitroom.settings.addresses import DEFAULT_PUBLIC

SERVICE, SOCKET = DEPLOY / "systemd" / "waitroom.service", DEPLOY / "systemd" / "waitroom.socket"

EXPOSURE = 1.5
"""What `systemd-analyze security` may say at most: what is left is that the service has a network."""

STORE_S = 30
"""What reading the embedded store's file may take: some million tickets."""

NO_NEW_CODE = """
import ctypes, os, sys
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1
if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0):
    sys.exit("this kernel has no PR_SET_MDWE (Linux 6.3)")
os.execv(sys.argv[1], sys.argv[1:])
"""
"""MemoryDenyWriteExecute=, as the kernel has it for everybody; children inherit it."""


def lines(name: str) -> list[str]:
    """The values of a setting of the service."""
    return re.findall(rf"^{name}=(.*)$", SERVICE.read_text(), re.MULTILINE)


@cache
def calls(word: str) -> frozenset[str]:
    """The system calls of a word of SystemCallFilter, by systemd's own account of its groups."""
    if not word.startswith("@"):
        return frozenset({word})
    members = [line.strip() for line in told("systemd-analyze", "syscall-filter", word).splitlines()[1:]]
    return frozenset().union(*(calls(member) for member in members if member and not member.startswith("#")))


def allowed() -> set[str]:
    """What the service may ask of the kernel (systemd.exec(5): the first line makes a list of what is allowed)."""
    found = set(calls("@default"))
    for line in lines("SystemCallFilter"):
        named = frozenset().union(*(calls(word) for word in line.lstrip("~").split()))
        found = found - named if line.startswith("~") else found | named
    return found


def test_units_verify(tmp_path: Path) -> None:
    """`systemd-analyze verify` says nothing, once the program is where this machine has it."""
    program = str(Path(sys.executable).parent / "waitroom")
    for unit in (SERVICE, SOCKET):
        (tmp_path / unit.name).write_text(unit.read_text().replace("/opt/waitroom/bin/waitroom", program))
    assert told("systemd-analyze", "verify", "--man=no", *(tmp_path / unit.name for unit in (SERVICE, SOCKET))) == ""


def test_exposure() -> None:
    """The score of `systemd-analyze security`, 0 to 10, that deploy/README.md states."""
    told_all = told("systemd-analyze", "security", "--offline=true", "--no-pager", SERVICE)
    score = re.search(r"Overall exposure level for waitroom.service: ([\d.]+)", told_all)
    assert score is not None, told_all
    assert float(score[1]) <= EXPOSURE
    assert f"exposure {score[1]}" in (DEPLOY / "README.md").read_text()


def test_the_socket_is_a_default_address() -> None:
    """Units as they are fit a file that says nothing of `listen`."""
    assert f"ListenStream={DEFAULT_PUBLIC}" in SOCKET.read_text().splitlines()


def test_a_start_has_time_for_all_its_attempts() -> None:
    """Those of a worker, and the store before them: systemd does not end what would still have come up."""
    (limit,) = lines("TimeoutStartSec")
    assert int(limit.removesuffix("s")) >= START_TRIES * START_S + STORE_S


def test_a_credential_is_named_as_settings_can() -> None:
    """By the path that systemd gives it (systemd.exec(5)): settings know no variables of the environment."""
    (path,) = re.findall(r"settings (/\S+)\.", SERVICE.read_text())
    (name, _source) = re.findall(r"LoadCredential=([^:\s]+):(/\S+)", SERVICE.read_text())[0]
    assert path == f"/run/credentials/{SERVICE.name}/{name}"
    assert set(re.findall(r"\$\{?(\w+)", SERVICE.read_text())) == {"MAINPID"}


def test_drop_ins_fit_the_settings_beside_them() -> None:
    """README's: a socket for each worker at each public address, and a credential for each file of a certificate."""
    shown = {
        each.text.split()[0]: each.text for each in blocks(DEPLOY / "README.md") if each.language in {"ini", "yaml"}
    }
    settings = yaml.safe_load(shown["listen:"])
    plain, secure = settings["listen"]["public"]
    sockets = re.findall(r"^ListenStream=(.+)$", shown["[Socket]"], re.MULTILINE)
    assert sorted(sockets) == sorted([plain, secure["address"]] * settings["workers"])
    loaded = re.findall(r"^LoadCredential=([^:]+):", shown["[Service]"], re.MULTILINE)
    assert [f"/run/credentials/{SERVICE.name}/{name}" for name in loaded] == list(secure["tls"].values())


def launcher(*command: str) -> tuple[Sequence[str], Sequence[int]]:
    """A program that starts the service."""
    return command, ()


def test_the_service_asks_for_nothing_that_it_may_not(tmp_path: Path) -> None:
    """Every system call of a life with a request, a reload and a stop is one that the filter allows."""
    trace = tmp_path / "calls"

    async def main() -> None:
        async with counting_backend() as backend:
            flags = ("--backend", backend.url, "--max-sessions", "9", "--workers", "1")
            watch = launcher("strace", "-f", "-c", "-qq", "-o", str(trace), "--")
            async with serving(tmp_path, *flags, manager=lambda: watch) as product:
                (supervisor,) = product.children("waitroom serve")
                assert await one_request(product.public) == 200
                told("kill", "-HUP", str(supervisor))

                async def reloaded() -> bool:
                    return '"config_reloaded"' in product.log.read_text()

                await until(reloaded, what="the reload")
                told("kill", "-TERM", str(supervisor))
                assert await product.process.wait() == 0

    run(main())
    used = {line.split()[-1] for line in trace.read_text().splitlines()[2:-2] if line.strip()}
    assert {"execve", "memfd_create", "prctl", "accept4"} <= used
    assert used - allowed() == set()


def test_the_service_makes_no_code(tmp_path: Path) -> None:
    """Memory that can be written is never run: Python, its C modules and the embedded store need no exception."""

    async def main() -> None:
        async with counting_backend() as backend:
            flags = ("--backend", backend.url, "--max-sessions", "9", "--workers", "1")
            walls = launcher(sys.executable, "-c", NO_NEW_CODE)
            async with serving(tmp_path, *flags, manager=lambda: walls) as product:
                assert await one_request(product.public) == 200
                assert await product.stop() == 0

    run(main())
