// A change in two steps: say what you want, see what it would do, then do it. Law: nothing is sent by the first step, the
// second says exactly what will be, and what was refused stays on the screen to be put right.

import { field, h, mark, refill, say } from "./dom.js";

const SETTLE_MS = 250;
let number = 0;

export const FOR = [["0", "until it is undone"], ["300", "5 minutes"], ["600", "10 minutes"], ["1200", "20 minutes"], ["3600", "1 hour"], ["7200", "2 hours"]];
export const spanWord = (s) => FOR.find(([value]) => value === String(s))?.[1] ?? `${s} s`;

/** The field that stands in the audit. */
export const whyField = () => {
  const input = h("input", { id: "why", maxlength: "200", autocomplete: "off" });
  return { input, element: field("Why", input, "Stands in the audit; colleagues see it.") };
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
  const confirming = h("div", { hidden: true, tabindex: "-1" }, h("p", { class: "sure" }, "This will be so within two seconds, for all students:"), summary);
  const cancel = h("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Cancel");
  const back = h("button", { type: "button", class: "quiet", hidden: true, onclick: () => step(false) }, "Back");
  const next = h("button", {}, "Next");
  const form = h(
    "form",
    { onsubmit: submit, oninput: later },
    h("h2", { id }, title), asking, confirming, effect, problem, h("p", { class: "buttons" }, next, back, cancel),
  );
  const dialog = h("dialog", { "aria-labelledby": id, onclose: () => dialog.remove() }, form);
  let sure = false;
  let timer = 0;
  let asked = 0;

  const complain = (text) => {
    say(problem, text);
    mark(problem, "hidden", !text);
  };

  async function foresee() {
    const mine = ++asked;
    let text = "";
    try {
      read();
      text = (await preview?.()) ?? "";
    } catch (failure) {
      if (failure.status && mine === asked) complain(failure.message);
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
    say(next, sure ? go : "Next");
    if (sure) confirming.focus();
    else asking.querySelector("input, select, textarea")?.focus();
  }

  async function submit(event) {
    event.preventDefault();
    complain("");
    try {
      const { lines } = read();
      if (!sure) {
        refill(summary, lines, () => lines.map((line) => h("li", {}, line)));
        await foresee();
        step(problem.hidden);
        return;
      }
      next.disabled = true;
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
