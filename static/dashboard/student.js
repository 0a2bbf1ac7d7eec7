// For the help line: a student reads out the code on their page, and this says where they stand; and whoever shows the
// record of a wait has it checked. Law: what is typed is sent and shown, never kept in the address.

import { ask, segment } from "./api.js";
import { change, whyField } from "./dialogs.js";
import { field, h, mark, refill, say } from "./dom.js";
import { recordForm } from "./record.js";
import { t } from "./tongue.js";
import { span, time, timeWithSeconds, wait } from "./words.js";

const AGAIN_MS = 2_000;
/** As it may be heard on the telephone: in any case, with or without the stroke. */
const CODE = /^[0-9A-Z]{4}[- ]?[0-9A-Z]{4}$/;

export function studentView(state) {
  const input = h("input", { id: "code", required: true, maxlength: "20", autocomplete: "off", autocapitalize: "characters", spellcheck: "false", placeholder: "K7QF-2M9D" });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const found = h("section", { class: "student", hidden: true, "aria-label": t("student.label") });
  let code = "";
  let timer = 0;

  const complain = (text) => {
    say(problem, text);
    mark(problem, "hidden", !text);
  };

  async function look() {
    clearTimeout(timer);
    const mine = code;
    if (!mine) return;
    let said = "";
    try {
      const told = await ask("GET", `tickets/${segment(mine)}`);
      if (mine !== code) return;
      mark(found, "hidden", false);
      refill(found, [told, state.operates], () => person(told, state.operates, look));
    } catch (failure) {
      if (mine !== code) return;
      said = { 404: t("student.none", { code: mine }), 409: t("student.twice", { code: mine }) }[failure.status] ?? failure.message;
      mark(found, "hidden", true);
    }
    complain(said);
    timer = setTimeout(look, AGAIN_MS);
  }

  function find(event) {
    event.preventDefault();
    code = input.value.trim().toUpperCase();
    if (CODE.test(code)) {
      look();
      return;
    }
    code = "";
    mark(found, "hidden", true);
    complain(t("student.code.wrong"));
  }

  const form = h("form", { class: "look-up", onsubmit: find, novalidate: true }, field(t("student.code"), input, t("student.code.hint")), h("button", {}, t("student.find")));
  const element = h("div", { class: "wide view" }, h("h1", {}, t("student.title")), form, problem, found, recordForm());
  return { element, close: () => { code = ""; clearTimeout(timer); } };
}

function person(p, operates, look) {
  const { title, text } = told(p);
  const facts = [
    ["pool", p.pool],
    ["exam", p.exam || t("none")],
    p.lane && ["lane", t(`lane.${p.lane}`)],
    p.arrived_at_ms && ["since", timeWithSeconds(p.arrived_at_ms)],
    p.waited_s !== null && ["waited", span(p.waited_s)],
    p.backend && ["backend", p.backend],
    p.admitted_at_ms && ["entered", timeWithSeconds(p.admitted_at_ms)],
    p.ended_at_ms && ["ended", timeWithSeconds(p.ended_at_ms)],
  ].filter(Boolean);
  return [
    h("h2", {}, h("code", {}, p.code), ` ${title}`),
    h("p", { class: "lead" }, text),
    h("dl", { class: "facts" }, ...facts.map(([name, value]) => h("div", {}, h("dt", {}, t(`student.${name}`)), h("dd", {}, value)))),
    operates && h("p", { class: "buttons" }, ...buttons(p, look)),
  ];
}

function told(p) {
  switch (p.state) {
    case "waiting":
      return { title: p.position ? t("student.waits.at", { position: p.position, among: p.among }) : t("student.waits"), text: waits(p) };
    case "lobby":
      return { title: t("student.lobby"), text: t("student.lobby.lead", { exam: p.exam }) };
    case "admitted":
      return { title: t("student.inside"), text: t("student.inside.lead", { time: time(p.admitted_at_ms), backend: p.backend }) };
    case "returning":
      return { title: t("student.returning"), text: t("student.returning.lead", { backend: p.backend || t("student.returning.any") }) };
    default:
      return { title: t("student.over"), text: t(p.ended === "released" ? "student.released" : "student.lapsed") };
  }
}

function waits(p) {
  const ahead = t("student.ahead", { n: p.ahead ?? 0 });
  const here = p.present ? t("student.open") : t("student.absent", { time: time(p.absent_since_ms ?? p.arrived_at_ms) });
  return `${enters(p)} ${ahead} ${here}`;
}

function enters(p) {
  const { large, small } = p.wait ? wait(p.wait) : { large: "", small: t("wait.no_data") };
  if (!p.wait || p.wait.unknown) return t("student.unknown", { small });
  return p.wait.high_s <= 0 ? t("student.enters.now") : t("student.enters", { time: large, small });
}

function buttons(p, look) {
  const path = `tickets/${segment(p.code)}`;
  const { code } = p;
  const lane = t(`lane.${p.lane === "priority" ? "standard" : "priority"}`);
  const isWaiting = ["waiting", "lobby"].includes(p.state);
  const made = [];
  if (isWaiting && p.lane !== "return") {
    const move = (why) => ask("POST", `${path}/lane`, { lane: p.lane === "priority" ? "standard" : "priority", why });
    const sure = () => confirm(t("student.move.title", { code, lane }), t("student.move.line", { code, lane }), t("student.move.go"), move, look);
    made.push(h("button", { onclick: sure }, t("student.move", { lane })));
  }
  if (p.state !== "ended") {
    const line = t(isWaiting ? "student.release.place" : "student.release.session", { code });
    const release = (why) => ask("POST", `${path}/release`, { why });
    const sure = () => confirm(t("student.release.title", { code }), line, t("student.release.go"), release, look);
    made.push(h("button", { class: "quiet", onclick: sure }, t("student.release")));
  }
  return made;
}

function confirm(title, line, go, act, done) {
  const why = whyField();
  change({ title, fields: [why.element], read: () => ({ lines: [line] }), act: () => act(why.input.value), go, done });
}
