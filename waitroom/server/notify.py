"""Tells a service manager how we are, in the protocol of sd_notify(3).

Law: says nothing where nobody listens, and never fails the service. A sign of life says that the supervisor's loop
turns; the supervisor itself sees to it that the workers' loops do (`Crew`).
"""

import asyncio
import os
import socket

import structlog

log = structlog.get_logger(__name__)


PATIENCE_S = 1.0
"""For a manager whose queue is full: a READY=1 that is lost would have it end the service."""

SIGNS_A_TIMEOUT = 3
"""Signs of life within the time after which the manager gives us up; sd_watchdog_enabled(3) recommends two."""


def notify(*states: str) -> None:
    """Send `READY=1`, `STOPPING=1` or the like to $NOTIFY_SOCKET, if there is one, in one message."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path  # an abstract socket, unix(7)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to_manager:
            to_manager.settimeout(PATIENCE_S)
            to_manager.sendto("\n".join(states).encode(), address)
    except OSError as error:
        log.warning("service_manager_not_told", state=states[0], problem=str(error))


async def signs_of_life() -> None:
    """Send `WATCHDOG=1` as often as the manager wants to hear it, for ever; returns at once if it does not."""
    every_s = watchdog_s() / SIGNS_A_TIMEOUT
    while every_s:
        notify("WATCHDOG=1")
        await asyncio.sleep(every_s)


def watchdog_s() -> float:
    """After how long without a sign of life the manager kills this process; 0: never."""
    usec, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    return int(usec) / 1_000_000 if usec.isdigit() and pid in {"", str(os.getpid())} else 0.0
