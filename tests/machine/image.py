"""The disks of the machine: Debian as debootstrap makes it, kept for the next time; this tree with wheels, made anew.

Law: nothing of waitroom is installed here. The second disk carries the working tree to /usr/src/waitroom and, since the
machine has no network but the host's, the packages that pip would ask PyPI for; pip is told so by /etc/pip.conf.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "waitroom-machine"
SUITE, MIRROR = "bookworm", "http://deb.debian.org/debian"
PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "udev", "kmod", "iproute2", "procps", "ca-certificates",
    "linux-image-cloud-amd64", "python3.11", "python3-venv", "nginx-light",
)  # fmt: skip
"""Beside what debootstrap's smallest variant has. python3-venv is what README asks for; nginx is for the bench."""

DISK_MIB, CARRIED_MIB = 3_000, 600

UNIT = """\
[Unit]
Description=Runs what the host of this machine asks for
RequiresMountsFor=/usr/src
[Service]
ExecStart=/usr/bin/python3 /usr/src/waitroom/tests/machine/agent.py
LimitNOFILE=1048576
Restart=always
[Install]
WantedBy=multi-user.target
"""
FSTAB = """\
/dev/vda / ext4 defaults 0 1
/dev/vdb /usr/src ext4 defaults 0 0
"""
NETWORK = """\
[Match]
Name=en* eth*
[Network]
DHCP=yes
"""
PIP = """\
[global]
no-index = true
find-links = /usr/src/wheels
disable-pip-version-check = true
root-user-action = ignore
"""


def needs() -> None:
    """End with how to get what is missing."""
    found = {"qemu-system-x86_64": "qemu-system-x86", "debootstrap": "debootstrap", "mke2fs": "e2fsprogs"}
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    if missing := [package for program, package in found.items() if not shutil.which(program, path=path)]:
        raise SystemExit(f"apt-get install --no-install-recommends {' '.join(missing)}: make machine needs them")
    if os.getuid():
        raise SystemExit("make machine runs debootstrap, which must be root: sudo make machine")


def debian() -> tuple[Path, Path, Path]:
    """The first disk, kernel and initial RAM disk; minutes the first time."""
    disk, kernel, initrd = CACHE / "debian.ext4", CACHE / "vmlinuz", CACHE / "initrd.img"
    if not disk.exists():
        folder = CACHE / "root"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _do("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, folder, MIRROR)
        _furnish(folder)
        shutil.copy(folder / "vmlinuz", kernel)
        shutil.copy(folder / "initrd.img", initrd)
        unfinished = disk.with_suffix(".new")
        _disk(folder, unfinished, DISK_MIB)
        unfinished.rename(disk)
        shutil.rmtree(folder)
    return disk, kernel, initrd


def carried(folder: Path) -> Path:
    """The second disk: this tree as it is now, uncommitted changes too, and wheels of all that it needs."""
    source, tree = folder / "src", folder / "src" / "waitroom"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tree / name)
    _do(sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", CACHE / "wheels", ROOT, "hatchling>=1.27,<2")
    shutil.copytree(CACHE / "wheels", source / "wheels", ignore=shutil.ignore_patterns("waitroom-*"))
    disk = folder / "carried.ext4"
    _disk(source, disk, CARRIED_MIB)
    return disk


def _furnish(root: Path) -> None:
    files = {
        "etc/fstab": FSTAB, "etc/hostname": "waitroom-machine\n", "etc/pip.conf": PIP,
        "etc/systemd/network/all.network": NETWORK, "etc/systemd/system/agent.service": UNIT,
    }  # fmt: skip
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "etc/machine-id").write_text("")
    _do("chroot", root, "systemctl", "enable", "agent.service", "systemd-networkd.service")
    _do("chroot", root, "systemctl", "disable", "nginx.service")


def _disk(folder: Path, disk: Path, mib: int) -> None:
    _do("mke2fs", "-q", "-F", "-t", "ext4", "-d", folder, disk, f"{mib}M")


def _do(*command: str | Path) -> None:
    words = [str(word) for word in command]
    done = subprocess.run(
        words, env=os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout[-2000:]}")
