// One pool: its numbers, its charts, its backends, what staff have set.

import { Backends } from "./backends.js";
import { Charts } from "./charts.js";
import { announce, hold, limit, open } from "./controls.js";
import { h, mark, refill, say } from "./dom.js";
import { announced, overrides } from "./standing.js";
import { answers, enters, inside, last, lobby, state, waiting } from "./tiles.js";
import { t } from "./tongue.js";
import { timeWithSeconds } from "./words.js";

const TILES = { waiting, lobby, inside, entering: enters, last, answers };

/** One number with its name and a line that says more; a meter where it has a limit. */
function tile(name) {
  const large = h("b");
  const small = h("small");
  const bar = h("span", { class: "bar", hidden: true, "aria-hidden": "true" }, h("i"));
  const element = h("div", { class: "tile" }, h("dt", {}, t(`tile.${name}`)), h("dd", {}, large, bar, small));
  return {
    element,
    show(said) {
      say(large, said.large);
      say(small, said.small);
      mark(element, "data-level", said.level);
      mark(bar, "hidden", said.share === undefined);
      if (said.share !== undefined) bar.style.setProperty("--share", String(Math.min(1, said.share)));
      mark(bar, "data-full", said.share >= 1);
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
    this.tiles = Object.fromEntries(Object.keys(TILES).map((each) => [each, tile(each)]));
    this.staff = h("div", { class: "staff" });
    this.charts = new Charts(name);
    const isNarrow = matchMedia("(max-width: 40rem)").matches;
    this.past = h("details", { class: "past", open: !isNarrow, ontoggle: () => this.pool && this.charts.show(this.pool, this.isOld) }, h("summary", {}, t("chart.hour")), this.charts.element);
    this.backends = new Backends(name, look);
    this.title = h("h2", { id: `h-${name}`, tabindex: "-1" }, name);
    this.element = h(
      "section",
      { class: "pool", id: `pool-${name}`, "aria-labelledby": `h-${name}` },
      h("div", { class: "head" }, this.title, this.badge, this.old, this.controls),
      this.staff,
      h("dl", { class: "tiles" }, ...Object.values(this.tiles).map((each) => each.element)),
      this.past,
      this.backends.element,
    );
  }

  /** Brings it before the reader. */
  lead() {
    this.element.scrollIntoView({ block: "start" });
    this.title.focus({ preventScroll: true });
  }

  show(p, { operates, old, at }) {
    this.pool = p;
    this.isOld = old;
    mark(this.element, "data-old", old);
    mark(this.old, "hidden", !old);
    say(this.old, t("card.old", { time: at ? timeWithSeconds(at) : "?" }));
    say(this.badge, state(p));
    mark(this.badge, "data-state", p.state);
    refill(this.controls, [operates, p.state === "held"], () => (operates ? this.buttons(p) : []));
    for (const [name, of] of Object.entries(TILES)) this.tiles[name].show(of(p));
    refill(this.staff, [p.drift, p.announcements, operates], () => [...overrides(p, operates, () => this.latest(), this.look), ...announced(p, operates, this.look)]);
    this.charts.show(p, old);
    this.backends.show(p, operates, () => this.latest());
  }

  /** What is known now of the pool, for a dialog that stays open meanwhile; null: nothing fresh. */
  latest() {
    return this.isOld ? null : this.pool;
  }

  buttons(p) {
    const button = (what, act) =>
      h("button", { class: "second", "aria-label": `${t(`do.${what}`)} ${p.pool}`, onclick: () => act(() => this.latest(), this.look) }, t(`do.${what}`));
    return [button("limit", limit), p.state === "held" ? button("open", open) : button("hold", hold), button("announce", announce)];
  }

  close() {
    this.charts.close();
  }
}
