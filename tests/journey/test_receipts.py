"""The record of the wait, from the page that a student saves to the desk where staff check it."""

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.aio import run
from tests.support.backend import counting_backend
from tests.support.product import Product, serving
from tests.support.student import PAGE, SCRIPT, Answer, Student
from waitroom.admission.receipts import Notary, Receipt, Wait
from waitroom.settings.secrets import load_secrets

CONFIG = """
pools:
  main:
    backends:
      main-1: {url: "URL", max_sessions: 1}
exams:
  MATH0001: {pool: main, match: [{path: "/math/*"}], title: {en: "Calculus <I>", fr: "Analyse <I>"}}
admin: {open_on_loopback: true}
"""
RECEIPT = "/_waitroom/receipt?pool=main"
SIGNED = re.compile(r"WR1\.[A-Z0-9]+\.[A-Z0-9]+\.[A-Z0-9]{32}")


def signed(answer: Answer) -> str:
    """The line in a record."""
    (line,) = SIGNED.findall(answer.body.decode())
    return str(line)


def read(product: Product, line: str) -> Receipt:
    """What such a line certifies, by the keys of the product itself."""
    keys = [(key.id, key.key) for key in load_secrets(product.data_dir / "secrets").keys]
    found = Notary(keys).look(line)
    assert isinstance(found, Receipt), found
    return found


async def verify(product: Product, *arguments: str, given: str = "", env: dict[str, str] | None = None) -> Any:
    """`waitroom ticket verify`: exit code, stdout, stderr."""
    return await product.command("ticket", "verify", *arguments, given=given, env=env)


def test_what_a_student_takes_home(tmp_path: Path) -> None:
    """Waiting, then let in: each record says what happened, in the page, in the file and in the signed line."""

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, "--workers", "1", config=CONFIG.replace("URL", backend.url)) as product,
            Student(product.public, "inside") as inside,
            Student(product.public, "a") as a,
            Student(product.public, "b") as b,
        ):
            assert (await inside.page("/math/1")).status == 200
            for student in (a, b):
                assert (await student.page("/math/1")).status == 429
            assert (await b.poll())["position"] == 2
            page = await b.ask("GET", f"{RECEIPT}&to=/math/1%3Fa%3D%257E", PAGE)
            text = page.body.decode()
            assert (page.status, page.headers["Cache-Control"]) == (200, "no-store")
            assert "Calculus &lt;I&gt; (MATH0001)" in text
            assert 'href="/math/1?a=%7E"' in text
            assert "<script" not in text
            waiting = read(product, signed(page))
            status = await b.poll()
            assert (waiting.state, waiting.first, waiting.last, waiting.admitted_ms) == (Wait.WAITING, 2, 2, 0)
            assert (waiting.pool, waiting.exam, waiting.code) == ("main", "MATH0001", status["code"])
            assert waiting.arrival_us == b.arrival_us()
            assert (await inside.ask("POST", "/_waitroom/leave?pool=main", SCRIPT)).status == 204
            await a.enter()
            after = read(product, signed(await b.ask("GET", RECEIPT, PAGE)))
            assert (after.first, after.last) == (2, 1), "the position on arrival stays, the last one follows the line"
            assert (await a.ask("POST", "/_waitroom/leave?pool=main", SCRIPT)).status == 204
            await b.enter()
            saved = await b.ask("GET", f"{RECEIPT}&download=1", PAGE | {"Accept-Language": "fr"})
            admitted = read(product, signed(saved))
            assert (admitted.state, admitted.first, admitted.last) == (Wait.ADMITTED, 2, 0)
            assert admitted.arrival_us == waiting.arrival_us
            assert admitted.admitted_ms * 1000 >= admitted.arrival_us
            assert saved.headers["Content-Type"] == "text/plain; charset=utf-8"
            assert saved.headers["Content-Disposition"] == f'attachment; filename="waitroom-{admitted.code}.txt"'
            file = saved.body.decode()
            assert "Analyse <I> (MATH0001)" in file
            assert admitted.code in file
            assert unescape(file).count("=") >= 3, "each instant also as ISO 8601"

    run(main())


