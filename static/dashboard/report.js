// After the exam: what it was like, to print, to keep and to answer for.

import { ask, askText, query, segment } from "./api.js";
import { choice, field, h, mark, say } from "./dom.js";
import { ofAudit, outages } from "./incidents.js";
import { parse, summary } from "./waits.js";
import { count, plural, span, time, timeWithSeconds } from "./words.js";

export function reportView(state) {
  const options = state.pools.flatMap((p) => [[`pool ${p.pool}`, `Pool ${p.pool}`], ...p.exams.map((exam) => [`exam ${p.pool} ${exam}`, `${exam}, in ${p.pool}`])]);
  const which = choice("which", options, options[0]?.[0]);
  const sheet = h("div", { class: "sheet" });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const button = h("button", {}, "Make the report");

  async function make(event) {
    event.preventDefault();
    mark(problem, "hidden", true);
    button.disabled = true;
    try {
      const [kind, pool, exam = ""] = which.value.split(" ");
      sheet.replaceChildren(...page(await gather(state, kind, pool, exam)));
    } catch (failure) {
      say(problem, failure.message);
      mark(problem, "hidden", false);
    } finally {
      button.disabled = false;
    }
  }

  const form = h("form", { class: "look-up", onsubmit: make }, field("Of", which), button);
  return { element: h("div", { class: "wide view report" }, h("h1", {}, "Report"), form, problem, sheet) };
}

async function gather(state, kind, pool, exam) {
  const path = kind === "exam" ? `exams/${segment(exam)}/waits.csv${query({ pool })}` : `pools/${segment(pool)}/waits.csv`;
  const [csv, audit, history, now] = await Promise.all([
    askText(path),
    ask("GET", `audit${query({ pool, limit: 1000 })}`),
    ask("GET", `pools/${segment(pool)}/history`),
    ask("GET", `pools/${segment(pool)}`),
  ]);
  const incidents = [...ofAudit(audit.entries), ...outages(history)].sort((a, b) => a.from_ms - b.from_ms);
  const report = {
    of: exam || pool,
    pool,
    exam: exam || null,
    made_at_ms: now.now_ms,
    by: state.who,
    waits: summary(parse(csv)),
    pool_totals: now.totals,
    last_hour: { from_ms: history.at_ms[0] ?? null, most_inside: most(history.columns.sessions), longest_p95_ms: most(history.columns.p95_ms) },
    incidents,
    audit: audit.entries,
  };
  return { report, csv };
}

const most = (values) => values.reduce((high, each) => (each === null ? high : Math.max(high ?? 0, each)), null);

function page({ report, csv }) {
  const { waits: w, pool_totals: totals } = report;
  const rows = (pairs) => h("dl", { class: "facts" }, ...pairs.map(([name, value, more]) => h("div", {}, h("dt", {}, name), h("dd", {}, value, more ? h("small", {}, more) : ""))));
  const WAYS = { direct: "straight in", line: "from the line", return: "came back" };
  const listed = (found, words = {}) => Object.entries(found).map(([name, n]) => [words[name] ?? name, count(n)]);
  return [
    h("h2", {}, report.exam ? `${report.exam}, in ${report.pool}` : `Pool ${report.pool}`),
    h("p", { class: "lead" }, sentence(w)),
    h("p", { class: "buttons" },
      h("button", { onclick: () => print() }, "Print"),
      save("Save as JSON", `report-${report.of}.json`, "application/json", JSON.stringify(report, null, 2)),
      save("Save all waits as CSV", `waits-${report.of}.csv`, "text/csv", csv)),
    h("h3", {}, "Waits"),
    rows([
      ["Longest line", count(w.peak.waiting), w.peak.at ? `at ${timeWithSeconds(w.peak.at)}; the lobby included` : ""],
      ["Half entered within", span(w.median_s)],
      ["19 of 20 entered within", span(w.p95_s)],
      ["Longest wait of those who entered", span(w.longest_s)],
      ["Straight in", count(w.straight_in), "no wait of a second"],
      ["Waited, then entered", count(w.waited)],
      ["Left before their turn", count(w.left)],
      ["Still waiting", count(w.still_waiting)],
    ]),
    h("h3", {}, `Admissions of ${report.pool}, by way`),
    rows(listed(totals.admissions, WAYS)),
    h("h3", {}, `Departures of ${report.pool}`),
    rows(listed(totals.departures)),
    h("h3", {}, "Incidents"),
    incidents(report),
    h("p", { class: "small" }, `Made ${timeWithSeconds(report.made_at_ms)} for ${report.by}. Totals are since the store knows the pool; outages are of the hour before.`),
  ];
}

function sentence(w) {
  if (!w.came) return "Nobody has come yet.";
  const least = `${plural(w.came, "student")} came between ${time(w.first_at)} and ${time(w.last_at)}; ${count(w.admitted)} entered`;
  return w.median_s === null ? `${least}.` : `${least}, half of them within ${span(w.median_s)}.`;
}

function incidents({ incidents: found }) {
  if (!found.length) return h("p", {}, "No hold, no limit, no outage.");
  const line = (each) =>
    h(
      "tr",
      {},
      h("td", { "data-title": "From" }, timeWithSeconds(each.from_ms)),
      h("td", { "data-title": "To" }, each.to_ms === null ? "still so" : timeWithSeconds(each.to_ms)),
      h("td", { "data-title": "What" }, `${each.kind}: ${each.what}`),
      h("td", { "data-title": "Who" }, each.who || "–"),
      h("td", { "data-title": "Why" }, each.why || "–"),
    );
  const head = h("tr", {}, ...["From", "To", "What", "Who", "Why"].map((name) => h("th", { scope: "col" }, name)));
  return h("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "Incidents" }, h("table", { class: "stack" }, h("thead", {}, head), h("tbody", {}, ...found.map(line))));
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
