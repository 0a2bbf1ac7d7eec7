// How numbers, spans and instants are said. Law: pure but for the language; one way for each.

import { instant, number, t } from "./tongue.js";

const DAY_MS = 86_400_000;
const MINUTE = { hour: "2-digit", minute: "2-digit" };
const SECOND = { ...MINUTE, second: "2-digit" };
const DAY = { day: "numeric", month: "short" };

const known = (n) => n !== null && n !== undefined;
export const count = (n) => (known(n) ? number(n) : "–");
export const fine = (n) => (known(n) ? number(n, 1) : "–");

/** Time of day; with the day where it is not today's. */
export const time = (ms, now = Date.now()) => clock(ms, now, MINUTE);
export const timeWithSeconds = (ms, now = Date.now()) => clock(ms, now, SECOND);

function clock(ms, now, parts) {
  return isSameDay(ms, now) || Math.abs(now - ms) < DAY_MS / 4 ? instant(ms, parts) : `${instant(ms, DAY)} ${instant(ms, parts)}`;
}
const isSameDay = (ms, now) => new Date(ms).toDateString() === new Date(now).toDateString();

/** A span of seconds. */
export function span(s) {
  if (!known(s)) return "–";
  if (s < 90) return `${number(s)} s`;
  const minutes = Math.round(s / 60);
  if (minutes < 90) return `${number(minutes)} min`;
  return `${number(Math.floor(minutes / 60))} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/** A range of spans. */
export function spans(low, high) {
  if (high <= 0) return t("span.none");
  const [a, b] = [span(low), span(high)];
  if (a === b) return t("span.about", { span: b });
  const unit = (text) => text.split(" ").slice(1).join(" ");
  return t("span.range", { low: unit(a) === unit(b) && !a.includes("h") ? a.split(" ")[0] : a, high: b });
}

/** A rate, as the settings spell it; null: unlimited. */
export function rate(perS) {
  if (!known(perS)) return t("rate.unlimited");
  return perS >= 1 || perS === 0 ? `${number(perS, 1)}/s` : `${number(perS * 60, 1)}/min`;
}

/** An answer time. */
export const took = (ms) => (!known(ms) ? "–" : ms < 1000 ? `${number(ms)} ms` : `${number(ms / 1000, 1)} s`);

/** When somebody enters: what to say large, and what to say small. */
export function wait(w, now) {
  if (w.unknown) return { large: t("wait.unknown"), small: t(`wait.${w.unknown}`) };
  if (w.high_s <= 0) return { large: t("wait.now"), small: t("wait.nobody") };
  return { large: time((w.low_at_ms + w.high_at_ms) / 2, now), small: t("wait.in", { spans: spans(w.low_s, w.high_s) }) };
}

/** Until when something that staff set holds. */
export const until = (ms, now) => (ms ? t("until.time", { time: time(ms, now) }) : t("until.undone"));

/** Why something was set, behind what is said of it. */
export const because = (set) => (set?.why ? ` (${set.why})` : "");

/** In times of day; null where nobody knows. */
function enters(w) {
  if (w.unknown) return w.unknown === "held" ? t("preview.held") : null;
  const [low, middle, high] = [w.low_at_ms, (w.low_at_ms + w.high_at_ms) / 2, w.high_at_ms].map((ms) => time(ms, ms));
  return low === high ? t("preview.at", { time: middle }) : t("preview.about", { low, middle, high });
}

const lasts = (w) => (w.unknown ? t("preview.held") : w.high_s <= 0 ? t("wait.now") : t("wait.in", { spans: spans(w.low_s, w.high_s) }));

/** Where times of day are the same and the waits are not, in spans. */
function compared(n, now, then) {
  let [before, when] = [enters(now), enters(then)];
  if (before === null && when === null) return t("preview.neither", { n });
  if (when === null) return t("preview.lost", { n, before });
  if (before === null) return t("preview.found", { n, when });
  const same = t("preview.same", { n, when });
  if (before === when) [before, when] = [lasts(now), lasts(then)];
  return before === when ? same : t("preview.last", { n, when, before });
}

/** What a preview of the API comes to, in words. */
export function effect({ waiting, now, then, crowded }) {
  const said = [];
  if (waiting) said.push(compared(waiting, now.last, then.last));
  else if (then.free > 0) said.push(t("preview.nobody"));
  else said.push(enters(then.last) === null ? t("preview.next.unknown") : t("preview.next", { when: enters(then.last) }));
  const found = Math.min(waiting, then.free);
  if (found > Math.max(0, now.free) && then.last.unknown !== "held") said.push(t("preview.room", { n: found }));
  for (const each of crowded) said.push(t("preview.crowded", { backend: each.backend, live: each.live, n: each.to_end }));
  return said.join(" ");
}
