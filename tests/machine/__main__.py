"""`python -m tests.machine` (`make machine`): the systemd units on a machine whose process 1 is systemd.

A Debian is made once (debootstrap, some minutes, kept in ~/.cache/waitroom-machine), started with QEMU, given this tree
and told what deploy/README.md tells an operator. With KVM it takes minutes; where a kernel does not boot under it, in
emulation, a quarter of an hour, and 10 to 20 minutes more for the last proof, the bench's 20,000 idle connections.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.machine import image
from tests.machine.acts import FIRST, PROOFS
from tests.machine.machine import Machine, booted
from tests.machine.proofs import Scene
from tests.machine.visitors import exam_server
from tests.support.ports import free_port
from tests.support.student import Student


def main() -> int:
    """Exit code 1 if a proof fails; the others are not tried then."""
    parser = argparse.ArgumentParser(prog="python -m tests.machine", description=__doc__)
    parser.add_argument("--until", choices=PROOFS, help="the last proof to do (default: all)")
    parser.add_argument("--only", nargs="+", choices=PROOFS, help=f"after {' and '.join(FIRST)}, these alone")
    arguments = parser.parse_args()
    names = list(PROOFS)
    names = names[: names.index(arguments.until) + 1] if arguments.until else names
    names = [name for name in names if not arguments.only or name in (*FIRST, *arguments.only)]
    image.needs()
    print("making the disks (the first time, Debian is fetched)", flush=True)
    with tempfile.TemporaryDirectory(prefix="waitroom-machine-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        disks, carried, started = image.debian(), image.carried(folder), time.monotonic()
        with booted(disks, carried, folder, free_port()) as machine:
            how = "in emulation" if machine.slow else "with KVM"
            print(f"booted in {time.monotonic() - started:.0f} s {how}", flush=True)
            return asyncio.run(_prove(machine, names))


async def _prove(machine: Machine, names: Sequence[str]) -> int:
    base = f"http://127.0.0.1:{machine.public}"
    async with exam_server() as port, Student(base, "inside") as inside, Student(base, "waits") as waits:
        scene = Scene(machine, port, inside, waits)
        for name in names:
            started = time.monotonic()
            try:
                saw = await PROOFS[name](scene)
            except AssertionError as wrong:
                print(f"FAILED  {name}: {wrong}", flush=True)
                print((await scene.run("journalctl -u waitroom -o cat -n 40"))[1], file=sys.stderr)
                return 1
            print(f"{name:<12}{time.monotonic() - started:>5.0f} s  {saw}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
