// How numbers, spans and instants are said. Law: pure; one way for each.

const PLAIN = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });
const FINE = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 1 });
const MINUTE = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const SECOND = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const DAY_MS = 86_400_000;

export const count = (n) => (n === null || n === undefined ? "–" : PLAIN.format(n));
export const fine = (n) => (n === null || n === undefined ? "–" : FINE.format(n));

/** Time of day; with the day where it is not today's. */
export function time(ms, now = Date.now()) {
  return Math.abs(now - ms) > DAY_MS / 2 ? `${DAY.format(ms)} ${MINUTE.format(ms)}` : MINUTE.format(ms);
}
export const timeWithSeconds = (ms, now = Date.now()) =>
  Math.abs(now - ms) > DAY_MS / 2 ? `${DAY.format(ms)} ${SECOND.format(ms)}` : SECOND.format(ms);

/** A span of seconds. */
export function span(s) {
  if (s === null || s === undefined) return "–";
  if (s < 90) return `${Math.round(s)} s`;
  const minutes = Math.round(s / 60);
  if (minutes < 90) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/** A range of spans. */
export function spans(low, high) {
  if (high <= 0) return "no wait";
  const [a, b] = [span(low), span(high)];
  if (a === b) return `about ${b}`;
  const unit = (text) => text.split(" ").slice(1).join(" ");
  return unit(a) === unit(b) && !a.includes("h") ? `${a.split(" ")[0]} to ${b}` : `${a} to ${b}`;
}

/** A rate, as the settings spell it; null: unlimited. */
export function rate(perS) {
  if (perS === null || perS === undefined) return "unlimited";
  return perS >= 1 || perS === 0 ? `${FINE.format(perS)}/s` : `${FINE.format(perS * 60)}/min`;
}

/** An answer time. */
export const took = (ms) => (ms === null || ms === undefined ? "–" : ms < 1000 ? `${PLAIN.format(ms)} ms` : `${FINE.format(ms / 1000)} s`);

/** When somebody enters: what to say large, and what to say small. */
export function wait(w, now) {
  if (w.unknown) return { large: "not known", small: UNKNOWN[w.unknown] };
  if (w.high_s <= 0) return { large: "at once", small: "nobody need wait" };
  return { large: time((w.low_at_ms + w.high_at_ms) / 2, now), small: `in ${spans(w.low_s, w.high_s)}` };
}
const UNKNOWN = {
  held: "not before the hold ends",
  no_flow: "all places are taken, and nobody has left lately",
  no_data: "nobody has entered yet",
};

export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** Until when something that staff set holds. */
export const until = (ms, now) => (ms ? `until ${time(ms, now)}` : "until it is undone");

export const PHASES = { up: "up", down: "down", recovering: "coming back", easing: "up, returns eased" };
export const STATES = { open: "open", held: "held", down: "no backend answers", closed: "all backends held" };

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

const enters = (w) => {
  if (w.unknown) return w.unknown === "held" ? "not before the hold ends" : "at a time that nobody can tell";
  const [low, middle, high] = [w.low_at_ms, (w.low_at_ms + w.high_at_ms) / 2, w.high_at_ms].map((ms) => time(ms, ms));
  return low === high ? `at ${middle}` : `at about ${middle} (${low} to ${high})`;
};

/** What a preview of the API says, with times of day of this browser's zone in place of the server's. */
export function effect({ waiting, now, then, text }) {
  const rest = text.split(". ").slice(1).join(". ");
  if (!waiting) return text;
  const who = waiting > 1 ? `The last of ${waiting}` : "Who waits";
  const [before, after] = [enters(now.last), enters(then.last)];
  return `${who} would enter ${after}${before === after ? ", as without it" : ` instead of ${before}`}. ${rest}`.trim();
}
