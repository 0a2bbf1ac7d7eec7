// One pool: its numbers, its charts, its backends, what staff have set.

import { Backends } from "./backends.js";
import { Charts } from "./charts.js";
import { announce, hold, limit, open } from "./controls.js";
import { h, mark, refill, say } from "./dom.js";
import { announced, overrides } from "./standing.js";
import { STATES, count, fine, plural, rate, time, timeWithSeconds, took, wait } from "./words.js";

/** One number with its name and a line that says more; a meter where it has a limit. */
function tile(name) {
  const large = h("b");
  const small = h("small");
  const bar = h("span", { class: "bar", hidden: true, "aria-hidden": "true" }, h("i"));
  const element = h("div", { class: "tile" }, h("dt", {}, name), h("dd", {}, large, bar, small));
  return {
    element,
    show(value, more, share, level) {
      say(large, value);
      say(small, more);
      mark(element, "data-level", level);
      mark(bar, "hidden", share === undefined);
      if (share !== undefined) bar.style.setProperty("--share", String(Math.min(1, share)));
    },
  };
}

export class PoolCard {
  constructor(name, look) {
    this.name = name;
    this.look = look;
    this.badge = h("span", { class: "badge" });
    this.old = h("span", { class: "badge", "data-old": true, hidden: true });
    this.controls = h("div", { class: "controls" });
    this.tiles = {
      waiting: tile("Waiting"), lobby: tile("Lobby"), inside: tile("Inside"), entering: tile("Entering"),
      last: tile("Last in line enters"), answers: tile("Answers"),
    };
    this.staff = h("div", { class: "staff" });
    this.charts = new Charts(name);
    this.backends = new Backends(name, look);
    this.element = h(
      "section",
      { class: "pool", id: `pool-${name}`, "aria-labelledby": `h-${name}` },
      h("div", { class: "head" }, h("h2", { id: `h-${name}` }, name), this.badge, this.old, this.controls),
      this.staff,
      h("dl", { class: "tiles" }, ...Object.values(this.tiles).map((each) => each.element)),
      this.charts.element,
      this.backends.element,
    );
  }

  show(p, { operates, old, at }) {
    this.pool = p;
    mark(this.element, "data-old", old);
    mark(this.old, "hidden", !old);
    say(this.old, `old: as of ${at ? timeWithSeconds(at) : "?"}`);
    say(this.badge, STATES[p.state]);
    mark(this.badge, "data-state", p.state);
    refill(this.controls, [operates, p.state === "held"], () => (operates ? this.buttons(p) : []));
    this.showTiles(p);
    refill(this.staff, [p.drift, p.announcements, operates], () => [...overrides(p, operates, this.look), ...announced(p, operates, this.look)]);
    this.charts.show(p, old);
    this.backends.show(p, operates);
  }

  buttons(p) {
    const button = (text, act) => h("button", { class: "second", onclick: () => act(this.pool, this.look) }, text);
    return [button("Limit…", limit), p.state === "held" ? button("Open…", open) : button("Hold…", hold), button("Announce…", announce)];
  }

  showTiles(p) {
    const { line, rate: r } = p;
    const t = this.tiles;
    t.waiting.show(count(line.waiting), lanes(line));
    const lobby = line.lobby.reduce((sum, each) => sum + each.tickets, 0);
    t.lobby.show(count(lobby), opens(line.lobby, p.now_ms));
    const full = p.sessions_limit ? p.sessions / p.sessions_limit : undefined;
    t.inside.show(count(p.sessions), p.sessions_limit === null ? "no limit is stated" : `of ${count(p.sessions_limit)}`, full);
    t.entering.show(
      `${fine(r.admitted_per_s)}/s`,
      may(r),
      r.allowed_per_s ? r.admitted_per_s / r.allowed_per_s : undefined,
    );
    const last = line.waiting ? line.last : line.newcomer;
    const { large, small } = wait(last, p.now_ms);
    t.last.show(large, line.waiting || last.unknown ? small : "who comes now goes straight in", undefined, last.unknown && line.waiting ? "mind" : null);
    this.answers(p);
  }

  answers(p) {
    const seen = p.backends.map((b) => b.load).filter(Boolean);
    const p95 = seen.map((load) => load.p95_ms).filter((ms) => ms !== null);
    const sum = (key) => seen.reduce((all, load) => all + load[key], 0);
    const failed = sum("failed_per_s");
    this.tiles.answers.show(
      p95.length ? took(Math.max(...p95)) : "–",
      `${failed ? `${fine(failed)}/s fail` : "none fails"}; ${count(sum("inflight"))} in flight, ${fine(sum("requests_per_s"))}/s`,
      undefined,
      failed > 0 ? "mind" : null,
    );
  }

  close() {
    this.charts.close();
  }
}

function lanes(line) {
  const parts = [];
  if (line.lanes.return) parts.push(`${count(line.lanes.return)} return`);
  if (line.lanes.priority) parts.push(`${count(line.lanes.priority)} priority`);
  if (parts.length) parts.push(`${count(line.lanes.standard)} standard`);
  if (line.absent) parts.push(`${count(line.absent)} absent`);
  return parts.join(", ") || (line.waiting ? "all standard" : "nobody");
}

function may(r) {
  if (r.allowed_per_s === null) return "no ceiling";
  if (r.allowed_per_s === r.ceiling_per_s) return `ceiling ${rate(r.ceiling_per_s)}`;
  return `${rate(r.allowed_per_s)} allowed now, ceiling ${r.ceiling_per_s === null ? "none" : rate(r.ceiling_per_s)}`;
}

function opens(lobby, now) {
  if (!lobby.length) return "no exam about to open";
  const next = [...lobby].sort((a, b) => (a.opens_ms ?? Infinity) - (b.opens_ms ?? Infinity))[0];
  const others = lobby.length > 1 ? `, and ${plural(lobby.length - 1, "exam")} more` : "";
  return next.opens_ms ? `${next.exam} opens ${time(next.opens_ms, now)}${others}` : `for ${next.exam}${others}`;
}
