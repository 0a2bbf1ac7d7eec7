// The page: asks once a second how the pools are, keeps what it was told last, and shows the view that the address names.
// Law: numbers that are not fresh are never shown as if they were.

import { ask, token } from "./api.js";
import { auditView } from "./audit.js";
import { h, mark, say } from "./dom.js";
import { loginView } from "./login.js";
import { nowView } from "./now.js";
import { reportView } from "./report.js";
import { studentView } from "./student.js";
import { verdict } from "./verdict.js";
import { timeWithSeconds } from "./words.js";

const LOOK_MS = 1_000;
/** Nobody looks at a tab in the background, but its title tells. */
const HIDDEN_MS = 5_000;

const VIEWS = { now: nowView, student: studentView, audit: auditView, report: reportView };

const state = {
  pools: [], // as told last, in the order of the settings
  ages: new Map(), // pool: when, by our clock
  missing: [],
  storeUp: true,
  trouble: "",
  at: 0,
  who: "",
  operates: false,
};

let view = null;
let viewName = "";
let timer = 0;
const main = document.getElementById("main");

function take(said) {
  const kept = new Map(state.pools.map((p) => [p.pool, p]));
  const told = new Map(said.pools.map((p) => [p.pool, p]));
  const names = [...told.keys(), ...said.missing];
  const order = [...kept.keys()].filter((name) => names.includes(name));
  if (!said.missing.length || !order.length) order.splice(0, order.length, ...names);
  else order.push(...names.filter((name) => !order.includes(name)));
  for (const name of told.keys()) state.ages.set(name, Date.now());
  if (told.size) state.at = Date.now();
  state.pools = order.map((name) => told.get(name) ?? kept.get(name)).filter(Boolean);
  state.missing = said.missing;
  state.storeUp = said.store_up;
  state.trouble = "";
  state.who = said.who;
  state.operates = said.scopes.includes("operate");
  say(document.getElementById("version"), `waitroom ${said.version}`);
}

async function look() {
  clearTimeout(timer);
  try {
    take(await ask("GET", "pools"));
  } catch (problem) {
    if ([401, 403, 429].includes(problem.status)) {
      leave(problem);
      return;
    }
    state.trouble = problem.message;
  }
  show();
  timer = setTimeout(look, document.hidden ? HIDDEN_MS : LOOK_MS);
}

/** Asks for a token: nothing that was told to another one stays on the screen. */
function leave(problem) {
  clearTimeout(timer);
  const had = Boolean(token.get());
  token.forget();
  Object.assign(state, { pools: [], missing: [], at: 0, who: "", operates: false });
  view?.close?.();
  view = null;
  viewName = "";
  chrome();
  document.title = "Sign in – waitroom";
  main.replaceChildren(loginView(had && problem ? problem.message : "", look));
  main.querySelector("input").focus();
}

function show() {
  const wanted = location.hash.slice(1) in VIEWS ? location.hash.slice(1) : "now";
  const found = verdict(state);
  if (!view || wanted !== viewName) {
    view?.close?.();
    const first = !view;
    viewName = wanted;
    view = VIEWS[wanted](state, look);
    main.replaceChildren(view.element);
    if (!first) main.focus();
    scrollTo(0, 0);
  }
  view.show?.(state, found);
  chrome(found);
}

function chrome(found) {
  const who = document.getElementById("who");
  mark(document.getElementById("views"), "hidden", !state.who);
  for (const link of document.querySelectorAll("#views a")) {
    mark(link, "aria-current", link.hash === `#${viewName}` ? "page" : null);
  }
  const shown = state.who ? `${state.who}${state.operates ? "" : ", read only"}` : "";
  if (who.shown !== shown) {
    who.shown = shown;
    who.replaceChildren(shown);
    if (shown && token.get()) who.append(" ", h("button", { class: "quiet", onclick: () => leave() }, "Sign out"));
  }
  if (!found) return;
  document.body.dataset.level = found.level;
  document.title = `${found.word} – waitroom`;
  // Said aloud when what is found changes, not when a number in it does.
  const codes = found.found.map((each) => each.code).join();
  const heard = document.getElementById("heard");
  if (heard.codes !== codes) {
    heard.codes = codes;
    say(heard, `${found.word}. ${found.text} ${timeWithSeconds(Date.now())}`);
  }
}

addEventListener("hashchange", () => state.who && show());
document.addEventListener("visibilitychange", () => !document.hidden && state.who && look());
look();
