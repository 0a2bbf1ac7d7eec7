// Who changed what, when, why, from what to what; the latest first.

import { ask, query } from "./api.js";
import { h, mark, refill, say } from "./dom.js";
import { changed } from "./drift.js";
import { t } from "./tongue.js";
import { timeWithSeconds, until } from "./words.js";

const PAGE = 50;
const AGAIN_MS = 5_000;

/** What the API's words are called here; one that this page does not know is shown as it is. */
const WHAT = ["limit", "undo", "hold", "open", "announce", "silence", "lane", "release", "reload", "restart", "expired"];
const COLUMNS = ["when", "who", "what", "change", "why"];
const title = (column) => t(`audit.${column}`);

export function auditView() {
  const body = h("tbody");
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const older = h("button", { hidden: true, onclick: () => { shown += PAGE; look(); } }, t("audit.older"));
  let shown = PAGE;
  let timer = 0;

  async function look() {
    clearTimeout(timer);
    try {
      const said = await ask("GET", `audit${query({ limit: shown })}`);
      refill(body, said.entries, () => (said.entries.length ? said.entries.map(row) : [h("tr", {}, h("td", { colspan: "5" }, t("audit.empty")))]));
      mark(older, "hidden", !said.more || shown >= 1000);
      mark(problem, "hidden", true);
    } catch (failure) {
      say(problem, failure.message);
      mark(problem, "hidden", false);
    }
    timer = setTimeout(look, AGAIN_MS);
  }

  const head = h("tr", {}, ...COLUMNS.map((column) => h("th", { scope: "col" }, title(column))));
  const table = h("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": t("audit.label") }, h("table", { class: "stack" }, h("thead", {}, head), body));
  look();
  return { element: h("div", { class: "wide view" }, h("h1", {}, t("audit.title")), problem, table, older), close: () => clearTimeout(timer) };
}

/** Why: of what has ended by itself, who had set it, which the API says in a sentence. */
function because({ what, why }) {
  const [, who, said] = (what === "expired" && /^set by (.*?)(?:: (.*))?$/.exec(why)) || [];
  if (who === undefined) return why || "–";
  return t(said ? "audit.set_by.why" : "audit.set_by", { who, why: said });
}

function row(each) {
  const where = [each.target, each.pool && t("audit.in", { pool: each.pool })].filter(Boolean).join(" ");
  const what = t("audit.done", { what: WHAT.includes(each.what) ? t(`audit.${each.what}`) : each.what, where });
  const changes = each.changes.map((c) => h("div", {}, changed(c)));
  const cell = (column, ...children) => h("td", { "data-title": title(column) }, ...children);
  return h(
    "tr",
    {},
    cell("when", timeWithSeconds(each.at_ms)),
    cell("who", each.who || t("nobody")),
    cell("what", what.trim(), each.until_ms ? h("small", {}, until(each.until_ms)) : ""),
    cell("change", ...(changes.length ? changes : ["–"])),
    cell("why", because(each)),
  );
}
