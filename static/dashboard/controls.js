// What an operator can change, as dialogs. Each asks the API what it would do before it is done. `latest` gives the pool
// as it is known now, or null where nothing fresh is: what is sent is checked against that, not against when the dialog
// was opened.

import { ask, query, segment } from "./api.js";
import { FOR, Wrong, change, lasts, whyField } from "./dialogs.js";
import { choice, field, h, say } from "./dom.js";
import { driftOf, overridden } from "./drift.js";
import { t } from "./tongue.js";
import { effect, rate as spelt } from "./words.js";

const ALL = "";
/** The service refuses more than so many times what the file says: a slip of the finger. */
const MOST_TIMES = 5;
const PER_S = { s: 1, min: 60, h: 3_600 };

const of = (pool) => `pools/${segment(pool)}`;
const ofBackend = (pool, backend) => `${of(pool)}/backends/${segment(backend)}`;
const where = (pool, backend) => (backend ? t("dialog.where", { backend, pool }) : pool);
const foresee = (pool, body) => async () => effect(await ask("POST", `${of(pool)}/preview`, body()));

function fresh(latest) {
  const p = latest();
  if (!p) throw new Error(t("dialog.old"));
  return p;
}

/** Most sessions, most admissions over time. */
export function limit(latest, done, backend) {
  const { pool, backends } = latest();
  const options = [[ALL, t("limit.each")], ...backends.map((b) => [b.backend, b.backend])];
  const which = choice("backend", options, backend ?? (backends.length === 1 ? backends[0].backend : ALL));
  const sessions = h("input", { id: "sessions", type: "number", min: "1", step: "1", inputmode: "numeric", placeholder: " " });
  const rate = h("input", { id: "rate", autocomplete: "off", placeholder: t("limit.rate.example") });
  const lasting = choice("for", FOR(), "0");
  const why = whyField();
  const chosen = (p) => p.backends.filter((b) => !which.value || b.backend === which.value);
  const body = () => {
    const said = {};
    if (sessions.value !== "") {
      said.max_sessions = Number(sessions.value);
      if (which.value) said.backend = which.value;
    }
    if (rate.value.trim()) said.rate = rate.value.trim();
    return said;
  };
  change({
    title: t("limit.title", { pool }),
    fields: [
      field(t("limit.sessions"), sessions, t("limit.sessions.hint")),
      field(t("limit.of"), which),
      field(t("limit.rate"), rate, t("limit.rate.hint")),
      field(t("dialog.for"), lasting),
      why.element,
    ],
    read: () => {
      const p = fresh(latest);
      const said = body();
      if (sessions.validity.badInput) throw new Wrong(t("limit.sessions.wrong"));
      if (!("max_sessions" in said) && !said.rate) throw new Error(t("limit.nothing"));
      const lines = "max_sessions" in said ? chosen(p).map((b) => sessionsLine(b, said.max_sessions)) : [];
      if (said.rate) lines.push(rateLine(p, said.rate));
      return { lines: [...lines, lasts(lasting.value)] };
    },
    preview: foresee(pool, body),
    act: () => ask("PATCH", of(pool), { ...body(), for_s: Number(lasting.value), why: why.input.value }),
    go: t("limit.go"),
    done,
  });
}

function sessionsLine({ backend, sessions: s }, n) {
  if (!Number.isInteger(n) || n < 1) throw new Wrong(t("limit.sessions.wrong"));
  if (s.file !== null && n > MOST_TIMES * s.file) throw new Wrong(t("limit.sessions.file", { n, backend, file: s.file }));
  return t("limit.line.sessions", { backend, n, now: s.max_sessions === null ? t("rate.unlimited") : s.max_sessions });
}

function rateLine({ pool, rate: r }, text) {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\/(s|min|h)$/.exec(text) ?? [];
  if (!number || !Number(number)) throw new Wrong(t("limit.rate.wrong"));
  if (r.file_per_s !== null && Number(number) / PER_S[unit] > MOST_TIMES * r.file_per_s) {
    throw new Wrong(t("limit.rate.file", { rate: text, file: spelt(r.file_per_s) }));
  }
  return t("limit.line.rate", { pool, rate: text, now: spelt(r.ceiling_per_s) });
}

/** Nobody enters, or a backend is taken out. */
export function hold(latest, done, backend) {
  const { pool } = latest();
  const kind = backend && choice("kind", ["draining", "held"].map((each) => [each, t(`hold.do.${each}`)]), "draining");
  const how = () => t(`hold.${kind.value}`);
  const lasting = choice("for", FOR(), "0");
  const why = whyField();
  change({
    title: t("hold.title", { where: where(pool, backend) }),
    fields: [!backend && h("p", {}, t("hold.lead")), kind && field(t("hold.how"), kind, how()), field(t("dialog.for"), lasting), why.element].filter(Boolean),
    read: () => {
      fresh(latest);
      if (kind) say(document.getElementById("kind-hint"), how());
      const line = backend ? t("hold.line.backend", { where: where(pool, backend), how: how() }) : t("hold.line", { where: pool });
      return { lines: [line, lasts(lasting.value)] };
    },
    preview: foresee(pool, () => ({ hold: true, ...(backend && { backend }) })),
    act: () =>
      ask("PUT", backend ? `${ofBackend(pool, backend)}/hold` : `${of(pool)}/hold`, {
        why: why.input.value, for_s: Number(lasting.value), ...(backend && { drain: kind.value === "draining" }),
      }),
    go: t("hold.go"),
    done,
  });
}

