// For the help line: a student reads out the code on their page, and this says where they stand. Law: the code is sent
// and shown, never kept in the address.

import { ask, segment } from "./api.js";
import { change, whyField } from "./dialogs.js";
import { field, h, mark, refill, say } from "./dom.js";
import { capital, count, plural, span, time, timeWithSeconds, wait } from "./words.js";

const AGAIN_MS = 2_000;

export function studentView(state) {
  const input = h("input", { id: "code", required: true, maxlength: "20", autocomplete: "off", autocapitalize: "characters", spellcheck: "false", placeholder: "K7QF-2M9D" });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const found = h("section", { class: "student", hidden: true, "aria-label": "The student" });
  let code = "";
  let timer = 0;

  async function look() {
    clearTimeout(timer);
    const mine = code;
    if (!mine) return;
    let said = "";
    try {
      const t = await ask("GET", `tickets/${segment(mine)}`);
      if (mine !== code) return;
      mark(found, "hidden", false);
      refill(found, [t, state.operates], () => person(t, state.operates, look));
    } catch (failure) {
      if (mine !== code) return;
      said = failure.message;
      mark(found, "hidden", true);
    }
    say(problem, said);
    mark(problem, "hidden", !said);
    timer = setTimeout(look, AGAIN_MS);
  }

  const form = h(
    "form",
    {
      class: "look-up",
      onsubmit: (event) => {
        event.preventDefault();
        code = input.value.trim().toUpperCase();
        look();
      },
    },
    field("Code", input, "The student finds it at the foot of the waiting page."),
    h("button", {}, "Find"),
  );
  const element = h("div", { class: "wide view" }, h("h1", {}, "Find a student"), form, problem, found);
  return { element, close: () => { code = ""; clearTimeout(timer); } };
}

function person(t, operates, look) {
  const { title, text } = told(t);
  const facts = [
    ["Pool", t.pool],
    ["Exam", t.exam || "none"],
    ["Lane", t.lane],
    ["In line since", timeWithSeconds(t.arrived_at_ms)],
    t.waited_s !== null && ["Waited", span(t.waited_s)],
    t.backend && ["Backend", t.backend],
    t.admitted_at_ms && ["Entered", timeWithSeconds(t.admitted_at_ms)],
    t.ended_at_ms && ["Ended", timeWithSeconds(t.ended_at_ms)],
  ].filter(Boolean);
  return [
    h("h2", {}, h("code", {}, t.code), ` ${title}`),
    h("p", { class: "lead" }, text),
    h("dl", { class: "facts" }, ...facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    operates && h("p", { class: "buttons" }, ...buttons(t, look)),
  ];
}

function told(t) {
  switch (t.state) {
    case "waiting": {
      const { large, small } = t.wait ? wait(t.wait) : { large: "not known", small: "" };
      const when = t.wait && !t.wait.unknown ? `Enters at about ${large}, ${small}.` : `When is not known: ${small}.`;
      const here = t.present ? "The page is open." : `The page has not been heard since ${time(t.absent_since_ms ?? t.arrived_at_ms)}: the place is kept; the student should open the page again.`;
      return { title: t.position ? `waits, ${count(t.position)} of ${count(t.among)}` : "waits", text: `${when} ${capital(plural(t.ahead ?? 0, "student"))} ahead. ${here}` };
    }
    case "lobby":
      return { title: "is in the lobby", text: `${t.exam} has not opened yet. The place in it is safe; reloading changes nothing.` };
    case "admitted":
      return { title: "is inside", text: `Entered at ${time(t.admitted_at_ms)}, on ${t.backend}. If the exam does not show, the student should load the page again.` };
    case "returning":
      return { title: "comes back", text: `Was inside, and comes back ahead of newcomers as soon as ${t.backend || "the backend"} can take them.` };
    default:
      return { title: "has ended", text: t.ended === "released" ? "The session was ended: logged out, finished, or released by staff." : "The session lapsed. The student should open the page again." };
  }
}

function buttons(t, look) {
  const path = `tickets/${segment(t.code)}`;
  const other = t.lane === "priority" ? "standard" : "priority";
  const made = [];
  if (["waiting", "lobby"].includes(t.state) && t.lane !== "return") {
    made.push(h("button", { onclick: () => sure(`Move ${t.code} to the ${other} lane`, `${t.code} stands in the ${other} lane.`, "Move", (why) => ask("POST", `${path}/lane`, { lane: other, why }), look) }, `Move to ${other}…`));
  }
  if (t.state !== "ended") {
    const what = ["waiting", "lobby"].includes(t.state) ? "loses the place in line" : "loses the session, and the place it held is free";
    made.push(h("button", { class: "quiet", onclick: () => sure(`Release ${t.code}`, `${t.code} ${what}. This cannot be undone.`, "Release", (why) => ask("POST", `${path}/release`, { why }), look) }, "Release…"));
  }
  return made;
}

function sure(title, line, go, act, done) {
  const why = whyField();
  change({ title, fields: [why.element], read: () => ({ lines: [line] }), act: () => act(why.input.value), go, done });
}
