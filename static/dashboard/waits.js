// What the waits of a pool or an exam come to. Law: pure; every number is made of the waits themselves, of which the
// store tells each once.

/** Rows of a CSV (RFC 4180) as objects by the names in its first line. */
export function parse(text) {
  const rows = [];
  let row = [];
  let cell = "";
  let quoted = false;
  for (let n = 0; n < text.length; n++) {
    const c = text[n];
    if (quoted) {
      if (c !== '"') cell += c;
      else if (text[n + 1] === '"') cell += text[++n];
      else quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === ",") { row.push(cell); cell = ""; }
    else if (c === "\n") { row.push(cell.replace(/\r$/, "")); rows.push(row); row = []; cell = ""; }
    else cell += c;
  }
  const [names = [], ...lines] = rows;
  return lines.map((line) => Object.fromEntries(names.map((name, at) => [name, line[at]])));
}

/** The value that a share of all is not above (nearest rank); null of none. */
export function quantile(sorted, share) {
  return sorted.length ? sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] : null;
}

/** The longest line there was, and when: each wait is in it from its arrival to its end. */
export function peak(waits) {
  const steps = [];
  for (const each of waits) {
    if (each.end > each.start) steps.push([each.start, 1], [each.end, -1]);
  }
  steps.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  let now = 0;
  let most = { waiting: 0, at: null };
  for (const [at, step] of steps) {
    now += step;
    if (now > most.waiting) most = { waiting: now, at };
  }
  return most;
}

/** Everything that the report says of waits. Straight in: no wait of a second. */
export function summary(rows) {
  const waits = rows.map((row) => ({
    start: Date.parse(row.arrived_at), end: Date.parse(row.outcome_at), s: Number(row.wait_s), outcome: row.outcome, lane: row.lane,
  }));
  const admitted = waits.filter((each) => each.outcome === "admitted");
  const sorted = admitted.map((each) => each.s).sort((a, b) => a - b);
  const waited = sorted.filter((s) => s >= 1);
  const lanes = {};
  for (const each of admitted) lanes[each.lane] = (lanes[each.lane] ?? 0) + 1;
  return {
    came: waits.length,
    admitted: admitted.length,
    straight_in: admitted.length - waited.length,
    waited: waited.length,
    left: waits.filter((each) => each.outcome === "left").length,
    still_waiting: waits.filter((each) => each.outcome === "waiting").length,
    first_at: waits.length ? waits.reduce((low, each) => Math.min(low, each.start), Infinity) : null,
    last_at: waits.length ? waits.reduce((high, each) => Math.max(high, each.end), 0) : null,
    peak: peak(waits.map((each) => ({ ...each, end: each.s >= 1 ? each.end : each.start }))),
    median_s: quantile(sorted, 0.5),
    p95_s: quantile(sorted, 0.95),
    longest_s: sorted.at(-1) ?? null,
    by_lane: lanes,
  };
}
