"""Five students, two places: who was let in, who left and who waits, as the operator's CSV has it."""

import csv
import hashlib
import io
import json
from pathlib import Path

import aiohttp

from tests.support.aio import run
from tests.support.backend import counting_backend
from tests.support.product import Product, serving, until
from tests.support.student import SCRIPT, Student

CONFIG = """
pools:
  main:
    backends:
      main-1: {url: "URL", max_sessions: 2}
exams:
  MATH0001: {pool: main, match: [{path: "/math/*"}]}
  BIO: {pool: main, match: [{path: "/bio/*"}]}
admin: {tokens: [{name: desk, sha256: "SHA", scopes: [read]}]}
"""
SHA = hashlib.sha256(b"read-me").hexdigest()


async def waits(product: Product, *arguments: str) -> tuple[int, str, str]:
    """`waitroom waits`: exit code, stdout, stderr."""
    return await product.command("waits", *arguments, "--admin", product.admin)


def test_five_students_and_two_places(tmp_path: Path) -> None:
    """Two straight in, one after a wait, one who gave up, one who waits; each exactly once, none by name or address."""

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(
                tmp_path, "--workers", "2", config=CONFIG.replace("URL", backend.url).replace("SHA", SHA)
            ) as product,
            Student(product.public, "one") as one,
            Student(product.public, "two") as two,
            Student(product.public, "three") as three,
            Student(product.public, "four") as four,
            Student(product.public, "five") as five,
        ):
            students = (one, two, three, four, five)
            codes: dict[str, str] = {}
            for student in students:
                await student.page("/math/1" if student is not two else "/bio/1")
                codes[(await student.poll())["code"]] = student.name
            assert (await four.ask("POST", "/_waitroom/leave?pool=main", SCRIPT)).status == 204
            assert (await one.ask("POST", "/_waitroom/leave?pool=main", SCRIPT)).status == 204

            async def let_in() -> bool:
                return bool((await three.poll())["state"] == "admitted")

            await until(let_in, what="the turn of the third")
            assert (await five.poll())["state"] == "waiting"
            code, out, err = await waits(product, "MATH0001", "--csv", "-")
            assert (code, err) == (0, "")
            rows = list(csv.DictReader(io.StringIO(out)))
            told = {codes[row["code"]]: row for row in rows}
            assert {name: (row["outcome"], row["backend"]) for name, row in told.items()} == {
                "one": ("admitted", "main-1"), "three": ("admitted", "main-1"), "four": ("left", ""),
                "five": ("waiting", ""),
            }  # fmt: skip
            assert len(rows) == 4
            assert {row["exam"] for row in rows} == {"MATH0001"}
            assert float(told["one"]["wait_s"]) == 0
            assert (told["one"]["position_on_arrival"], told["three"]["position_on_arrival"]) == ("1", "")
            assert 0 < float(told["three"]["wait_s"]) < 60
            cookies = [cookie.value for student in students for cookie in student.client.cookie_jar]
            assert not any(value.split("~")[0].rpartition(".")[2] in out for value in cookies if "~" in value)
            assert "127.0.0.1" not in out
            await check_the_numbers(product, tmp_path)
            await check_the_refusals(product)

    run(main())


async def check_the_numbers(product: Product, tmp_path: Path) -> None:
    """A file, a summary, and the whole pool."""
    code, out, _ = await waits(product, "MATH0001", "--csv", "waits.csv", "--json")
    summary = json.loads(out)
    assert (code, summary["admitted"], summary["left"], summary["waiting"]) == (0, 2, 1, 1)
    assert summary["longest_wait_s"] >= summary["median_wait_s"] >= 0
    assert len((tmp_path / "waits.csv").read_text().splitlines()) == 5
    code, out, _ = await waits(product, "--pool", "main")
    assert (code, out.splitlines()[0]) == (0, "pool main: 3 let in, 1 waiting, 1 left.")
    assert (await waits(product, "OLD", "--pool", "main"))[1].startswith("OLD: 0 let in, 0 waiting, 0 left.")


async def check_the_refusals(product: Product) -> None:
    """An exam that there is not, no exam at all, a folder that is not there, no token; and no half-written file."""
    code, out, err = await waits(product, "NOPE")
    assert (code, out, "The exams are: MATH0001, BIO" in err) == (1, "", True)
    assert (await waits(product))[0] == 2
    assert (await waits(product, "MATH0001", "--pool", "nope"))[0] == 1
    code, _, err = await waits(product, "MATH0001", "--csv", "nowhere/waits.csv")
    assert (code, "nowhere/waits.csv" in err) == (1, True)
    assert not list(product.data_dir.parent.glob(".waits*"))
    async with aiohttp.ClientSession() as client:
        async with client.get(f"{product.admin}/api/v1/exams/MATH0001/waits.csv") as answer:
            assert answer.status == 401
        async with client.post(f"{product.admin}/api/v1/exams/MATH0001/waits.csv") as answer:
            assert answer.status == 405
