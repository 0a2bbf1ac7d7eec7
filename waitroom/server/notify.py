"""Tells a service manager how we are, in the protocol of sd_notify(3).

Law: says nothing where nobody listens, and never fails the service.
"""

import os
import socket

import structlog

log = structlog.get_logger(__name__)


def notify(state: str) -> None:
    """Send `READY=1`, `STOPPING=1` or the like to $NOTIFY_SOCKET, if there is one."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path  # an abstract socket, unix(7)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to_manager:
            to_manager.setblocking(False)
            to_manager.sendto(state.encode(), address)
    except OSError as error:
        log.warning("service_manager_not_told", state=state, problem=str(error))
