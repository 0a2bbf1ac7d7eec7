// What went otherwise than planned: holds and limits of the audit, outages of the last hour. Law: pure; the oldest first,
// an end of null is one that is not over.

const STARTS = { hold: "hold", limit: "limit" };
const ENDS = { open: "hold", undo: "limit" };
const OUTAGE_GAP_MS = 15_000;

/** Pairs of a beginning and its end in the audit (which has the latest first). */
export function ofAudit(entries) {
  const open = new Map();
  const found = [];
  for (const each of [...entries].reverse()) {
    for (const c of each.changes.length ? each.changes : [{ key: each.target, old: null, new: null }]) {
      const kind = STARTS[each.what] ?? ENDS[each.what] ?? (each.what === "expired" ? (c.key.endsWith("hold") ? "hold" : "limit") : null);
      if (!kind) continue;
      const key = `${each.pool}:${kind}:${c.key}`;
      const before = open.get(key);
      if (before) {
        before.to_ms = each.at_ms;
        open.delete(key);
      }
      if (!STARTS[each.what]) continue;
      const made = { kind, what: `${c.key}: ${c.old ?? "none"} → ${c.new ?? "none"}`, from_ms: each.at_ms, to_ms: null, who: each.who, why: each.why };
      open.set(key, made);
      found.push(made);
    }
  }
  return found;
}

/** Stretches of the history in which backends were down. */
export function outages(history) {
  const found = [];
  history.at_ms.forEach((at, n) => {
    const down = history.columns.down?.[n];
    if (!down) return;
    const last = found.at(-1);
    if (last && at - last.to_ms <= OUTAGE_GAP_MS) {
      last.to_ms = at;
      last.most = Math.max(last.most, down);
    } else found.push({ kind: "outage", from_ms: at, to_ms: at, most: down, who: "", why: "" });
  });
  for (const each of found) each.what = `${each.most} ${each.most === 1 ? "backend" : "backends"} down`;
  return found;
}
