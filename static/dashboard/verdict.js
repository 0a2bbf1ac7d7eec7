// "Are we all right?" Law: pure. Each rule names its pool, what is so and what it means; the worst gives the verdict.

import { t } from "./tongue.js";
import { because, fine, rate, span, time, took, until, wait } from "./words.js";

/** Answers slower than this at p95 are worth a look. */
export const SLOW_MS = 3_000;
/** Failed requests, as a share of all. */
export const FAILING = 0.01;
export const BROKEN = 0.05;
/** A wait that nobody expects of an exam. */
export const LONG_S = 3_600;

const act = (pool, code, text) => ({ level: "act", pool, code: `${pool}:${code}`, text });
const mind = (pool, code, text) => ({ level: "mind", pool, code: `${pool}:${code}`, text });
const holds = (set) => ({ until: until(set?.until_ms ?? 0), why: because(set) });

function* ofBackend(pool, b) {
  const { backend, load, sessions } = b;
  if (b.phase === "down" && !b.hold) {
    yield act(pool, `down ${backend}`, t("verdict.down", { backend, time: time(b.phase_since_ms) }));
    return; // that its requests fail follows from it
  }
  if (b.phase === "recovering") {
    const students = t("students", { n: b.returning });
    const at = b.return_rate_per_s;
    const key = b.returning ? (at ? "verdict.back.rate" : "verdict.back") : "verdict.back.none";
    yield mind(pool, `back ${backend}`, t(key, { backend, students, rate: rate(at) }));
  }
  if (b.hold) {
    yield mind(pool, `hold ${backend}`, t(b.hold === "draining" ? "verdict.drain" : "verdict.hold", { backend, ...holds(b.hold_set) }));
  }
  if (load && load.failed_per_s > 0 && load.failed_per_s >= FAILING * load.requests_per_s) {
    const share = load.requests_per_s ? load.failed_per_s / load.requests_per_s : 1;
    const rule = share >= BROKEN ? act : mind;
    yield rule(pool, `failing ${backend}`, t("verdict.failing", { backend, failed: fine(load.failed_per_s), requests: fine(load.requests_per_s) }));
  }
  if (load && load.p95_ms >= SLOW_MS) {
    yield mind(pool, `slow ${backend}`, t("verdict.slow", { backend, took: took(load.p95_ms) }));
  }
  if (load && load.inflight_limit && load.inflight_waiting > 0) {
    yield mind(pool, `busy ${backend}`, t("verdict.busy", { backend, limit: load.inflight_limit, waiting: load.inflight_waiting }));
  }
  if (sessions.limit && sessions.live > sessions.limit) {
    yield mind(pool, `over ${backend}`, t("verdict.over", { backend, live: sessions.live, limit: sessions.limit }));
  }
}

function* ofPool(p) {
  const { line, pool } = p;
  if (p.state === "held") yield mind(pool, "held", t("verdict.held", { pool, who: p.hold_set?.who || t("verdict.staff"), ...holds(p.hold_set) }));
  if (p.state === "down") yield act(pool, "down", t("verdict.pool.down", { pool }));
  if (p.state === "closed") yield mind(pool, "closed", t("verdict.closed", { pool }));
  for (const b of p.backends) yield* ofBackend(pool, b);
  if (p.state !== "open" || !line.waiting) return;
  if (line.last.unknown === "no_flow") {
    yield mind(pool, "stands", t("verdict.stands", { pool, n: line.waiting, limit: p.sessions_limit }));
  } else if ((line.last.high_s ?? 0) >= LONG_S) {
    yield mind(pool, "long", t("verdict.long", { pool, span: span(line.last.high_s) }));
  }
}

/** All that is worth a look, the worst first. `at` is when the numbers were last known. */
export function findings({ pools, missing, storeUp, trouble, at }) {
  const since = at ? t("verdict.since", { time: time(at) }) : "";
  if (trouble) return [act("", "listener", t("verdict.listener", { trouble, since }))];
  if (!storeUp) return [act("", "store", t("verdict.store", { since }))];
  const found = missing.map((pool) => act(pool, "missing", t("verdict.missing", { pool })));
  for (const p of pools) found.push(...ofPool(p));
  return found.sort((a, b) => (a.level === "act" ? 0 : 1) - (b.level === "act" ? 0 : 1));
}

/** The verdict: a level, one word for it, and one sentence. */
export function verdict(state) {
  const found = findings(state);
  const level = found[0]?.level ?? "ok";
  const text = found[0]?.text ?? calm(state.pools);
  const more = found.length - 1;
  return { level, word: t(`verdict.${level}`), text: more > 0 ? t("verdict.more", { text, n: more }) : text, found };
}

function calm(pools) {
  const waiting = pools.reduce((sum, p) => sum + p.line.waiting, 0);
  const lobby = pools.flatMap((p) => p.line.lobby);
  const inside = t("inside", { n: pools.reduce((sum, p) => sum + p.sessions, 0) });
  if (!waiting && lobby.length) {
    const n = lobby.reduce((sum, each) => sum + each.tickets, 0);
    const next = Math.min(...lobby.map((each) => each.opens_ms ?? Infinity));
    return Number.isFinite(next) ? t("verdict.lobby.next", { n, inside, time: time(next) }) : t("verdict.lobby", { n, inside });
  }
  if (!waiting) return t("verdict.calm", { inside });
  const lasts = pools.filter((p) => p.line.waiting && !p.line.last.unknown).map((p) => p.line.last);
  const latest = lasts.sort((a, b) => b.high_s - a.high_s)[0];
  if (!latest) return t("verdict.line", { n: waiting, inside });
  const key = latest.high_s > 0 ? "verdict.line.last" : "verdict.line.once";
  return t(key, { n: waiting, inside, time: wait(latest).large });
}
