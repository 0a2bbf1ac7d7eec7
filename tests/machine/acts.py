"""All that is proved, in its order: each leaves the service up for the next."""

from collections.abc import Awaitable, Callable, Mapping

from tests.machine import further, proofs

PROOFS: Mapping[str, Callable[[proofs.Scene], Awaitable[str]]] = {
    "install": proofs.installed,
    "reload": proofs.reloaded,
    "restart": proofs.restarted,
    "uncut": further.uncut,
    "kill": proofs.killed,
    "stop still": proofs.stood_still,
    "stop": proofs.stopped,
    "wake": further.woken,
    "upgrade": further.upgraded,
    "tls": further.secured,
    "reboot": proofs.rebooted,
    "power": further.unplugged,
    "journal": proofs.journal,
    "idle": proofs.held,
}

FIRST = ("install", "reload")
"""What the others need."""
