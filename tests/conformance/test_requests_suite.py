"""requests' own tests against httpbin: directly, and with the proxy before it.

Law: what passes directly passes through the proxy, over HTTP and over HTTPS (to the proxy and from it). The four tests
that need the internet may fail, both ways.
"""

import asyncio
import os
import ssl
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.conformance.open_proxy import open_proxy, output_of
from tests.conformance.requests_suite import environment
from tests.support.aio import run
from tests.support.ports import free_port
from waitroom.settings.addresses import BackendUrl

WAYS = "direct", "through"
AT_LEAST = 330
"""Tests that pass on a machine without internet."""


@pytest.fixture(scope="session", autouse=True)
def _environment() -> None:
    environment.prepare()


@pytest.mark.timeout(600)  # the environment is made first where there is none; httpbin itself waits for 40 s
def test_what_passes_directly_passes_through_the_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Methods, bodies, chunks, redirects, cookies, authentication, codings, time-outs, as a real client meets them."""
    monkeypatch.setenv("SSL_CERT_FILE", str(environment.certificate(environment.AUTHORITY)))  # the proxy trusts httpbin
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(environment.certificate(environment.CERTIFICATE), environment.certificate(environment.KEY))

    async def main() -> tuple[str, str]:
        http, https = free_port(), free_port()
        async with (
            open_proxy(BackendUrl("http", "127.0.0.1", http)) as plain,
            open_proxy(BackendUrl("https", "localhost", https), tls) as secure,
        ):
            behind = {
                "HTTPBIN_HTTP_PORT": str(http),
                "HTTPBIN_HTTPS_PORT": str(https),
                "PROXY_HTTP_PORT": str(plain.port),
                "PROXY_HTTPS_PORT": str(secure.port),
            }
            told = await asyncio.gather(
                play(tmp_path / "direct.xml"), play(tmp_path / "through.xml", "-p", "behind", **behind)
            )
            assert plain.relayed >= 150
            assert secure.relayed >= 2
            return told

    direct, through = (outcomes(tmp_path / f"{way}.xml", told) for way, told in zip(WAYS, run(main()), strict=True))
    passing = [test for test, failure in direct.items() if not failure]
    lost = {test: failure for test in passing if (failure := through.get(test, "not run"))}
    assert not lost, "\n".join(f"{test} passes directly, but through the proxy:\n{why}" for test, why in lost.items())
    assert len(passing) >= AT_LEAST


async def play(report: Path, *arguments: str, **variables: str) -> str:
    """Run the tests into a report; gives what pytest said."""
    _, told = await output_of(
        *(environment.PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"),
        *(*arguments, "tests/test_requests.py"),
        cwd=environment.SUITE,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(environment.__file__).parent), **variables},
    )
    return told


def outcomes(report: Path, told: str) -> dict[str, str]:
    """Why each test did not pass; empty for those that did."""
    assert report.exists(), f"requests' tests did not run: {told}"
    cases = ET.parse(report).iter("testcase")
    return {case.attrib["name"]: "".join(f"{part.tag} {part.text or ''}" for part in case) for case in cases}
