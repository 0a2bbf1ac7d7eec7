// What went otherwise than planned: holds and limits of the audit, outages that the store has kept. Law: pure but for the
// language; the oldest first, an end of null is one that is not over.

import { changed } from "./drift.js";

const STARTS = { hold: "hold", limit: "limit" };
const ENDS = { open: "hold", undo: "limit" };

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
      if (!STARTS[each.what] || (c.old === c.new && !before)) continue;
      const made = { kind, what: changed(c), from_ms: each.at_ms, to_ms: null, who: each.who, why: each.why };
      open.set(key, made);
      found.push(made);
    }
  }
  return found;
}

/** Outages as the API tells them, in the same shape. */
export const ofOutages = (outages) =>
  outages.map((each) => ({ kind: "outage", what: each.backend, from_ms: each.from_ms, to_ms: each.to_ms, who: "", why: "" }));
