// The language of the page: its texts, its numbers and its times. Law: what the page says is in texts/<language>.js under
// one key, the same in each; names, codes and what people wrote are shown as they are. Without a choice the browser's
// languages decide; a choice is remembered in this browser.

import en from "./texts/en.js";
import fr from "./texts/fr.js";

const KEY = "waitroom.language";
const TEXTS = { en, fr };
/** Where a browser names no region. Both count hours to 24. */
const REGIONS = { en: "en-GB", fr: "fr-BE" };

export const LANGUAGES = Object.keys(TEXTS);

let language = chosen();
let made = new Map();

function chosen() {
  const asked = [remembered(), ...navigator.languages.map((each) => each.split("-")[0].toLowerCase())];
  return asked.find((each) => LANGUAGES.includes(each)) ?? "en";
}

function remembered() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // A browser that keeps nothing: its languages decide.
  }
}

export const spoken = () => language;

/** A language's name, in its own words. */
export const nameOf = (each) => TEXTS[each]["language.name"];

/** Speaks another language from now on, here and in this browser. */
export function speak(wanted) {
  language = wanted;
  made = new Map();
  try {
    localStorage.setItem(KEY, wanted);
  } catch {
    // Then it holds until the page is left.
  }
}

/** A text, with `{name}` filled in. Where it has plurals, `n` says which. */
export function t(key, values = {}) {
  const found = TEXTS[language][key];
  if (found === undefined) return key;
  const text = typeof found === "string" ? found : found[plurals().select(values.n)] ?? found.other;
  return text.replace(/\{(\w+)\}/g, (_, name) => (typeof values[name] === "number" ? number(values[name]) : String(values[name])));
}

/** A number as it is written here, with so many digits behind the point at most. */
export const number = (n, digits = 0) => format(Intl.NumberFormat, { maximumFractionDigits: digits }).format(n);

/** The same where there is little room: 1.2M. */
export const compact = (n) => (n < 10_000 ? number(n, 1) : format(Intl.NumberFormat, { notation: "compact", maximumFractionDigits: 1 }).format(n));

/** A time of day, or a day. `parts`: options of Intl.DateTimeFormat. */
export const instant = (ms, parts) => format(Intl.DateTimeFormat, { hourCycle: "h23", ...parts }).format(ms);

const plurals = () => format(Intl.PluralRules, {});

function format(Kind, options) {
  const key = Kind.name + JSON.stringify(options);
  if (!made.has(key)) made.set(key, new Kind(region(), options));
  return made.get(key);
}

const region = () => navigator.languages.find((each) => each.startsWith(`${language}-`)) ?? REGIONS[language];

/** Gives the elements that the page begins with their texts: `data-t` of their content, `data-t-label` of their name. */
export function dress(root) {
  document.documentElement.lang = language;
  for (const each of root.querySelectorAll("[data-t]")) each.textContent = t(each.dataset.t);
  for (const each of root.querySelectorAll("[data-t-label]")) each.setAttribute("aria-label", t(each.dataset.tLabel));
}
