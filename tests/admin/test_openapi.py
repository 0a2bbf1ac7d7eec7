"""The OpenAPI document is true: a tool that has never seen the API reads it, tries all it can think of, finds nothing.

`st run` (schemathesis) runs as a process of its own against the real listener in front of a real store.
"""

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest

from tests.admin.desk import desk
from tests.admin.test_admin import SECRETS
from tests.support.aio import run
from waitroom.admin import attempts
from waitroom.admission.view import ticket_code

EXAMPLES = 8
"""Random requests an operation, and walks through several, beside those that its document makes certain: some 1,000 in
all. 150 of two seeds found no more.
"""

RUN_S = 240.0
"""Bound for a loaded machine; 8 s are usual. How long a request or an example takes is not what is asked here."""

NOT_ASKED = "use_after_free"
"""One path has what is said to a pool and to each of its exams: after one is deleted, GET tells the others."""

NAMES = """
[parameters]
"path.pool" = "main"
"path.backend" = "b1"
"path.exam" = "MATH0001"
"path.code" = "{code}"
"""
"""What is there, so that more is seen than 404."""


async def tried(url: str, folder: Path) -> tuple[int, str]:
    """Exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "schemathesis.cli", "run", f"{url}/api/v1/openapi.json", "--max-examples", str(EXAMPLES),
        "--header", f"Authorization: Bearer {SECRETS.local_token}", "--seed", "1", "--no-color", "--no-shrink",
        "--continue-on-failure", "--exclude-checks", NOT_ASKED, "--request-timeout", "60",
        "--suppress-health-check", "too_slow",
        cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(RUN_S):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode()


def test_nothing_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer that the document does not have, no valid request refused, no invalid one taken, no defect."""
    monkeypatch.setattr(attempts, "FAILURES", 10_000)  # it tries wrong tokens everywhere, and wants 401 each time

    async def check() -> None:
        async with desk() as it:
            told = await it.crowd(9)
            names = NAMES.replace("{code}", ticket_code(told[-1].visitor))
            (tmp_path / "schemathesis.toml").write_text(names, encoding="utf-8")
            code, said = await tried(str(it.client._base_url).rstrip("/"), tmp_path)
            assert code == 0, said
            assert "WARNINGS" not in said, said

    run(check())


def test_the_document_is_whole() -> None:
    """Each operation has a name of its own, each reference leads somewhere, each refusal is a problem document."""

    async def check() -> None:
        async with desk() as it:
            status, document = await it.ask("GET", "openapi.json", headers={})
        assert (status, document["openapi"]) == (200, "3.1.0")
        known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
        assert set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(document))) <= known
        operations = [each for methods in document["paths"].values() for each in methods.values()]
        assert len({each["operationId"] for each in operations}) == len(operations)
        for each in operations:
            refusals = {status: said for status, said in each["responses"].items() if status >= "4"}
            assert {"401", "403", "429", "503"} <= refusals.keys()
            assert all(list(said["content"]) == ["application/problem+json"] for said in refusals.values())

    run(check())
