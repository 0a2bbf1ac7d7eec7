// All pools in one table, a row each: what an operator of many sees without scrolling. Law: the numbers are those of the
// cards below, said in the same words; with one pool there is nothing to sum up.

import { h, mark, refill, say } from "./dom.js";
import { t } from "./tongue.js";
import { answers, enters, inside, last, state } from "./tiles.js";
import { count } from "./words.js";

const COLUMNS = ["waiting", "inside", "entering", "last", "answers"];

export class Pools {
  /** `lead`: brings a pool's card before the reader. */
  constructor(lead) {
    this.lead = lead;
    this.rows = new Map();
    this.body = h("tbody");
    const head = ["pools.pool", ...COLUMNS.map((name) => `tile.${name}`)].map((key) => h("th", { scope: "col" }, t(key)));
    const table = h("table", { class: "stack" }, h("thead", {}, h("tr", {}, ...head)), this.body);
    this.element = h("section", { class: "all scroll", role: "region", tabindex: "0", "aria-label": t("pools.title"), hidden: true }, table);
  }

  show(pools, found, old) {
    mark(this.element, "hidden", pools.length < 2);
    mark(this.element, "data-old", old);
    refill(this.body, pools.map((p) => p.pool), () => {
      this.rows = new Map(pools.map((p) => [p.pool, this.row(p.pool)]));
      return [...this.rows.values()].map((each) => each.element);
    });
    for (const p of pools) fill(this.rows.get(p.pool), p, found.find((each) => each.pool === p.pool)?.level);
  }

  row(name) {
    const badge = h("span", { class: "badge" });
    const cells = COLUMNS.map((column) => h("td", { "data-title": t(`tile.${column}`) }));
    const button = h("button", { class: "quiet", "aria-label": t("pools.show", { pool: name }), onclick: () => this.lead(name) }, name);
    return { element: h("tr", {}, h("th", { scope: "row" }, button, " ", badge), ...cells), badge, cells };
  }
}

function fill({ element, badge, cells }, p, level) {
  mark(element, "data-level", level);
  say(badge, state(p));
  mark(badge, "data-state", p.state);
  const shown = [count(p.line.waiting), inside(p).all, enters(p).large, last(p).large, answers(p).large];
  shown.forEach((text, n) => say(cells[n], text));
}
