// What stands over the file, by the keys of the API, in words. Law: pure but for the language.

import { t } from "./tongue.js";

/** What a pool's drift says under a key, without the pool in front of it. */
export const driftOf = (p, key) => p.drift.find((each) => each.key === `${p.pool}.${key}`);

/** What a key of the drift is about, and how a value of it is said. */
export function overridden(key, value) {
  const [, backend, what] = /^backends\.(.+)\.(max_sessions|hold)$/.exec(key) ?? [];
  const about = what ?? (key === "hold" ? "hold" : "rate");
  return { backend, about, text: value === undefined ? "" : said(about, backend, value) };
}

function said(about, backend, value) {
  if (about === "max_sessions") return t("set.sessions", { backend, n: Number(value) });
  if (about === "rate") return value === "unlimited" ? t("set.rate.none") : t("set.rate", { rate: value });
  return backend ? t(`set.backend.${value}`, { backend }) : t("set.held");
}

/** A change of the audit: what it is about, from what to what. Keys of the file, which a reload tells, stay as they are. */
export function changed({ key, old, new: now }) {
  return t("audit.change.line", { key: named(key), old: valued(old), new: valued(now) });
}

function named(key) {
  const { backend, about } = overridden(key);
  if (key === "admission.rate") return t("key.rate");
  if (about === "max_sessions") return t("key.sessions", { backend });
  if (about === "hold") return backend ? t("key.hold.of", { backend }) : t("key.hold");
  if (key === "lane") return t("student.lane");
  const [, exam] = /^announcement(?: of (.+))?$/.exec(key) ?? [null, null];
  if (exam === null) return key;
  return exam ? t("key.said.of", { exam }) : t("key.said");
}

const WORDS = { held: "phase.held", draining: "phase.draining", unlimited: "rate.unlimited", priority: "lane.priority", standard: "lane.standard" };
const valued = (value) => (value === null ? t("none") : WORDS[value] ? t(WORDS[value]) : value);
