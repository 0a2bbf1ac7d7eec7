"""Connections of the admin listener that are not being answered: how many there may be, and for how long.

Law: whoever has asked nothing goes after `ASKS_S`, an idle one after `IDLE_S`, and where there are too many, who has
stood there longest: a scrape takes a moment, and the supervisor's open files are few. A request under way is left
alone.
"""

import asyncio
from collections.abc import Callable

from aiohttp.web import RequestHandler, Server

ASKS_S = 10.0
IDLE_S = 75.0

MOST = 256
"""Prometheus, a few load balancers, and the browsers of staff with six connections each."""

LOOK_S = 1.0


class Callers:
    """Makes the connections of a server, and ends them. Called to get the protocol of a new one (`create_server`)."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._standing: dict[RequestHandler, float] = {}
        """Until when, in the order in which they began to stand there."""
        self._absent: set[RequestHandler] = set()
        """Of them, at the last look, who had left, or was not there yet."""
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(LOOK_S, self._look)

    def __call__(self) -> RequestHandler:
        """A new connection. One goes for it where there are too many."""
        if len(self._server.connections) >= MOST:
            longest = next((each for each in self._standing if each.transport is not None), None)
            if longest is not None:
                self._send_away(longest)
        caller = self._server()
        self._standing[caller] = self._loop.time() + ASKS_S
        return caller

    def asks(self, caller: RequestHandler) -> Callable[[], None]:
        """It has asked something; to be called when that has been answered."""
        self._standing.pop(caller, None)

        def answered() -> None:
            if caller.transport is not None:
                self._standing[caller] = self._loop.time() + IDLE_S

        return answered

    def turn(self, now_s: float) -> None:
        """Look at the clock."""
        absent = self._standing.keys() - set(self._server.connections)
        for caller in absent & self._absent:
            del self._standing[caller]
        self._absent = absent
        for caller in [caller for caller, until_s in self._standing.items() if now_s > until_s]:
            self._send_away(caller)

    def close(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _send_away(self, caller: RequestHandler) -> None:
        del self._standing[caller]
        caller.force_close()

    def _look(self) -> None:
        self._timer = self._loop.call_later(LOOK_S, self._look)
        self.turn(self._loop.time())
