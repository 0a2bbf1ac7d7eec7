// Whether the record of a wait that somebody shows is genuine. Law: what is pasted goes to the API and nowhere else; what
// a doubtful one claims is not repeated.

import { ask } from "./api.js";
import { field, h, mark, say } from "./dom.js";
import { t } from "./tongue.js";
import { count, span, timeWithSeconds } from "./words.js";

const DOUBTS = { "none-there": "record.none", "unknown-key": "record.key", false: "record.false" };

export function recordForm() {
  const text = h("textarea", { id: "record", rows: "4", required: true, spellcheck: "false", autocomplete: "off" });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const genuine = h("p", { class: "genuine" });
  const facts = h("dl", { class: "facts" });
  const result = h("div", { role: "status" });

  async function check(event) {
    event.preventDefault();
    result.replaceChildren();
    mark(problem, "hidden", true);
    try {
      const found = await ask("POST", "receipts/verify", { receipt: text.value });
      if (!found.genuine) throw new Error(t(DOUBTS[found.why] ?? "record.false"));
      say(genuine, t("record.genuine"));
      facts.replaceChildren(...said(found).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
      result.replaceChildren(genuine, facts);
    } catch (failure) {
      say(problem, failure.message);
      mark(problem, "hidden", false);
    }
  }

  return h(
    "section",
    { class: "record" },
    h("h2", {}, t("record.title")),
    h("form", { onsubmit: check }, h("p", {}, t("record.lead")), field(t("record.text"), text), h("p", { class: "buttons" }, h("button", { class: "second" }, t("record.go")))),
    problem,
    result,
  );
}

function said(found) {
  const at = (text) => (text ? timeWithSeconds(Date.parse(text)) : "–");
  return [
    [t("student.pool"), found.pool],
    [t("student.exam"), found.exam ?? t("none")],
    [t("student.code"), found.code],
    [t("record.state"), t(`record.${found.state}`)],
    [t("record.arrived"), at(found.arrived_at)],
    [t("student.entered"), at(found.admitted_at)],
    [t("student.waited"), span(found.wait_s)],
    [t("record.first"), count(found.position_on_arrival)],
    [t("record.last"), count(found.position)],
    ...(found.drawn ? [[t("record.drawn"), count(found.drawn)]] : []),
    [t("record.made"), at(found.issued_at)],
  ];
}
