// What the numbers of a pool say, large and small. Law: pure; one number is said in one way wherever it stands.

import { t } from "./tongue.js";
import { count, fine, rate, time, took, wait } from "./words.js";

export const state = (p) => t(`state.${p.state}`);

export const waiting = (p) => ({ large: count(p.line.waiting), small: lanes(p.line) });

export function lobby(p) {
  const { line, now_ms: now } = p;
  const large = count(line.lobby.reduce((sum, each) => sum + each.tickets, 0));
  if (!line.lobby.length) return { large, small: t("tile.no_lobby") };
  const [next] = [...line.lobby].sort((a, b) => (a.opens_ms ?? Infinity) - (b.opens_ms ?? Infinity));
  const text = next.opens_ms ? t("tile.opens", { exam: next.exam, time: time(next.opens_ms, now) }) : t("tile.for", { exam: next.exam });
  const others = line.lobby.length - 1;
  return { large, small: others ? t("tile.and", { text, more: t("exams.more", { n: others }) }) : text };
}

export function inside(p) {
  const limit = p.sessions_limit;
  const small = limit === null ? t("tile.unlimited") : t("tile.of", { limit });
  const all = limit === null ? count(p.sessions) : t("backends.of", { n: p.sessions, limit });
  return { large: count(p.sessions), small, all, share: limit ? p.sessions / limit : undefined };
}

export function enters({ rate: r }) {
  return { large: `${fine(r.admitted_per_s)}/s`, small: may(r), share: r.allowed_per_s ? r.admitted_per_s / r.allowed_per_s : undefined };
}

export function last({ line, now_ms: now }) {
  const { large, small } = wait(line.waiting ? line.last : line.newcomer, now);
  const stands = line.waiting && line.last.unknown;
  const free = !line.waiting && !line.newcomer.unknown;
  return { large, small: free ? t("tile.straight") : small, level: stands ? "mind" : null };
}

export function answers(p) {
  const seen = p.backends.map((b) => b.load).filter(Boolean);
  const p95 = seen.map((load) => load.p95_ms).filter((ms) => ms !== null);
  const sum = (key) => seen.reduce((all, load) => all + load[key], 0);
  const failing = sum("failed_per_s");
  const failed = failing ? t("tile.fail", { rate: `${fine(failing)}/s` }) : t("tile.none_fails");
  return {
    large: p95.length ? took(Math.max(...p95)) : "–",
    small: t("tile.load", { failed, inflight: sum("inflight"), requests: fine(sum("requests_per_s")) }),
    level: failing > 0 ? "mind" : null,
  };
}

function lanes(line) {
  const { lanes: by } = line;
  const parts = ["return", "priority"].filter((lane) => by[lane]).map((lane) => laned(by, lane));
  if (parts.length) parts.push(laned(by, "standard"));
  if (line.absent) parts.push(t("tile.absent", { n: line.absent }));
  return parts.join(", ") || t(line.waiting ? "tile.standard" : "nobody");
}
const laned = (by, lane) => t("tile.lane", { n: by[lane], lane: t(`lane.${lane}`) });

function may(r) {
  if (r.allowed_per_s === null) return t("tile.no_ceiling");
  if (r.allowed_per_s === r.ceiling_per_s) return t("tile.ceiling", { rate: rate(r.ceiling_per_s) });
  return t("tile.allowed", { rate: rate(r.allowed_per_s), ceiling: rate(r.ceiling_per_s) });
}
