// "Are we all right?" Law: pure. Each rule names its pool, what is so and what it means; the worst gives the verdict.

import { capital, count, fine, plural, rate, span, time, took, until, wait } from "./words.js";

/** Answers slower than this at p95 are worth a look. */
export const SLOW_MS = 3_000;
/** Failed requests, as a share of all. */
export const FAILING = 0.01;
export const BROKEN = 0.05;
/** A wait that nobody expects of an exam. */
export const LONG_S = 3_600;

const act = (pool, code, text) => ({ level: "act", pool, code: `${pool}:${code}`, text });
const mind = (pool, code, text) => ({ level: "mind", pool, code: `${pool}:${code}`, text });
const because = (set) => (set?.why ? ` (${set.why})` : "");

function* ofBackend(pool, b) {
  const { load, sessions } = b;
  if (b.phase === "down" && !b.hold) {
    yield act(pool, `down ${b.backend}`, `${b.backend} has not answered since ${time(b.phase_since_ms)}; places of its students are kept.`);
  }
  if (b.phase === "recovering") {
    yield mind(pool, `back ${b.backend}`, `${b.backend} is back; ${plural(b.returning, "student")} of before return first${b.return_rate_per_s ? ` at ${rate(b.return_rate_per_s)}` : ""}.`);
  }
  if (b.hold) {
    yield mind(pool, `hold ${b.backend}`, `${b.backend} is ${b.hold === "draining" ? "draining: nobody new goes there" : "held: nobody goes there"}, ${until(b.hold_set?.until_ms ?? 0)}${because(b.hold_set)}.`);
  }
  if (load && load.failed_per_s > 0 && load.failed_per_s >= FAILING * load.requests_per_s) {
    const share = load.requests_per_s ? load.failed_per_s / load.requests_per_s : 1;
    const rule = share >= BROKEN ? act : mind;
    yield rule(pool, `failing ${b.backend}`, `${b.backend} fails ${fine(load.failed_per_s)} of ${fine(load.requests_per_s)} requests a second.`);
  }
  if (load && load.p95_ms >= SLOW_MS) {
    yield mind(pool, `slow ${b.backend}`, `${b.backend} is slow: one answer in twenty takes over ${took(load.p95_ms)}.`);
  }
  if (load && load.inflight_limit && load.inflight_waiting > 0) {
    yield mind(pool, `busy ${b.backend}`, `${b.backend} has all it takes at a time (${count(load.inflight_limit)} requests), and ${count(load.inflight_waiting)} wait for their turn.`);
  }
  if (sessions.limit && sessions.live > sessions.limit) {
    yield mind(pool, `over ${b.backend}`, `${b.backend} has ${count(sessions.live)} sessions where ${count(sessions.limit)} are allowed; nobody new goes there.`);
  }
}

function* ofPool(p) {
  const { line } = p;
  if (p.state === "held") {
    yield mind(p.pool, "held", `Nobody enters ${p.pool}: held by ${p.hold_set?.who || "staff"}, ${until(p.hold_set?.until_ms ?? 0)}${because(p.hold_set)}.`);
  }
  if (p.state === "down") yield act(p.pool, "down", `Nobody enters ${p.pool}: no backend answers.`);
  if (p.state === "closed") yield mind(p.pool, "closed", `Nobody enters ${p.pool}: staff hold all its backends.`);
  for (const b of p.backends) yield* ofBackend(p.pool, b);
  if (p.state !== "open" || !line.waiting) return;
  if (line.last.unknown === "no_flow") {
    yield mind(p.pool, "stands", `The line of ${p.pool} stands still: ${plural(line.waiting, "student")} wait, all ${count(p.sessions_limit)} places are taken, and nobody has left lately.`);
  } else if ((line.last.high_s ?? 0) >= LONG_S) {
    yield mind(p.pool, "long", `The last in the line of ${p.pool} may wait ${span(line.last.high_s)}.`);
  }
}

/** All that is worth a look, the worst first. `at` is when the numbers were last known. */
export function findings({ pools, missing, storeUp, trouble, at }) {
  const since = at ? ` The numbers below are of ${time(at)}.` : "";
  if (trouble) return [act("", "listener", `This page has lost the admin listener: ${trouble}${since}`)];
  if (!storeUp) {
    return [act("", "store", `The store does not answer. Students inside go on, places are kept, nobody new enters.${since}`)];
  }
  const found = missing.map((name) => act(name, "missing", `The store says nothing of ${name}; its numbers are old.`));
  for (const p of pools) found.push(...ofPool(p));
  return found.sort((a, b) => (a.level === "act" ? 0 : 1) - (b.level === "act" ? 0 : 1));
}

/** The verdict: a level, one word for it, and one sentence. */
export function verdict(state) {
  const found = findings(state);
  const level = found[0]?.level ?? "ok";
  const more = found.length - 1;
  return {
    level,
    word: { ok: "All right", mind: "Look at this", act: "Act now" }[level],
    text: found.length ? capital(found[0].text) + (more > 0 ? ` And ${more} more.` : "") : calm(state.pools),
    found,
  };
}

function calm(pools) {
  const inside = pools.reduce((sum, p) => sum + p.sessions, 0);
  const waiting = pools.reduce((sum, p) => sum + p.line.waiting, 0);
  const lobby = pools.flatMap((p) => p.line.lobby);
  const students = plural(inside, "student is", "students are");
  if (!waiting && lobby.length) {
    const there = lobby.reduce((sum, each) => sum + each.tickets, 0);
    const next = Math.min(...lobby.map((each) => each.opens_ms ?? Infinity));
    return `${count(there)} in the lobby${Number.isFinite(next) ? `; the next exam opens at ${time(next)}` : ""}. ${students} inside.`;
  }
  if (!waiting) return `Nobody waits, and ${students} inside.`;
  const last = pools.map((p) => p.line.waiting && p.line.last).filter((w) => w && !w.unknown);
  const latest = last.sort((a, b) => b.high_s - a.high_s)[0];
  const when = latest ? `; the last enters at about ${wait(latest).large}` : "";
  return `${plural(waiting, "student")} wait${waiting === 1 ? "s" : ""} and ${students} inside${when}.`;
}
