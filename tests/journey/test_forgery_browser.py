"""A page of another site in the operator's browser, where loopback is open without a token, tries all that it can.

They run on asyncio's own loop: the browser's driver is no part of the product.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from playwright.async_api import async_playwright

from tests.support.ports import free_port
from tests.support.product import serving
from tests.support.site import everywhere, listening
from tests.web.browser import CHROMIUM, FLAGS, need_chromium

pytestmark = pytest.mark.browser

FLAG = "--host-resolver-rules=MAP evil.example 127.0.0.1"
"""The name of another site that leads to this machine: DNS rebinding."""

TRY_ALL = """
async (admin) => {
  const said = [];
  const pool = `${admin}/api/v1/pools/main`;
  for (const [method, url, asked] of [
    ["PUT", `${pool}/hold`, {}], ["DELETE", `${pool}/hold`, {}], ["PATCH", pool, {max_sessions: 1}],
    ["PUT", `${pool}/announcement`, {text: "forged"}], ["POST", `${pool}/preview`, {hold: true}],
    ["POST", `${admin}/api/v1/tickets/AAAA-AAAA/release`, {}], ["GET", pool, {}],
  ]) {
    const body = JSON.stringify(asked);
    for (const mode of ["cors", "no-cors"]) {
      for (const type of ["application/json", "text/plain", "application/x-www-form-urlencoded"]) {
        try {
          const more = method === "GET" ? {} : {body, headers: {"Content-Type": type}};
          const answer = await fetch(url, {method, mode, credentials: "include", ...more});
          if (answer.type !== "opaque") said.push([method, url, answer.status, (await answer.text()).slice(0, 80)]);
        } catch { }
      }
    }
  }
  navigator.sendBeacon(`${admin}/api/v1/tickets/AAAA-AAAA/release`);
  await new Promise((done) => {
    const frame = Object.assign(document.createElement("iframe"), {name: "sink"});
    const action = `${pool}/preview`;
    const form = Object.assign(document.createElement("form"), {method: "post", action, target: "sink"});
    document.body.append(frame, form);
    frame.onload = done;
    form.submit();
  });
  return said;
}
"""


async def answer(_request: web.Request) -> web.Response:
    """Their page."""
    return web.Response(
        text='<!doctype html><link rel="icon" href="data:,"><title>Win</title>', content_type="text/html"
    )


async def asked(admin: str, path: str) -> Any:
    """What the operator is told."""
    async with aiohttp.ClientSession() as client, client.get(f"{admin}/api/v1/{path}") as got:
        return await got.json()


def test_it_can_neither_change_nor_read_anything(tmp_path: Path) -> None:
    """Neither from another site, nor from another port of this machine, nor under a name that leads here."""
    need_chromium()

    async def main() -> None:
        port = free_port()
        config = {
            "workers": 1,
            "pools": {"main": {"backends": {"main-1": {"url": f"http://127.0.0.1:{port}", "max_sessions": 5}}}},
            "admin": {"open_on_loopback": True},
        }
        async with (
            listening(everywhere(answer), port),
            serving(tmp_path, config=json.dumps(config)) as product,
            async_playwright() as playwright,
        ):
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, FLAG])
            try:
                for site in (f"http://evil.example:{port}", f"http://localhost:{port}"):
                    page = await browser.new_page()
                    await page.goto(site)
                    assert await page.evaluate(TRY_ALL, product.admin) == []
                    assert (await asked(product.admin, "audit"))["entries"] == []
                rebound = product.admin.replace("127.0.0.1", "evil.example")
                page = await browser.new_page(bypass_csp=True)  # theirs came before the name led here
                await page.goto(rebound)
                told = await page.evaluate(TRY_ALL, rebound)
                assert told
                assert {status for _, _, status, _ in told} == {401}
                assert (await asked(product.admin, "audit"))["entries"] == []
                page = await browser.new_page(bypass_csp=True)  # that of the listener's own page forbids all scripts
                await page.goto(product.admin)
                own = await page.evaluate(TRY_ALL, product.admin)
                assert ["PATCH", 200] in [[method, status] for method, _, status, _ in own], "our own page may"
            finally:
                await browser.close()
            assert {each["who"] for each in (await asked(product.admin, "audit"))["entries"]} == {"anyone on loopback"}

    asyncio.run(main())