/** The end of a hold. */
export function open(latest, done, backend) {
  const { pool } = latest();
  const why = whyField();
  const path = backend ? `${ofBackend(pool, backend)}/hold` : `${of(pool)}/hold`;
  const isHeld = (p) => (backend ? p.backends.some((b) => b.backend === backend && b.hold) || driftOf(p, `backends.${backend}.hold`) : p.state === "held");
  change({
    title: t("open.title", { where: where(pool, backend) }),
    fields: [h("p", {}, t("open.lead")), why.element],
    read: () => {
      if (!isHeld(fresh(latest))) throw new Wrong(t("undo.over"));
      return { lines: [t("open.line", { where: where(pool, backend) })] };
    },
    preview: foresee(pool, () => ({ hold: false, ...(backend && { backend }) })),
    act: () => ask("DELETE", path + query({ why: why.input.value })),
    go: t("open.go"),
    done,
  });
}

/** As the file says again. `key`: of the drift. */
export function undo(latest, key, done) {
  const { backend, about } = overridden(key);
  if (about === "hold") {
    open(latest, done, backend);
    return;
  }
  const p = latest();
  const { pool } = p;
  const why = whyField();
  const isKnown = p.backends.some((b) => b.backend === backend);
  const what = backend ? t("undo.sessions", { backend }) : t("undo.rate", { pool });
  const now = h("p");
  change({
    title: t("undo.title"),
    fields: [now, why.element],
    read: () => {
      const drift = driftOf(fresh(latest), key);
      if (!drift) throw new Wrong(t("undo.over"));
      say(now, t("undo.lead", { what: overridden(key, drift.in_force).text }));
      if (drift.file === null) return { lines: [t("undo.line.none", { what })] };
      return { lines: [t("undo.line", { what: overridden(key, drift.file).text })] };
    },
    preview: backend && !isKnown ? null : foresee(pool, () => (backend ? { max_sessions: null, backend } : { rate: null })),
    act: () =>
      backend
        ? ask("DELETE", `${of(pool)}/limits${query({ backend, why: why.input.value })}`)
        : ask("PATCH", of(pool), { rate: null, why: why.input.value }),
    go: t("undo.go"),
    done,
  });
}

/** Those that the students' page speaks. */
const TONGUES = ["fr", "en", "nl", "de", "es", "it", "pt", "ar"];

/** Something that everyone who waits reads. */
export function announce(latest, done) {
  const { pool, exams } = latest();
  const text = h("textarea", { id: "text", rows: "3", maxlength: "500", required: true, dir: "auto" });
  const exam = choice("exam", [["", t("announce.all")], ...exams.map((name) => [name, t("announce.exam", { exam: name })])], "");
  const others = TONGUES.map((lang) => [lang, h("textarea", { id: `text-${lang}`, rows: "2", maxlength: "500", lang, dir: "auto" })]);
  const lasting = choice("for", FOR(), "0");
  const why = whyField();
  const said = () => {
    const texts = { "": text.value.trim() };
    for (const [lang, area] of others) if (area.value.trim()) texts[lang] = area.value.trim();
    return texts;
  };
  change({
    title: t("announce.title", { pool }),
    fields: [
      field(t("announce.text"), text, t("announce.text.hint")),
      h("details", {}, h("summary", {}, t("announce.others")), ...others.map(([lang, area]) => field(t(`tongue.${lang}`), area))),
      field(t("announce.to"), exam),
      field(t("dialog.for"), lasting),
      why.element,
    ],
    read: () => {
      const texts = said();
      if (!texts[""]) throw new Error(t("announce.nothing"));
      const lines = Object.entries(texts).map(([lang, each]) => (lang ? t("said.in", { language: t(`tongue.${lang}`) }) + each : each));
      return { lines: [...lines, t("announce.line", { whom: exam.selectedOptions[0].textContent }), lasts(lasting.value)] };
    },
    act: () => ask("PUT", `${of(pool)}/announcement`, { text: said(), exam: exam.value, for_s: Number(lasting.value), why: why.input.value }),
    go: t("announce.go"),
    done,
  });
}

/** Take back what was said. */
export function silence({ pool }, exam, done) {
  const why = whyField();
  change({
    title: t("silence.title"),
    fields: [h("p", {}, t("silence.lead")), why.element],
    read: () => ({ lines: [exam ? t("silence.line.exam", { exam }) : t("silence.line.all", { pool })] }),
    act: () => ask("DELETE", `${of(pool)}/announcement${query({ exam, why: why.input.value })}`),
    go: t("silence.go"),
    done,
  });
}
