"""Runs inside the machine: reads commands from a port of the virtual machine, runs each in a shell, says how it ended.

Law: one JSON object a line each way; commands run one after the other; nothing but the standard library, since it runs
before anything is installed. Says `{"hello": <boot id>}` when it starts, so that who asks sees a boot.
"""

import json
import os
import subprocess
from io import RawIOBase
from pathlib import Path

PORT = Path("/dev/virtio-ports/waitroom.agent")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def run(command: str, timeout_s: float) -> dict[str, object]:
    """The exit code and all that was said. A time-out is code 124, as with timeout(1)."""
    try:
        done = subprocess.run(
            ["bash", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=timeout_s, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as late:
        return {"code": 124, "said": (late.stdout or b"").decode(errors="replace")}
    return {"code": done.returncode, "said": done.stdout.decode(errors="replace")}


def say(port: RawIOBase, what: dict[str, object]) -> None:
    """One line, whole: the port takes as much at a time as its ring has room for."""
    line = json.dumps(what).encode() + b"\n"
    while line:
        line = line[port.write(line) or 0 :]


def main() -> None:
    """Until the machine stops."""
    os.environ |= {"HOME": "/root", "LC_ALL": "C.UTF-8"}
    boot = BOOT_ID.read_text("ascii").strip()
    with PORT.open("r+b", buffering=0) as port:
        say(port, {"hello": boot})
        waiting = b""
        while read := port.read(65536):
            *lines, waiting = (waiting + read).split(b"\n")
            for line in lines:
                asked = json.loads(line)
                say(port, run(asked["run"], asked["timeout_s"]))


if __name__ == "__main__":
    main()
