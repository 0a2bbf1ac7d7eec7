// A change in two steps: say what you want, see what it would do, then do it. Law: nothing is sent by the first step, the
// second says exactly what will be, and what was refused stays on the screen to be put right.

import { field, h, mark, refill, say } from "./dom.js";
import { t } from "./tongue.js";

const SETTLE_MS = 250;
const SPANS = ["0", "300", "600", "1200", "3600", "7200"];
let number = 0;

/** What was filled in cannot be: said as soon as a field is left. What is only missing is said at the next step. */
export class Wrong extends Error {}

/** How long something holds, as options. */
export const FOR = () => SPANS.map((s) => [s, t(`dialog.for.${s}`)]);
export const lasts = (s) => (s === "0" ? t("dialog.lasts.undone") : t("dialog.lasts", { span: t(`dialog.for.${s}`) }));

/** The field that stands in the audit. */
export const whyField = () => {
  const input = h("input", { id: "why", maxlength: "200", autocomplete: "off" });
  return { input, element: field(t("dialog.why"), input, t("dialog.why.hint")) };
};

/**
 * A dialog. `fields`: elements of the first step; `read()`: what was filled in, as `{lines}` that say what will be, or
 * throws an Error with what is missing; `preview()`: a promise of the effect in words, or null; `act()`: does it; `go`: the
 * word on the last button; `done` is called when it was done.
 */
export function change({ title, fields, read, preview, act, go, done }) {
  const id = `d${++number}`;
  const effect = h("output", { class: "effect", hidden: true });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const summary = h("ul", { class: "summary" });
  const asking = h("div", {}, ...fields);
  const confirming = h("div", { hidden: true, tabindex: "-1" }, h("p", { class: "sure" }, t("dialog.sure")), summary);
  const cancel = h("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, t("dialog.cancel"));
  const back = h("button", { type: "button", class: "quiet", hidden: true, onclick: () => step(false) }, t("dialog.back"));
  const next = h("button", {}, t("dialog.next"));
  const form = h(
    "form",
    { onsubmit: submit, oninput: later, onchange: () => foresee(true), novalidate: true },
    h("h2", { id }, title), asking, confirming, effect, problem, h("p", { class: "buttons" }, next, back, cancel),
  );
  const dialog = h("dialog", { "aria-labelledby": id, onclose: leave }, form);
  let sure = false;
  let timer = 0;
  let asked = 0;

  const complain = (text) => {
    say(problem, text);
    mark(problem, "hidden", !text);
  };

  /** The browser gives the focus back to where it was; if that is gone, the page has it. */
  function leave() {
    dialog.remove();
    clearTimeout(timer);
    if (document.activeElement === document.body) document.getElementById("main").focus();
  }

  async function foresee(tells) {
    const mine = ++asked;
    let text = "";
    try {
      read();
      text = (await preview?.()) ?? "";
    } catch (failure) {
      if (tells && (failure.status || failure instanceof Wrong) && mine === asked) complain(failure.message);
    }
    if (mine !== asked) return;
    say(effect, text);
    mark(effect, "hidden", !text);
  }

  function later() {
    complain("");
    clearTimeout(timer);
    timer = setTimeout(foresee, SETTLE_MS);
  }

  function step(to) {
    sure = to;
    mark(asking, "hidden", sure);
    mark(confirming, "hidden", !sure);
    mark(back, "hidden", !sure);
    say(next, sure ? go : t("dialog.next"));
    if (sure) confirming.focus();
    else asking.querySelector("input, select, textarea")?.focus();
  }

  async function submit(event) {
    event.preventDefault();
    clearTimeout(timer);
    complain("");
    next.disabled = true;
    try {
      const { lines } = read();
      const isNew = JSON.stringify(lines) !== summary.shownKey;
      refill(summary, lines, () => lines.map((line) => h("li", {}, line)));
      if (!sure || isNew) { // what it is about has changed meanwhile: it is shown before it is done
        await foresee(true);
        step(problem.hidden);
        return;
      }
      await act();
      dialog.close();
      done();
    } catch (failure) {
      complain(failure.message);
    } finally {
      next.disabled = false;
    }
  }

  document.body.append(dialog);
  dialog.showModal();
  foresee();
}
