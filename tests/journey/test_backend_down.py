"""A backend that does not answer: a calm page for people, 502 for programs, and the place is kept."""

from pathlib import Path

from tests.support.aio import run
from tests.support.backend import counting_backend
from tests.support.ports import free_port
from tests.support.product import serving, until
from tests.support.student import PAGE, SCRIPT, Student


def test_nobody_loses_a_place_to_a_dead_backend(tmp_path: Path) -> None:
    """The newcomer who was admitted keeps the slot; when the backend is there, the same pass is relayed."""

    async def main() -> None:
        port = free_port()
        async with (
            serving(tmp_path, "--backend", f"http://127.0.0.1:{port}", "--max-sessions", "1") as product,
            Student(product.public, "ann") as ann,
            Student(product.public, "bob") as bob,
        ):
            down = await ann.page("/exam?x=1")
            assert (down.status, down.state) == (503, "down")
            assert b"<html" in down.body
            script = await ann.ask("GET", "/api", SCRIPT)
            assert (script.status, script.headers["Content-Type"]) == (502, "application/problem+json")
            assert (await bob.page()).state == "waiting", "ann's slot is ann's"
            form = PAGE | {"Content-Type": "application/x-www-form-urlencoded"}
            lost = await ann.ask("POST", "/answer", form, data=b"a=1")
            assert (lost.status, lost.state) == (503, "down")
            async with counting_backend(port):

                async def back() -> bool:
                    return (await ann.page("/exam?x=1")).status == 200

                await until(back, what="ann's exam server")
                assert (await bob.page()).state == "waiting"
            seen = await product.metrics()
            assert seen['waitroom_admissions_total{pool="main",way="direct"}'] == 1

    run(main())
