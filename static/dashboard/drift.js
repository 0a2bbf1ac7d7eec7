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
