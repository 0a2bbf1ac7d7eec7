// The last hour of a pool as columns. Law: pure. What the listener remembers (a point each five seconds) is followed by
// what was seen live since, each second; a gap is a gap.

export const HOUR_S = 3_600;
const WINDOW_S = 5;
const GAP_S = 12;

const sum = (seen, key) => seen.reduce((all, load) => all + load[key], 0);

/** One live point of a pool, in the words of the history. */
export function point(p) {
  const seen = p.backends.map((b) => b.load).filter(Boolean);
  const p95 = seen.map((load) => load.p95_ms).filter((ms) => ms !== null);
  const last = p.line.waiting ? p.line.last : { low_s: 0, high_s: 0 };
  return {
    at: p.now_ms / 1000,
    waiting: p.line.waiting,
    lobby: p.line.lobby.reduce((all, each) => all + each.tickets, 0),
    sessions: p.sessions,
    sessions_limit: p.sessions_limit,
    allowed_per_s: p.rate.allowed_per_s,
    failed_per_s: seen.length ? sum(seen, "failed_per_s") : null,
    p95_ms: p95.length ? Math.max(...p95) : null,
    last_low_s: last.low_s,
    last_high_s: last.high_s,
    held: Number(p.state === "held"),
    total: Object.values(p.totals.admissions).reduce((all, n) => all + n, 0),
  };
}

export class Series {
  constructor() {
    this.points = [];
    this.live = [];
  }

  /** What the listener remembers; live points before its last one are in it already. */
  remember(history) {
    const step = history.step_ms / 1000;
    this.points = history.at_ms.map((ms, n) => {
      const made = { at: ms / 1000 };
      for (const [name, values] of Object.entries(history.columns)) made[name] = values[n];
      made.entering = made.admitted === null ? null : made.admitted / step;
      return made;
    });
    const last = this.points.at(-1)?.at ?? 0;
    this.live = this.live.filter((each) => each.at > last);
  }

  /** One look. */
  add(p) {
    const now = point(p);
    if (this.live.length && now.at <= this.live.at(-1).at) return;
    const before = this.live.findLast((each) => each.at <= now.at - WINDOW_S);
    const came = before ? now.total - before.total : -1;
    now.entering = came >= 0 ? came / (now.at - before.at) : p.rate.admitted_per_s;
    this.live.push(now);
    const from = now.at - HOUR_S;
    while (this.live[0].at < from) this.live.shift();
  }

  latest() {
    return this.live.at(-1) ?? this.points.at(-1);
  }

  /** All of the last hour, a null between points that are far apart. */
  columns(names) {
    const from = (this.latest()?.at ?? 0) - HOUR_S;
    const all = [...this.points, ...this.live].filter((each) => each.at >= from);
    const at = [];
    const columns = names.map(() => []);
    for (const each of all) {
      if (at.length && each.at - at.at(-1) > GAP_S) {
        at.push(at.at(-1) + 1);
        for (const column of columns) column.push(null);
      }
      at.push(each.at);
      names.forEach((name, n) => columns[n].push(each[name] ?? null));
    }
    return [at, ...columns];
  }
}
