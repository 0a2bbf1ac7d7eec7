"""Without a store: pages stay and say so, places are stamped and kept, and the operator decides about newcomers."""

from pathlib import Path

import pytest

from tests.support.aio import run
from tests.support.backend import counting_backend
from tests.support.ports import free_port
from tests.support.product import serving
from tests.support.student import SCRIPT, Student

AWAY = """
store: {url: "redis://127.0.0.1:STORE/0"}
pools:
  main:
    backends:
      main-1: {url: "URL", max_sessions: 2}
    on_store_loss: CHOICE
"""


@pytest.mark.parametrize("choice", ["hold", "admit"])
def test_a_store_that_was_never_there(tmp_path: Path, choice: str) -> None:
    """The product starts and is ready; `hold` shows the page with a place that survives, `admit` lets newcomers in."""

    async def main() -> None:
        async with counting_backend() as backend:
            config = AWAY.replace("STORE", str(free_port())).replace("URL", backend.url).replace("CHOICE", choice)
            async with serving(tmp_path, config=config) as product, Student(product.public, "ann") as ann:
                answer = await ann.page()
                if choice == "admit":
                    assert (answer.status, answer.state) == (200, None)
                    assert (await ann.page("/next")).status == 200
                    assert (await ann.ask("GET", "/api", SCRIPT)).status == 200
                else:
                    assert (answer.status, answer.state) == (429, "waiting")
                    stamped = ann.arrival_us()
                    said = await ann.poll()
                    assert (said["state"], said["stale"], said["position"]) == ("waiting", True, None)
                    assert (await ann.page()).status == 429
                    assert ann.arrival_us() == stamped
                    assert backend.requests["ann"] == 0
                seen = await product.metrics()
                assert seen["waitroom_store_up"] == 0
                assert seen["waitroom_workers"] >= 1

    run(main())
