"""How the dashboard's files are sent: whole or not at all, under a policy that lets nothing else in."""

import re

from tests.admin.test_admin import House, Store, listener
from tests.support.aio import run
from waitroom.assets import static_dir


def test_every_file_is_there() -> None:
    """What the page and its modules name is sent, with its type, and is asked for again each time."""

    async def main() -> None:
        async with listener(House(), Store()) as client:
            wanted, seen = ["/"], set[str]()
            while wanted:
                path = wanted.pop()
                seen.add(path)
                async with client.get(path) as answer:
                    assert answer.status == 200, path
                    assert answer.headers["Cache-Control"] == "no-cache"
                    assert answer.headers["X-Frame-Options"] == "DENY"
                    policy = answer.headers["Content-Security-Policy"]
                    assert "script-src 'self'; style-src 'self'" in policy
                    assert "unsafe" not in policy
                    text = await answer.text()
                named = re.findall(r'(?:href|src)="(/dashboard/[^"]+)"', text) if path == "/" else []
                named += [f"/dashboard/{name}" for name in re.findall(r'from "\./([^"]+)"', text)]
                wanted += [each for each in named if each not in seen]
            kinds = {path.name for path in (static_dir() / "dashboard").rglob("*") if path.suffix in {".js", ".css"}}
            assert kinds == {path.rpartition("/")[2] for path in seen if path.endswith((".js", ".css"))}

    run(main())


def test_nothing_is_sent_twice() -> None:
    """What a browser has is not sent again; a file that is not there, or is no part of the page, is a problem."""

    async def main() -> None:
        async with listener(House(), Store()) as client:
            for path in ("/", "/dashboard/app.js"):
                async with client.get(path) as answer:
                    tag = answer.headers["ETag"]
                async with client.get(path, headers={"If-None-Match": tag}) as answer:
                    assert (answer.status, await answer.read(), answer.headers["ETag"]) == (304, b"", tag)
                    assert "script-src" in answer.headers["Content-Security-Policy"]
                async with client.get(path, headers={"If-None-Match": '"other"'}) as answer:
                    assert answer.status == 200
                async with client.head(path) as answer:
                    assert (answer.status, await answer.read()) == (200, b"")
            for path in ("/dashboard/", "/dashboard/no.js", "/dashboard/..%2Fpage.js", "/dashboard/vendor/VERSIONS.md"):
                async with client.get(path) as answer:
                    assert (answer.status, answer.content_type) == (404, "application/problem+json"), path

    run(main())
