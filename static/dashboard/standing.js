// What staff have set and said, with how each is undone. Law: nothing stands over the file unseen.

import { silence, undo } from "./controls.js";
import { h } from "./dom.js";
import { time, until } from "./words.js";

const LANGUAGES = { "": "", en: "English", fr: "French", nl: "Dutch", de: "German", es: "Spanish", it: "Italian", pt: "Portuguese", ar: "Arabic" };

/** What is not as the file says. */
export function overrides(p, operates, look) {
  return p.drift.map((each) => {
    const key = each.key.slice(p.pool.length + 1);
    const what = key === "hold" ? "Held" : key.endsWith(".hold") ? `${key.split(".")[1]}: ${each.in_force}` : `${key}: ${each.in_force}`;
    const file = each.file === null ? (key.endsWith("hold") ? "" : "; the file states none") : `; the file says ${each.file}`;
    return h(
      "p",
      { class: "set" },
      h("span", {}, h("b", {}, what), `${file}. By ${each.set.who || "nobody"} at ${time(each.set.at_ms)}, ${until(each.set.until_ms)}${each.set.why ? `: ${each.set.why}` : ""}`),
      operates && h("button", { class: "quiet", "aria-label": `Undo ${key}`, onclick: () => undo(p, key, look) }, "Undo…"),
    );
  });
}

/** What everyone who waits reads. */
export function announced(p, operates, look) {
  return p.announcements.map((each) =>
    h(
      "div",
      { class: "set say" },
      h("b", {}, each.exam ? `Said to ${each.exam} at ${time(each.at_ms)}` : `Said to all at ${time(each.at_ms)}`),
      h("div", { class: "texts" }, ...Object.entries(each.text).map(([lang, text]) => h("p", { lang: lang || null, dir: "auto" }, LANGUAGES[lang] ? `${LANGUAGES[lang]}: ` : "", text))),
      operates && h("button", { class: "quiet", "aria-label": `Take back what was said${each.exam ? ` to ${each.exam}` : ""}`, onclick: () => silence(p, each.exam, look) }, "Take back…"),
    ),
  );
}
