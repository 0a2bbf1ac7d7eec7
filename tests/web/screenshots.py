"""Writes every state of the page, in both themes and two widths, into out/screenshots: `make screenshots`.

python -m tests.web.screenshots [LANGUAGE ...]
"""

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Route, sync_playwright

from tests.web.browser import CHROMIUM, FLAGS
from tests.web.samples import EVERY_STATE, OPENS_MS, pages, view
from waitroom.admission.line import State
from waitroom.proxy.decisions import Respond
from waitroom.web.forms import FORM_TYPE, KeptForm
from waitroom.web.pages import Lost
from waitroom.web.status import status_body

OUT = Path("out/screenshots")
OFFLINE, NO_SCRIPT = "offline", "no-script"
NO_TICKET = b"no ticket"
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDTHS = {"phone": 320, "desktop": 1280}


def _shots(language: str) -> Iterator[tuple[str, Respond, bytes]]:
    made = pages()
    for name, situation in EVERY_STATE.items():
        yield name, made.page(situation, language=language), status_body(situation)
    waiting = EVERY_STATE["waiting"]
    form = KeptForm.parse(b"answer=42", FORM_TYPE)
    kept = made.page(waiting, language=language, form=form)
    yield "form-kept", kept, status_body(waiting)
    yield "form-lost", made.page(waiting, language=language, form=Lost.LOST), status_body(waiting)
    yield "cookies-blocked", kept, NO_TICKET
    later = EVERY_STATE["lobby"]._replace(opens_ms=OPENS_MS + 1_800_000)
    yield "postponed", made.page(EVERY_STATE["lobby"], language=language), status_body(later)
    yield "your-turn", made.page(EVERY_STATE["waiting"], language=language), status_body(view(State.ADMITTED, ahead=0))
    yield OFFLINE, made.page(waiting, language=language), b""
    yield NO_SCRIPT, made.page(waiting, language=language), b""


def _shoot(browser: Browser, language: str, theme: Literal["light", "dark"], width_name: str) -> None:
    for name, answer, status in _shots(language):
        context = browser.new_context(
            viewport={"width": WIDTHS[width_name], "height": 800},
            color_scheme=theme,
            locale=f"{language}-BE",
            timezone_id="Europe/Brussels",
            java_script_enabled=name != NO_SCRIPT,
        )
        page = context.new_page()
        page.clock.set_fixed_time(datetime.fromtimestamp(OPENS_MS / 1000 - 300, UTC))
        page.route("**/*", _server(answer, status))
        page.goto("https://exam.uni.example/mod/quiz/view.php?id=7")
        if name != NO_SCRIPT:
            page.wait_for_selector("#dot.on, #dot.off, .stuck", state="attached")
        if name == OFFLINE:
            context.set_offline(True)
            page.wait_for_selector("[data-state=offline]")
        page.screenshot(path=OUT / f"{name}-{language}-{theme}-{width_name}.png", full_page=True)
        context.close()


def _server(answer: Respond, status: bytes) -> Callable[[Route], None]:
    """What a waiting room would answer: the page, and one status; no status is a network that is gone.

    A page that enters is told that there is nothing to show, and so stays.
    """
    shown: list[str] = []

    def serve(route: Route) -> None:
        if "/_waitroom/" not in route.request.url:
            shown.append(route.request.url)
            if len(shown) > 1:
                route.fulfill(status=204)
                return
            route.fulfill(body=answer.body, headers={name.decode(): value.decode() for name, value in answer.headers})
        elif "/news" in route.request.url or status == NO_TICKET:
            route.fulfill(status=401 if status == NO_TICKET else 404, body="{}", content_type="application/json")
        elif status:
            route.fulfill(body=status, content_type="application/json")
        else:
            route.abort()

    return serve


def main(languages: list[str]) -> None:
    """Write them all."""
    OUT.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for language in languages:
            for theme in THEMES:
                for width_name in WIDTHS:
                    _shoot(browser, language, theme, width_name)
        browser.close()
    print(f"{len(list(OUT.glob('*.png')))} screenshots in {OUT}")


if __name__ == "__main__":
    main(sys.argv[1:] or ["fr", "en"])
