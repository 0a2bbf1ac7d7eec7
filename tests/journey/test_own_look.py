"""The operator's own words and look, and a visitor's language, in the product as it runs."""

import json
import os
import signal
from pathlib import Path
from typing import Any

from tests.support.aio import run
from tests.support.backend import counting_backend
from tests.support.product import Product, serving, until
from tests.support.student import PAGE, Answer, Student
from waitroom.assets import static_dir

EXAM = "/mod/quiz/view.php?id=4711"


def _config(backend: str, **more: object) -> str:
    """One slot; an exam in Dutch on a site in Italian."""
    exam = {"pool": "main", "match": [{"path": "/mod/quiz/*"}], "language": "nl", "note": {"nl": "Studentenkaart!"}}
    pools = {"main": {"backends": {"main-1": {"url": backend, "max_sessions": 1}}}}
    whole = {"pools": pools, "exams": {"MATH": exam}, "language": "it", "workers": 2, "trusted_proxies": [], **more}
    return json.dumps(whole)


async def _language(student: Student, path: str, **headers: str) -> str:
    answer = await student.ask("GET", path, PAGE | {name.replace("_", "-"): text for name, text in headers.items()})
    assert answer.state == "waiting"
    tongue = answer.headers["Content-Language"]
    assert f'<html lang="{tongue}" dir="{"rtl" if tongue == "ar" else "ltr"}">' in answer.body.decode()
    return tongue


def test_the_order_of_languages(tmp_path: Path) -> None:
    """Choice, Accept-Language, the exam's, the site's; the choice leads back to the exam and stays."""

    async def main() -> None:
        async with (
            counting_backend() as backend,
            serving(tmp_path, config=_config(backend.url)) as product,
            Student(product.public, "in") as inside,
            Student(product.public, "ann") as ann,
        ):
            assert (await inside.page()).status == 200
            assert await _language(ann, "/") == "it"
            assert await _language(ann, EXAM) == "nl"
            assert await _language(ann, EXAM, Accept_Language="zh-TW, ja;q=0.5") == "nl"
            assert await _language(ann, EXAM, Accept_Language="zh-TW, pt-BR;q=0.5") == "pt"
            refused = await ann.ask("GET", "/_waitroom/language?lang=xx&to=/", PAGE)
            assert (refused.status, refused.headers.get("Set-Cookie")) == (400, None)
            chosen = await ann.ask("GET", "/_waitroom/language?lang=ar&to=/mod/quiz/view.php%3Fid%3D4711", PAGE)
            assert (chosen.status, chosen.headers["Location"]) == (303, EXAM)
            assert await _language(ann, EXAM, Accept_Language="pt") == "ar"
            assert len(backend.paths) == 1, "nothing of ours reaches the exam server"

    run(main())


async def _shown(product: Product, name: str) -> Answer:
    async with Student(product.public, name) as student:
        answer = await student.ask("GET", EXAM, PAGE | {"Accept-Language": "nl"})
        assert answer.state == "waiting"
        return answer


async def _reloaded(product: Product, config: str) -> dict[str, Any]:
    """Write the settings, send SIGHUP, and what the log says came of it."""

    def outcomes() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in product.log.read_text().splitlines() if line.endswith("}")]
        return [line for line in lines if line["event"] in {"config_reloaded", "config_reload_refused"}]

    before = len(outcomes())
    (product.log.parent / "waitroom.yaml").write_text(config, encoding="utf-8")
    product.process.send_signal(signal.SIGHUP)

    async def more() -> bool:
        return len(outcomes()) > before

    await until(more, what="the outcome of a reload")
    return outcomes()[-1]


def _write(folder: Path, site: str) -> dict[str, object]:
    """An operator's files, and the settings that name them."""
    (folder / "po").mkdir(exist_ok=True)
    (folder / "po" / "nl.po").write_text(f'msgid "site"\nmsgstr "{site}"\n', encoding="utf-8")
    ours = (static_dir() / "page.html.j2").read_text(encoding="utf-8")
    own = ours.replace("<main", '<p{{ slot("note_hidden") }}>{{ slot("note") }}</p><main')
    (folder / "own.j2").write_text(own, encoding="utf-8")
    colours = {"light": {"board": "#102030"}}
    return {"texts": str(folder / "po"), "template": str(folder / "own.j2"), "colours": colours}


def test_the_look_is_whole_everywhere_or_stays(tmp_path: Path) -> None:
    """Every worker shows it, one that is replaced too, whatever is in the files by then; a bad one changes nothing."""

    async def main() -> None:
        look = _write(tmp_path, "Faculteit")
        async with (
            counting_backend() as backend,
            serving(tmp_path, config=_config(backend.url, pages=look)) as product,
            Student(product.public, "in") as inside,
        ):
            for _ in range(2):  # by the second page the pass is confirmed, and nobody else has its place
                assert (await inside.page()).status == 200
            for number in range(6):
                body = (await _shown(product, f"s{number}")).body
                assert b"Faculteit" in body
                assert b"<p>Studentenkaart!</p>" in body
                assert b"--board:#102030" in body

            (tmp_path / "own.j2").write_text("{% if %}", encoding="utf-8")
            refused = await _reloaded(product, _config(backend.url, pages=look))
            assert refused["event"] == "config_reload_refused"
            assert f"{tmp_path}/own.j2:1:1: " in refused["problem"]
            for pid in product.children("waitroom.server.worker"):
                os.kill(pid, signal.SIGKILL)

            async def replaced() -> bool:
                now = await product.metrics()
                return now["waitroom_workers"] == 2 and now["waitroom_worker_restarts_total"] == 2

            await until(replaced, what="two replacements")
            assert b"Faculteit" in (await _shown(product, "t")).body

            taken = await _reloaded(product, _config(backend.url, pages=_write(tmp_path, "Universiteit")))
            assert taken["event"] == "config_reloaded", taken
            for number in range(6):
                assert b"Universiteit" in (await _shown(product, f"u{number}")).body

    run(main())
