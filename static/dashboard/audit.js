// Who changed what, when, why, from what to what; the latest first.

import { ask, query } from "./api.js";
import { h, mark, refill, say } from "./dom.js";
import { timeWithSeconds, until } from "./words.js";

const PAGE = 50;
const AGAIN_MS = 5_000;

const WHAT = { limit: "limited", undo: "undid", hold: "held", open: "opened", announce: "said", silence: "took back", lane: "moved", release: "released", reload: "reloaded the file", restart: "started with other settings", expired: "time was over" };

export function auditView() {
  const body = h("tbody");
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const older = h("button", { hidden: true, onclick: () => { shown += PAGE; look(); } }, "Older");
  let shown = PAGE;
  let timer = 0;

  async function look() {
    clearTimeout(timer);
    try {
      const said = await ask("GET", `audit${query({ limit: shown })}`);
      refill(body, said.entries, () => (said.entries.length ? said.entries.map(row) : [h("tr", {}, h("td", { colspan: "5" }, "Nothing was changed yet."))]));
      mark(older, "hidden", !said.more || shown >= 1000);
      mark(problem, "hidden", true);
    } catch (failure) {
      say(problem, failure.message);
      mark(problem, "hidden", false);
    }
    timer = setTimeout(look, AGAIN_MS);
  }

  const head = h("tr", {}, ...["When", "Who", "What", "From, to", "Why"].map((name) => h("th", { scope: "col" }, name)));
  const table = h("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "Changes" }, h("table", { class: "stack" }, h("thead", {}, head), body));
  look();
  return { element: h("div", { class: "wide view" }, h("h1", {}, "Audit"), problem, table, older), close: () => clearTimeout(timer) };
}

const spelt = (value) => (value === null ? "none" : value);

function row(each) {
  const what = `${WHAT[each.what] ?? each.what} ${[each.target, each.pool && `in ${each.pool}`].filter(Boolean).join(" ")}`;
  const changes = each.changes.map((c) => h("div", {}, `${c.key}: ${spelt(c.old)} → ${spelt(c.new)}`));
  return h(
    "tr",
    {},
    h("td", { "data-title": "When" }, timeWithSeconds(each.at_ms)),
    h("td", { "data-title": "Who" }, each.who || "nobody"),
    h("td", { "data-title": "What" }, what, each.until_ms ? h("small", {}, until(each.until_ms)) : ""),
    h("td", { "data-title": "From, to" }, ...(changes.length ? changes : ["–"])),
    h("td", { "data-title": "Why" }, each.why || "–"),
  );
}
