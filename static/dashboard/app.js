// The page: asks once a second how the pools are, keeps what it was told last, and shows the view that the address names.
// Law: numbers that are not fresh are never shown as if they were.

import { ask, token } from "./api.js";
import { auditView } from "./audit.js";
import { h, mark, say } from "./dom.js";
import { loginView } from "./login.js";
import { nowView } from "./now.js";
import { reportView } from "./report.js";
import { studentView } from "./student.js";
import { LANGUAGES, dress, nameOf, speak, spoken, t } from "./tongue.js";
import { verdict } from "./verdict.js";
import { timeWithSeconds } from "./words.js";

const LOOK_MS = 1_000;
/** Nobody looks at a tab in the background, but its title tells. */
const HIDDEN_MS = 5_000;
/** An answer that takes longer is missed: what is on the screen is old then. The service gives the store 2 s. */
const LATE_MS = 3_000;

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
  version: "",
};

let view = null;
let viewName = "";
let timer = 0;
const main = document.getElementById("main");
const who = document.getElementById("who");
const tongues = document.getElementById("tongues");

function take(said) {
  const kept = new Map(state.pools.map((p) => [p.pool, p]));
  const told = new Map(said.pools.map((p) => [p.pool, p]));
  const names = [...told.keys(), ...said.missing];
  const order = [...kept.keys()].filter((name) => names.includes(name));
  if (!said.missing.length || !order.length) order.splice(0, order.length, ...names);
  else order.push(...names.filter((name) => !order.includes(name)));
  for (const name of told.keys()) state.ages.set(name, Date.now());
  if (told.size) state.at = Date.now();
  if (state.version && state.version !== said.version && !document.querySelector("dialog")) location.reload(); // our files are of before
  state.pools = order.map((name) => told.get(name) ?? kept.get(name)).filter(Boolean);
  state.missing = said.missing;
  state.storeUp = said.store_up;
  state.trouble = "";
  state.who = said.who;
  state.operates = said.scopes.includes("operate");
  state.version ||= said.version;
}

async function look() {
  clearTimeout(timer);
  const late = setTimeout(() => state.who && fail(t("refused.silent")), LATE_MS);
  let again = document.hidden ? HIDDEN_MS : LOOK_MS;
  try {
    take(await ask("GET", "pools"));
    show();
  } catch (problem) {
    const mustWait = problem.status === 429 && state.who; // somebody else at this address guesses: the token may be good
    if ([401, 403, 429].includes(problem.status) && !mustWait) {
      leave(problem);
      return;
    }
    again = Math.max(again, 1_000 * problem.retryS || 0);
    fail(problem.message);
  } finally {
    clearTimeout(late);
  }
  timer = setTimeout(look, again);
}

function fail(trouble) {
  state.trouble = trouble;
  show();
}

/** Asks for a token: nothing that was told to another one stays on the screen. */
function leave(problem) {
  clearTimeout(timer);
  const had = Boolean(token.get());
  const why = problem?.status === 401 && state.who ? t("login.gone") : (problem?.message ?? "");
  token.forget();
  Object.assign(state, { pools: [], missing: [], at: 0, who: "", operates: false });
  for (const each of document.querySelectorAll("dialog")) each.close();
  close();
  chrome();
  document.title = `${t("login.title")} – waitroom`;
  main.replaceChildren(loginView(had ? why : "", look));
  main.querySelector("input").focus();
}

function close() {
  view?.close?.();
  view = null;
  viewName = "";
}

function show() {
  const wanted = location.hash.slice(1) in VIEWS ? location.hash.slice(1) : "now";
  const found = verdict(state);
  if (!view || wanted !== viewName) {
    const first = !view;
    close();
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
  mark(document.getElementById("views"), "hidden", !state.who);
  for (const link of document.querySelectorAll("#views a")) {
    mark(link, "aria-current", link.hash === `#${viewName}` ? "page" : null);
  }
  say(document.getElementById("version"), state.version && `waitroom ${state.version}`);
  const shown = state.who && (state.operates ? state.who : t("who.reads", { who: state.who }));
  if (who.shown !== shown) {
    who.shown = shown;
    who.replaceChildren(h("span", {}, shown));
    if (shown && token.get()) who.append(h("button", { class: "quiet", onclick: () => leave() }, t("nav.out")));
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

/** In which language, and a button for each other one, in its own words. */
function language() {
  dress(document);
  const now = spoken();
  const button = (each) => {
    const names = [h("span", { class: "long" }, nameOf(each)), h("abbr", { class: "short", title: nameOf(each) }, each.toUpperCase())];
    return h("button", { class: "quiet", lang: each, onclick: () => change(each) }, names);
  };
  tongues.replaceChildren(...LANGUAGES.filter((each) => each !== now).map(button));
}

/** All that is on the screen is said anew. */
function change(wanted) {
  speak(wanted);
  language();
  who.shown = null;
  if (view) {
    close();
    show();
  } else leave();
  tongues.querySelector("button").focus();
}

document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address names the view
  main.focus();
});
addEventListener("hashchange", () => state.who && show());
document.addEventListener("visibilitychange", () => !document.hidden && state.who && look());
language();
look();
