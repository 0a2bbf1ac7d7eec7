// The backends of a pool, a row each. Law: rows are made once and their text changed, so that focus stays where it is.

import { hold, limit, open } from "./controls.js";
import { h, mark, refill, say } from "./dom.js";
import { t } from "./tongue.js";
import { count, fine, took } from "./words.js";

const COLUMNS = ["backend", "sessions", "inflight", "requests", "failed", "half", "most"];
const title = (name) => t(`backends.${name}`);

export class Backends {
  constructor(pool, look) {
    this.look = look;
    this.body = h("tbody");
    this.rows = new Map();
    this.control = h("th", { scope: "col", hidden: true }, h("span", { class: "vh" }, title("controls")));
    this.element = h(
      "div",
      { class: "backends scroll", role: "region", tabindex: "0", "aria-label": t("backends.label", { pool }) },
      h("table", {}, h("thead", {}, h("tr", {}, ...COLUMNS.map((name) => h("th", { scope: "col" }, title(name))), this.control)), this.body),
    );
  }

  show(p, operates, latest) {
    this.latest = latest;
    mark(this.control, "hidden", !operates);
    refill(this.body, p.backends.map((b) => b.backend), () => {
      this.rows = new Map(p.backends.map((b) => [b.backend, row(b.backend)]));
      return [...this.rows.values()].map((each) => each.element);
    });
    for (const b of p.backends) this.fill(this.rows.get(b.backend), b, operates);
  }

  fill(r, b, operates) {
    const { sessions: s, load } = b;
    mark(r.element, "data-phase", b.hold ?? b.phase);
    say(r.phase, phase(b));
    say(r.sessions, s.limit === null ? count(s.live) : t("backends.of", { n: s.live, limit: s.limit }));
    mark(r.bar, "hidden", !s.limit);
    if (s.limit) r.bar.style.setProperty("--share", String(Math.min(1, s.live / s.limit)));
    mark(r.bar, "data-full", s.limit && s.live >= s.limit);
    loaded(load).forEach((text, n) => say(r.cells[n], text));
    mark(r.cells[2], "data-level", load?.failed_per_s ? "mind" : null);
    mark(r.controls, "hidden", !operates);
    refill(r.controls, [operates, Boolean(b.hold)], () => (operates ? this.buttons(b) : []));
  }

  buttons({ backend, hold: isHeld }) {
    const button = (what, act) =>
      h("button", { class: "quiet", "aria-label": `${t(`do.${what}`)} ${backend}`, onclick: () => act(this.latest, this.look, backend) }, t(`do.${what}`));
    return [button("limit", limit), isHeld ? button("open", open) : button("hold", hold)];
  }
}

function phase(b) {
  const said = t(`phase.${b.hold ?? b.phase}`);
  return !b.hold && b.returning ? t("phase.returning", { phase: said, n: b.returning }) : said;
}

function loaded(load) {
  if (!load) return ["–", "–", "–", "–", "–"];
  const inflight = load.inflight_limit ? t("backends.of", { n: load.inflight, limit: load.inflight_limit }) : count(load.inflight);
  return [
    load.inflight_waiting ? t("backends.wait", { text: inflight, n: load.inflight_waiting }) : inflight,
    `${fine(load.requests_per_s)}/s`,
    load.failed_per_s ? `${fine(load.failed_per_s)}/s` : t("none"),
    took(load.p50_ms),
    took(load.p95_ms),
  ];
}

function row(name) {
  const phase = h("small");
  const sessions = h("span");
  const bar = h("span", { class: "bar", "aria-hidden": "true" }, h("i"));
  const cells = COLUMNS.slice(2).map((column) => h("td", { "data-title": title(column) }));
  const controls = h("td", { class: "controls" });
  const element = h(
    "tr",
    {},
    h("th", { scope: "row" }, h("span", { class: "dot", "aria-hidden": "true" }), name, " ", phase),
    h("td", { "data-title": title("sessions") }, sessions, bar),
    ...cells,
    controls,
  );
  return { element, phase, sessions, bar, cells, controls };
}