def test_asking_changes_nothing(tmp_path: Path) -> None:
    """A record is no heartbeat: whoever only looks at it is absent when their time is over, and never enters by it."""

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, "--workers", "1", config=CONFIG.replace("URL", backend.url)) as product,
            Student(product.public, "inside") as inside,
            Student(product.public, "a") as a,
            Student(product.public, "stranger") as stranger,
        ):
            assert (await inside.page("/math/1")).status == 200
            assert (await a.page("/math/1")).status == 429
            await inside.ask("POST", "/_waitroom/leave?pool=main", SCRIPT)
            for _ in range(3):
                answer = await a.ask("GET", RECEIPT, PAGE)
                assert read(product, signed(answer)).state is Wait.WAITING, "a free place is not taken by looking"
                assert "Set-Cookie" not in answer.headers
            assert (await a.poll())["state"] == "admitted"
            assert read(product, signed(await a.ask("GET", RECEIPT, PAGE))).state is Wait.ADMITTED
            page = await stranger.ask("GET", RECEIPT, PAGE)
            assert (page.status, page.headers["Content-Type"]) == (401, "text/html; charset=utf-8")
            assert "There is no wait to record here." in page.body.decode()
            assert not SIGNED.search(page.body.decode())
            assert "Set-Cookie" not in page.headers
            script = await stranger.ask("GET", RECEIPT, SCRIPT)
            assert (script.status, script.headers["Content-Type"]) == (401, "application/problem+json")
            assert (await a.ask("POST", RECEIPT, PAGE)).status == 405
            evil = await a.ask("GET", f"{RECEIPT}&to=//evil.example/x", PAGE)
            assert 'href="/.//evil.example/x"' in evil.body.decode()
            evil = await a.ask("GET", f"{RECEIPT}&to=javascript:alert(1)", PAGE)
            assert 'href="/"' in evil.body.decode()

    run(main())


def test_staff_check_it(tmp_path: Path) -> None:
    """On the command line without the service, on the admin API and in its form: one verdict, and no key is made."""

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, "--workers", "1", config=CONFIG.replace("URL", backend.url)) as product,
            Student(product.public, "a") as a,
        ):
            assert (await a.page("/math/1")).status == 200
            saved = await a.ask("GET", f"{RECEIPT}&download=1", PAGE)
            line = signed(saved)
            await check_on_the_listener(product.admin, line)
            await product.stop()
            code, out, _ = await verify(product, line)
            assert (code, "Genuine" in out, "MATH0001" in out) == (0, True, True)
            (tmp_path / "saved.txt").write_bytes(saved.body)
            code, out, _ = await verify(product, "saved.txt", "--json")
            assert (code, json.loads(out)["state"]) == (0, "admitted")
            assert json.loads(out)["position_on_arrival"] == 1
            quoted = "> " + "\n> ".join(line[at : at + 50] for at in range(0, len(line), 50))
            assert (await verify(product, "--data-dir", "var", given=quoted))[0] == 0
            assert (await verify(product, "-", "--config", "waitroom.yaml", "--data-dir", "var", given=line))[0] == 0
            code, out, err = await verify(product, line[:-1] + ("A" if line[-1] != "A" else "B"))
            assert (code, out, "altered" in err) == (1, "", True)
            code, _, err = await verify(product, line, env={"WAITROOM_SECRETS": "zz:" + "A" * 43 + "="})
            assert (code, "a key that this waiting room has not" in err) == (1, True)
            code, _, err = await verify(product, "hello")
            assert (code, "No record in this text" in err) == (2, True)
            code, _, err = await verify(product, line, "--data-dir", "nowhere")
            assert (code, "no keys there" in err, (tmp_path / "nowhere").exists()) == (2, True, False)
            assert (await verify(product, line, "--config", "nothing.yaml"))[0] == 2
            assert (await verify(product, "var"))[0] == 2, "a folder"

    run(main())


async def check_on_the_listener(admin: str, line: str) -> None:
    """What the API and the form say of a genuine and of an altered line."""
    api, form = f"{admin}/api/v1/receipts/verify", f"{admin}/receipts"
    altered = line[:-1] + ("A" if line[-1] != "A" else "B")
    async with aiohttp.ClientSession() as client:
        async with client.post(api, json={"receipt": f"Hello,\n{line}\n"}) as answer:
            said = await answer.json()
            assert (answer.status, said["genuine"], said["exam"]) == (200, True, "MATH0001")
        async with client.post(api, json={"receipt": altered}) as answer:
            assert (await answer.json())["why"] == "false"
        for body in ({}, {"receipt": 5}, [], {"receipt": line, "more": 1}):
            async with client.post(api, json=body) as answer:
                assert answer.status == 422
        async with client.post(api, data={"receipt": line}) as answer:
            assert answer.status == 415
        async with client.get(form) as answer:
            assert (answer.status, 'name="receipt"' in await answer.text()) == (200, True)
        ours = {"Origin": admin, "Sec-Fetch-Site": "same-origin"}
        async with client.post(form, data={"receipt": line, "token": ""}, headers=ours) as answer:
            text = await answer.text()
            assert (answer.status, "Genuine" in text, "MATH0001" in text) == (200, True, True)
        async with client.post(form, data={"receipt": f"{altered}<script>", "token": ""}, headers=ours) as answer:
            text = await answer.text()
            assert (answer.status, "altered" in text, "<script>" in text) == (200, True, False)
        async with client.post(form, data={"receipt": line, "token": "wrong"}) as answer:
            assert (answer.status, "Genuine" in await answer.text()) == (401, False)
        theirs = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
        async with client.post(form, data={"receipt": line}, headers=theirs) as answer:
            assert answer.status == 401
