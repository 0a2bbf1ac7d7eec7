// What an operator can change, as dialogs. Each asks the API what it would do before it is done.

import { ask, query, segment } from "./api.js";
import { FOR, change, spanWord, whyField } from "./dialogs.js";
import { choice, field, h } from "./dom.js";
import { effect } from "./words.js";

const ALL = "";
const of = (pool) => `pools/${segment(pool)}`;
const ofBackend = (pool, backend) => `${of(pool)}/backends/${segment(backend)}`;
const where = (p, backend) => (backend ? `${backend} of ${p.pool}` : p.pool);
const lasts = (s) => (s === "0" ? "Until it is undone." : `For ${spanWord(s)}.`);
const foresee = (p, body) => async () => effect(await ask("POST", `${of(p.pool)}/preview`, body()));

function backendField(p, chosen, all) {
  const options = [[ALL, all], ...p.backends.map((b) => [b.backend, b.backend])];
  return choice("backend", options, chosen ?? (p.backends.length === 1 && all === "each backend" ? p.backends[0].backend : ALL));
}

/** Most sessions, most admissions over time. */
export function limit(p, done, backend) {
  const which = backendField(p, backend, "each backend");
  const sessions = h("input", { id: "sessions", type: "number", min: "0", step: "1", inputmode: "numeric" });
  const rate = h("input", { id: "rate", autocomplete: "off", placeholder: "10/s or 90/min" });
  const lasting = choice("for", FOR, "0");
  const why = whyField();
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
    title: `Limit ${p.pool}`,
    fields: [
      field("Most sessions", sessions, "Nobody is thrown out; 0 lets nobody new in."),
      field("of", which),
      field("Most admissions", rate, "Of the whole pool. Leave empty what is to stay."),
      field("For", lasting),
      why.element,
    ],
    read: () => {
      const said = body();
      if (!("max_sessions" in said) && !said.rate) throw new Error("Say most sessions, or most admissions, or both.");
      const lines = [];
      if ("max_sessions" in said) lines.push(`${which.value || `Each backend of ${p.pool}`}: at most ${said.max_sessions} sessions`);
      if (said.rate) lines.push(`${p.pool}: at most ${said.rate} admissions`);
      return { lines: [...lines, lasts(lasting.value)] };
    },
    preview: foresee(p, body),
    act: () => ask("PATCH", of(p.pool), { ...body(), for_s: Number(lasting.value), why: why.input.value }),
    go: "Set the limit",
    done,
  });
}

/** Nobody enters, or a backend is taken out. */
export function hold(p, done, backend) {
  const kind = backend && choice("kind", [["held", "nobody goes there; its students wait with their places kept"], ["draining", "nobody new goes there; who is inside goes on"]], "draining");
  const lasting = choice("for", FOR, "0");
  const why = whyField();
  const path = backend ? `${ofBackend(p.pool, backend)}/hold` : `${of(p.pool)}/hold`;
  change({
    title: `Hold ${where(p, backend)}`,
    fields: [
      !backend && h("p", {}, "Nobody new enters. The line stays, and every place in it; who is inside goes on."),
      kind && field("How", kind),
      field("For", lasting),
      why.element,
    ].filter(Boolean),
    read: () => ({ lines: [`${where(p, backend)}: ${backend ? kind.selectedOptions[0].textContent : "nobody new enters"}.`, lasts(lasting.value)] }),
    preview: foresee(p, () => ({ hold: true, ...(backend && { backend }) })),
    act: () => ask("PUT", path, { why: why.input.value, for_s: Number(lasting.value), ...(backend && { drain: kind.value === "draining" }) }),
    go: "Hold",
    done,
  });
}

/** The end of a hold. */
export function open(p, done, backend) {
  const why = whyField();
  const path = backend ? `${ofBackend(p.pool, backend)}/hold` : `${of(p.pool)}/hold`;
  change({
    title: `Open ${where(p, backend)}`,
    fields: [h("p", {}, "Who was inside before comes back first, at the recovery ramp; then the line goes on."), why.element],
    read: () => ({ lines: [`${where(p, backend)}: open.`] }),
    preview: foresee(p, () => ({ hold: false, ...(backend && { backend }) })),
    act: () => ask("DELETE", path + query({ why: why.input.value })),
    go: "Open",
    done,
  });
}

/** As the file says again. `key`: of the drift. */
export function undo(p, key, done) {
  const [, backend, what] = /^backends\.(.+)\.(max_sessions|hold)$/.exec(key) ?? [];
  if (key === "hold" || what === "hold") {
    open(p, done, backend);
    return;
  }
  const why = whyField();
  const drift = p.drift.find((each) => each.key === `${p.pool}.${key}`);
  const known = p.backends.some((b) => b.backend === backend);
  change({
    title: "As the file says again",
    fields: [h("p", {}, `${key} of ${p.pool} is ${drift?.in_force ?? "set"}.`), why.element],
    read: () => ({ lines: [`${key}: ${drift?.file ?? "no limit is stated"}.`] }),
    preview: backend && !known ? null : foresee(p, () => (backend ? { max_sessions: null, backend } : { rate: null })),
    act: () =>
      backend
        ? ask("DELETE", `${of(p.pool)}/limits${query({ backend, why: why.input.value })}`)
        : ask("PATCH", of(p.pool), { rate: null, why: why.input.value }),
    go: "Undo it",
    done,
  });
}

const TONGUES = [["fr", "French"], ["en", "English"], ["nl", "Dutch"], ["de", "German"], ["es", "Spanish"], ["it", "Italian"], ["pt", "Portuguese"], ["ar", "Arabic"]];

/** Something that everyone who waits reads. */
export function announce(p, done) {
  const text = h("textarea", { id: "text", rows: "3", maxlength: "500", required: true });
  const exam = choice("exam", [["", "everyone who waits"], ...p.exams.map((name) => [name, `those for ${name}`])], "");
  const others = TONGUES.map(([lang, name]) => [lang, name, h("textarea", { id: `text-${lang}`, rows: "2", maxlength: "500", lang, dir: "auto" })]);
  const lasting = choice("for", FOR, "0");
  const why = whyField();
  const said = () => {
    const texts = { "": text.value.trim() };
    for (const [lang, , area] of others) if (area.value.trim()) texts[lang] = area.value.trim();
    return texts;
  };
  change({
    title: `Announce to ${p.pool}`,
    fields: [
      field("Text", text, "On every open page within five seconds; for every language that has no text of its own."),
      h("details", {}, h("summary", {}, "In other languages"), ...others.map(([, name, area]) => field(name, area))),
      field("To", exam),
      field("For", lasting),
      why.element,
    ],
    read: () => {
      const texts = said();
      if (!texts[""]) throw new Error("Say something.");
      const lines = Object.entries(texts).map(([lang, each]) => (lang ? `${lang}: ${each}` : each));
      return { lines: [...lines, `To ${exam.selectedOptions[0].textContent}.`, lasts(lasting.value)] };
    },
    act: () => ask("PUT", `${of(p.pool)}/announcement`, { text: said(), exam: exam.value, for_s: Number(lasting.value), why: why.input.value }),
    go: "Say it",
    done,
  });
}

/** Take back what was said. */
export function silence(p, exam, done) {
  const why = whyField();
  change({
    title: "Take back what was said",
    fields: [h("p", {}, "It goes from every open page within five seconds."), why.element],
    read: () => ({ lines: [`Nothing is said to ${exam || `everyone who waits in ${p.pool}`} any more.`] }),
    act: () => ask("DELETE", `${of(p.pool)}/announcement${query({ exam, why: why.input.value })}`),
    go: "Take it back",
    done,
  });
}
