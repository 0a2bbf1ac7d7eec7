// The first view: the verdict, what it rests on, and each pool.

import { h, mark, refill, say } from "./dom.js";
import { PoolCard } from "./pool.js";
import { timeWithSeconds } from "./words.js";

export function nowView(_state, look) {
  const word = h("span", { class: "word" });
  const text = h("span", { class: "sentence" });
  const fresh = h("p", { class: "fresh" });
  const list = h("ul", { class: "found" });
  const banner = h("div", { class: "verdict" }, h("div", { class: "wide" }, h("h1", {}, word, " ", text), list, fresh));
  const pools = h("div", { class: "pools" });
  const cards = new Map();

  function show(state, found) {
    banner.dataset.level = found.level;
    say(word, `${found.word}:`);
    say(text, found.text);
    refill(list, found.found.map((each) => [each.level, each.pool, each.text]), () => found.found.slice(1).map(line));
    mark(list, "hidden", found.found.length < 2);
    const old = Boolean(state.trouble) || !state.storeUp;
    say(fresh, old ? `Last heard ${state.at ? timeWithSeconds(state.at) : "never"}. Asking again each second.` : `Live, ${timeWithSeconds(state.at)}`);
    mark(fresh, "data-old", old);
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
  return { element: h("div", {}, banner, h("div", { class: "wide" }, pools)), show, close };
}

const line = (each) => h("li", { "data-level": each.level }, h("b", {}, each.level === "act" ? "Act: " : "Look: "), each.text);
