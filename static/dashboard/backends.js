// The backends of a pool, a row each. Law: rows are made once and their text changed, so that focus stays where it is.

import { hold, limit, open } from "./controls.js";
import { h, mark, refill, say } from "./dom.js";
import { PHASES, count, fine, took } from "./words.js";

const COLUMNS = ["Backend", "Sessions", "In flight", "Requests", "Failed", "Half take", "19 of 20 take"];

export class Backends {
  constructor(pool, look) {
    this.look = look;
    this.body = h("tbody");
    this.rows = new Map();
    this.control = h("th", { scope: "col", hidden: true }, h("span", { class: "vh" }, "Controls"));
    this.element = h(
      "div",
      { class: "backends", role: "region", tabindex: "0", "aria-label": `Backends of ${pool}` },
      h("table", {}, h("thead", {}, h("tr", {}, ...COLUMNS.map((name) => h("th", { scope: "col" }, name)), this.control)), this.body),
    );
  }

  show(p, operates) {
    mark(this.control, "hidden", !operates);
    refill(this.body, p.backends.map((b) => b.backend), () => {
      this.rows = new Map(p.backends.map((b) => [b.backend, row(b.backend)]));
      return [...this.rows.values()].map((each) => each.element);
    });
    for (const b of p.backends) this.fill(this.rows.get(b.backend), p, b, operates);
  }

  fill(r, p, b, operates) {
    const { sessions: s, load } = b;
    mark(r.element, "data-phase", b.hold ?? b.phase);
    say(r.phase, b.hold ? (b.hold === "held" ? "held" : "draining") : PHASES[b.phase] + (b.returning ? `, ${count(b.returning)} to return` : ""));
    say(r.sessions, s.limit === null ? count(s.live) : `${count(s.live)} of ${count(s.limit)}`);
    mark(r.bar, "hidden", !s.limit);
    if (s.limit) r.bar.style.setProperty("--share", String(Math.min(1, s.live / s.limit)));
    const most = load?.inflight_limit ? ` of ${count(load.inflight_limit)}` : "";
    const queued = load?.inflight_waiting ? `, ${count(load.inflight_waiting)} wait` : "";
    const cells = load
      ? [`${count(load.inflight)}${most}${queued}`, `${fine(load.requests_per_s)}/s`, load.failed_per_s ? `${fine(load.failed_per_s)}/s` : "none", took(load.p50_ms), took(load.p95_ms)]
      : ["–", "–", "–", "–", "–"];
    cells.forEach((text, n) => say(r.cells[n], text));
    mark(r.cells[2], "data-level", load?.failed_per_s ? "mind" : null);
    mark(r.controls, "hidden", !operates);
    refill(r.controls, [operates, Boolean(b.hold)], () => {
      if (!operates) return [];
      const act = (what) => () => what(this.latest, this.look, b.backend);
      return [
        h("button", { class: "quiet", "aria-label": `Limit ${b.backend}`, onclick: act(limit) }, "Limit…"),
        b.hold
          ? h("button", { class: "quiet", "aria-label": `Open ${b.backend}`, onclick: act(open) }, "Open…")
          : h("button", { class: "quiet", "aria-label": `Hold ${b.backend}`, onclick: act(hold) }, "Hold…"),
      ];
    });
    this.latest = p;
  }
}

function row(name) {
  const phase = h("small");
  const sessions = h("span");
  const bar = h("span", { class: "bar", "aria-hidden": "true" }, h("i"));
  const cells = COLUMNS.slice(2).map((title) => h("td", { "data-title": title }));
  const controls = h("td", { class: "controls" });
  const element = h(
    "tr",
    {},
    h("th", { scope: "row" }, h("span", { class: "dot", "aria-hidden": "true" }), name, " ", phase),
    h("td", { "data-title": COLUMNS[1] }, sessions, bar),
    ...cells,
    controls,
  );
  return { element, phase, sessions, bar, cells, controls };
}
