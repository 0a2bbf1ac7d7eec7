// The admin API, asked with the token of this tab. Law: the token is in sessionStorage and in one header, nowhere else.

import { t } from "./tongue.js";

const KEY = "waitroom.token";
const PATIENCE_MS = 6_000;

export const token = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (text) => sessionStorage.setItem(KEY, text),
  forget: () => sessionStorage.removeItem(KEY),
};

/** What was not done, and why, in the page's language where it is known to it: `status` 0 where nothing answered. */
export class Refused extends Error {
  constructor(status, text, retryS = 0) {
    super(text);
    this.status = status;
    this.retryS = retryS;
  }
}

const WHY = { 403: "refused.scope", 429: "refused.often", 500: "refused.defect", 503: "refused.store" };

async function send(method, path, body) {
  const headers = {};
  if (token.get()) headers.Authorization = `Bearer ${token.get()}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    return await fetch(`/api/v1/${path}`, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
  } catch {
    throw new Refused(0, t("refused.silent"));
  }
}

async function refused(answer) {
  let said = {};
  try {
    said = await answer.json();
  } catch {
    // Not ours: a proxy between; its status is all that is known.
  }
  const retryS = Number(answer.headers.get("Retry-After"));
  const known = answer.status === 401 ? (token.get() ? "refused.token" : "refused.none") : WHY[answer.status];
  const text = known ? t(known, { s: retryS }) : (said.detail ?? t("refused.status", { status: answer.status }));
  return new Refused(answer.status, text, retryS);
}

/** JSON of an answer; null where there is none. Throws Refused. */
export async function ask(method, path, body) {
  const answer = await send(method, path, body);
  if (!answer.ok) throw await refused(answer);
  if (answer.status === 204) return null;
  try {
    return await answer.json();
  } catch {
    throw new Refused(0, t("refused.cut"));
  }
}

/** Text of an answer. Throws Refused. */
export async function askText(path) {
  const answer = await send("GET", path);
  if (!answer.ok) throw await refused(answer);
  try {
    return await answer.text();
  } catch {
    throw new Refused(0, t("refused.cut"));
  }
}

export const segment = encodeURIComponent;

/** A query string of what is not empty. */
export function query(values) {
  const said = Object.entries(values).filter(([, value]) => value !== "" && value !== undefined && value !== null);
  return said.length ? `?${new URLSearchParams(said)}` : "";
}
