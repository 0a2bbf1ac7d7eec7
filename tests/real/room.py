"""The waiting room in front of Kolibri, as an operator would set it up."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from tests.real.platform import NotPossibleError
from tests.support.product import Product, serving

SEATS = 1

CONFIG = """\
pools:
  main:
    backends:
      main-1: {{url: "{url}", max_sessions: {seats}}}
    # Kolibri's pages send a heartbeat every 4 minutes, and every 8 from a hidden tab.
    session: {{idle_timeout: 20m}}

# Kolibri's log-out is a page: GET /en/logout/ -> 302 /en/redirectuser/ -> 302 /en/auth/, the sign-in page.
release: [{{method: GET, path: "/*/logout/"}}]

# Whoever has signed out sees that sign-in page without a place in the line, and with it what it is made of.
bypass:
  - {{method: GET, path: "/*/redirectuser/"}}
  - {{method: GET, path: "/*/auth/"}}
  - {{method: GET, path: "/static/*"}}
  - {{path: "/api/auth/*"}}
"""


@contextlib.asynccontextmanager
async def waiting_room(scratch: Path, backend: str) -> AsyncIterator[Product]:
    """`waitroom serve` with one seat before a backend; ended with the block."""
    try:
        async with serving(scratch, config=CONFIG.format(url=backend, seats=SEATS)) as product:
            yield product
    except AssertionError as failed:
        if "serve ended" in str(failed) or "readiness" in str(failed):
            raise NotPossibleError(f"`waitroom serve` does not start: {failed}") from None
        raise
