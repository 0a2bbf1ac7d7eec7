// What staff have set and said, with how each is undone. Law: nothing stands over the file unseen.

import { silence, undo } from "./controls.js";
import { h } from "./dom.js";
import { overridden } from "./drift.js";
import { t } from "./tongue.js";
import { time, until } from "./words.js";

/** What is not as the file says. */
export function overrides(p, operates, latest, look) {
  return p.drift.map((each) => {
    const key = each.key.slice(p.pool.length + 1);
    const { about, text } = overridden(key, each.in_force);
    const by = t("set.by", { who: each.set.who || t("nobody"), time: time(each.set.at_ms), until: until(each.set.until_ms) });
    return h(
      "p",
      { class: "set" },
      h("span", {}, h("b", {}, text), about === "hold" ? "" : filed(each.file), by, each.set.why ? t("set.why", { why: each.set.why }) : ""),
      operates && h("button", { class: "quiet", "aria-label": `${t("set.undo")} ${text}`, onclick: () => undo(latest, key, look) }, t("set.undo")),
    );
  });
}

function filed(file) {
  if (file === null) return t("set.file.none");
  return t("set.file", { file: file === "unlimited" ? t("rate.unlimited") : file });
}

/** What everyone who waits reads. */
export function announced(p, operates, look) {
  return p.announcements.map((each) => {
    const texts = Object.entries(each.text).map(([lang, text]) => h("p", { lang: lang || null, dir: "auto" }, lang ? t("said.in", { language: t(`tongue.${lang}`) }) : "", text));
    const at = { exam: each.exam, time: time(each.at_ms) };
    return h(
      "div",
      { class: "set say" },
      h("b", {}, t(each.exam ? "said.exam" : "said.all", at)),
      h("div", { class: "texts" }, ...texts),
      operates && h("button", { class: "quiet", "aria-label": `${t("said.back")} ${each.exam || p.pool}`, onclick: () => silence(p, each.exam, look) }, t("said.back")),
    );
  });
}
