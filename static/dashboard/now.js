// The first view: the verdict, what it rests on, all pools in a table where there are several, and each pool.

import { h, mark, refill, say } from "./dom.js";
import { PoolCard } from "./pool.js";
import { Pools } from "./pools.js";
import { t } from "./tongue.js";
import { timeWithSeconds } from "./words.js";

export function nowView(_state, look) {
  const word = h("span", { class: "word" });
  const text = h("span", { class: "sentence" });
  const fresh = h("p", { class: "fresh" });
  const list = h("ul", { class: "found" });
  const banner = h("div", { class: "verdict" }, h("div", { class: "wide" }, h("h1", {}, word, text), list, fresh));
  const overview = new Pools((name) => cards.get(name).lead());
  const pools = h("div", { class: "pools" });
  const cards = new Map();

  function show(state, found) {
    banner.dataset.level = found.level;
    say(word, t("verdict.says", { word: found.word }));
    say(text, found.text);
    refill(list, found.found.map((each) => [each.level, each.pool, each.text]), () => found.found.slice(1).map(line));
    mark(list, "hidden", found.found.length < 2);
    const old = Boolean(state.trouble) || !state.storeUp;
    say(fresh, old ? lastHeard(state.at) : t("now.live", { time: timeWithSeconds(state.at) }));
    mark(fresh, "data-old", old);
    overview.show(state.pools, found.found, old);
    place(state, old);
  }

  function place(state, old) {
    const names = state.pools.map((p) => p.pool);
    for (const [name, card] of cards) {
      if (names.includes(name)) continue;
      card.close();
      cards.delete(name);
    }
    for (const p of state.pools) {
      if (!cards.has(p.pool)) cards.set(p.pool, new PoolCard(p.pool, look));
      const isOld = old || state.missing.includes(p.pool);
      cards.get(p.pool).show(p, { operates: state.operates && !isOld, old: isOld, at: state.ages.get(p.pool) });
    }
    const wanted = names.map((name) => cards.get(name).element);
    if (wanted.some((each, n) => pools.children[n] !== each) || pools.children.length !== wanted.length) pools.replaceChildren(...wanted);
  }

  const close = () => cards.forEach((card) => card.close());
  return { element: h("div", {}, banner, h("div", { class: "wide" }, overview.element, pools)), show, close };
}

const lastHeard = (at) => (at ? t("now.old", { time: timeWithSeconds(at) }) : t("now.never"));
const line = (each) => h("li", { "data-level": each.level }, h("b", {}, t(each.level === "act" ? "now.act" : "now.look")), each.text);
