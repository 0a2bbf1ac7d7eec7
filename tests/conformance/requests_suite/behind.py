"""A pytest plugin: pytest-httpbin's servers say the addresses at which the proxy stands before them.

Law: nothing else about them changes. The ports they listen on are given to them by pytest-httpbin's own variables.
"""

import os

import pytest_httpbin.serve


def pytest_configure() -> None:
    """Put the proxy's ports into all URLs."""
    fronts = {"http": os.environ["PROXY_HTTP_PORT"], "https": os.environ["PROXY_HTTPS_PORT"]}
    pytest_httpbin.serve.Server.url = property(lambda self: f"{self.protocol}://{self.host}:{fronts[self.protocol]}")
