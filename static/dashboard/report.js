// After the exam: what it was like, to print, to keep and to answer for. Law: it is made of what the store keeps, so that
// a restart of the service changes nothing in it.

import { ask, askText, query, segment } from "./api.js";
import { DayChart } from "./daychart.js";
import { choice, field, h, mark, say } from "./dom.js";
import { ofAudit, ofOutages } from "./incidents.js";
import { t } from "./tongue.js";
import { parse, summary } from "./waits.js";
import { count, fine, span, time, timeWithSeconds, took } from "./words.js";

export function reportView(state) {
  const options = state.pools.flatMap((p) => [
    [`pool ${p.pool}`, t("report.pool", { pool: p.pool })],
    ...p.exams.map((exam) => [`exam ${p.pool} ${exam}`, t("report.exam", { exam, pool: p.pool })]),
  ]);
  const which = choice("which", options, options[0]?.[0]);
  const sheet = h("div", { class: "sheet" });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const button = h("button", {}, t("report.make"));
  let chart = null;

  async function make(event) {
    event.preventDefault();
    mark(problem, "hidden", true);
    button.disabled = true;
    try {
      const [kind, pool, exam = ""] = which.value.split(" ");
      const found = await gather(state, kind, pool, exam);
      chart?.close();
      chart = new DayChart(found.report.day);
      sheet.replaceChildren(...page(found, chart));
      chart.show();
    } catch (failure) {
      say(problem, failure.message);
      mark(problem, "hidden", false);
    } finally {
      button.disabled = false;
    }
  }

  const form = h("form", { class: "look-up", onsubmit: make }, field(t("report.of"), which), button);
  return { element: h("div", { class: "wide view report" }, h("h1", {}, t("report.title")), form, problem, sheet), close: () => chart?.close() };
}

async function gather(state, kind, pool, exam) {
  const path = kind === "exam" ? `exams/${segment(exam)}/waits.csv${query({ pool })}` : `pools/${segment(pool)}/waits.csv`;
  const of = `pools/${segment(pool)}`;
  const [csv, audit, day, outages, now] = await Promise.all([
    askText(path),
    ask("GET", `audit${query({ pool, limit: 1000 })}`),
    ask("GET", `${of}/history${query({ span: "day" })}`),
    ask("GET", `${of}/outages`),
    ask("GET", of),
  ]);
  const incidents = [...ofAudit(audit.entries), ...ofOutages(outages.outages)].sort((a, b) => a.from_ms - b.from_ms);
  const report = {
    of: exam || pool,
    pool,
    exam: exam || null,
    made_at_ms: now.now_ms,
    by: state.who,
    waits: summary(parse(csv)),
    pool_totals: now.totals,
    peaks: peaks(day),
    incidents,
    audit: audit.entries,
    day,
  };
  return { report, csv };
}

/** The highest of each column, and when; null of none. */
function peaks({ at_ms: at, columns }) {
  const highest = (name) => {
    const found = columns[name].reduce((high, value, n) => (value !== null && value > (columns[name][high] ?? -1) ? n : high), -1);
    return found < 0 ? null : { value: columns[name][found], at_ms: at[found] };
  };
  return Object.fromEntries(["waiting", "sessions", "admitted", "p95_ms", "failed_per_s"].map((name) => [name, highest(name)]));
}

function page({ report, csv }, chart) {
  const { waits: w, pool_totals: totals, peaks: most, pool } = report;
  const rows = (pairs) => h("dl", { class: "facts" }, ...pairs.map(([name, value, more]) => h("div", {}, h("dt", {}, name), h("dd", {}, value, more ? h("small", {}, more) : ""))));
  const listed = (found) => Object.entries(found).map(([name, n]) => [t(`report.${name === "left" ? "gone" : name}`), count(n)]);
  const peak = (found, says, hint = "report.at") => (found?.value ? [says(found.value), t(hint, { time: time(found.at_ms) })] : [found ? says(found.value) : "–"]);
  return [
    h("h2", {}, report.exam ? t("report.exam", { exam: report.exam, pool }) : t("report.pool", { pool })),
    h("p", { class: "lead" }, sentence(w)),
    h("p", { class: "buttons" },
      h("button", { onclick: () => print() }, t("report.print")),
      save(t("report.json"), `report-${report.of}.json`, "application/json", JSON.stringify(report, null, 2)),
      save(t("report.csv"), `waits-${report.of}.csv`, "text/csv", csv)),
    h("h3", {}, t("report.waits")),
    rows([
      [t("report.peak"), count(w.peak.waiting), w.peak.at ? t("report.peak.at", { time: timeWithSeconds(w.peak.at) }) : ""],
      [t("report.half"), span(w.median_s)],
      [t("report.most"), span(w.p95_s)],
      [t("report.longest"), span(w.longest_s)],
      [t("report.straight"), count(w.straight_in), t("report.straight.hint")],
      [t("report.waited"), count(w.waited)],
      [t("report.left"), count(w.left)],
      [t("report.still"), count(w.still_waiting)],
    ]),
    h("h3", {}, t("report.day", { pool })),
    chart.element,
    rows([
      [t("report.inside"), ...peak(most.sessions, count)],
      [t("report.rate"), ...peak(most.admitted, count)],
      [t("report.slowest"), ...peak(most.p95_ms, took, "report.slowest.hint")],
      [t("report.failed"), ...peak(most.failed_per_s, fine)],
    ]),
    h("h3", {}, t("report.ways", { pool })),
    rows(listed(totals.admissions)),
    h("h3", {}, t("report.departures", { pool })),
    rows(listed(totals.departures)),
    h("h3", {}, t("report.incidents")),
    incidents(report),
    h("p", { class: "small" }, t("report.small", { time: timeWithSeconds(report.made_at_ms), who: report.by })),
  ];
}

function sentence(w) {
  if (!w.came) return t("report.none");
  const said = { n: w.came, from: time(w.first_at), to: time(w.last_at), admitted: w.admitted, span: span(w.median_s) };
  return t(w.median_s === null ? "report.came" : "report.came.half", said);
}

const COLUMNS = { from: "report.from", to: "report.to", what: "report.what", who: "audit.who", why: "audit.why" };

function incidents({ incidents: found }) {
  if (!found.length) return h("p", {}, t("report.incidents.none"));
  const cell = (column, text) => h("td", { "data-title": t(COLUMNS[column]) }, text);
  const line = (each) =>
    h(
      "tr",
      {},
      cell("from", timeWithSeconds(each.from_ms)),
      cell("to", each.to_ms === null ? t("report.going") : timeWithSeconds(each.to_ms)),
      cell("what", each.kind === "outage" ? t("report.outage", { what: each.what }) : each.what),
      cell("who", each.who || "–"),
      cell("why", each.why || "–"),
    );
  const head = h("tr", {}, ...Object.values(COLUMNS).map((key) => h("th", { scope: "col" }, t(key))));
  return h("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": t("report.incidents") }, h("table", { class: "stack" }, h("thead", {}, head), h("tbody", {}, ...found.map(line))));
}

/** A button that hands over a file made here: the API wants its token in a header, so a link cannot ask. */
function save(text, name, type, body) {
  const give = () => {
    const url = URL.createObjectURL(new Blob([body], { type }));
    h("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  };
  return h("button", { class: "quiet", onclick: give }, text);
}
