"""One Valkey for all tests of the library; each test has a pool of its own."""

from collections.abc import Iterator

import pytest

from tests.store.driver import Line, Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def line(server: Server) -> Line:
    return Line(server.client)
