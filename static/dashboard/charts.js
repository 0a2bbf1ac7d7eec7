// Six small charts of a pool's last hour. Law: each says in words what it shows; colours are the page's own, and what
// matters is told by a line's shape or place too.

import { ask, segment } from "./api.js";
import { h, mark, say } from "./dom.js";
import { HOUR_S, Series } from "./series.js";
import { compact, t } from "./tongue.js";
import { count, fine, span, time, took } from "./words.js";

const AGAIN_MS = 60_000;
const HEIGHT = 110;
/** So wide even where less is known. */
const LEAST_S = 300;

/** Of what is counted whole. */
const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6];

/** `lines`: column, colour, how it is drawn; the first is the one that the words are about. */
const CHARTS = [
  { name: "waiting", lines: [["waiting", "--sig", "area"], ["lobby", "--mind", "dashed"]], legend: true, says: count, axis: compact, steps: WHOLE },
  { name: "wait", lines: [["last_high_s", "--sig", "line"], ["last_low_s", "--sig", "line"]], legend: true, says: span, band: true, least: 120, steps: [30, 60, 300, 600, 1800, 3600, 7200, 14400, 86400] },
  { name: "inside", lines: [["sessions", "--go", "area"], ["sessions_limit", "--soft", "dashed"]], legend: true, says: count, axis: compact, steps: WHOLE },
  { name: "entering", lines: [["entering", "--go", "area"], ["allowed_per_s", "--soft", "dashed"]], legend: true, says: fine, axis: compact },
  { name: "answers", lines: [["p95_ms", "--sig", "line"]], says: took, least: 500 },
  { name: "failed", lines: [["failed_per_s", "--stop", "area"]], says: fine, axis: compact },
];

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

class Chart {
  constructor(wanted, series) {
    this.wanted = wanted;
    this.series = series;
    this.names = wanted.lines.map(([name]) => name);
    this.now = h("span", { class: "value" });
    this.room = h("div", { class: "plot", "aria-hidden": "true" });
    this.element = h(
      "figure",
      {},
      h("figcaption", {}, h("b", {}, t(`chart.${wanted.name}`)), " ", this.now, wanted.legend && h("small", {}, t(`chart.${wanted.name}.legend`))),
      this.room,
    );
    this.over = null;
    this.isSeen = false;
  }

  draw() {
    const [first, ...rest] = this.wanted.lines;
    const series = [first, ...rest].map(([, name, kind]) => ({
      stroke: colour(name),
      width: kind === "dashed" ? 1.25 : 2,
      dash: kind === "dashed" ? [4, 4] : undefined,
      fill: kind === "area" ? `${colour(name)}2e` : undefined,
      points: { show: false },
      paths: kind === "dashed" ? uPlot.paths.stepped({ align: 1 }) : undefined,
      spanGaps: false,
    }));
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--grid"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    this.plot = new uPlot(
      {
        width: this.room.clientWidth || 300,
        height: HEIGHT,
        legend: { show: false },
        padding: [6, 20, 0, 0],
        cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
        scales: { x: { time: true, range: () => this.span() }, y: { range: (_plot, _low, high) => [0, Math.max(high * 1.1, this.wanted.least ?? 1)] } },
        series: [{}, ...series],
        bands: this.wanted.band ? [{ series: [1, 2], fill: `${colour("--sig")}2e` }] : [],
        axes: [
          { ...axis, size: 22, values: (_plot, ticks) => ticks.map((at) => time(at * 1000, at * 1000)), space: 70 },
          { ...axis, size: 58, space: 32, incrs: this.wanted.steps, values: (_plot, ticks) => ticks.map(this.wanted.axis ?? this.wanted.says) },
        ],
        hooks: { drawClear: [(plot) => this.shade(plot)], setCursor: [(plot) => this.point(plot)] },
      },
      this.data,
      this.room,
    );
    this.drawn = true;
  }

  /** From when to when: of one point alone uPlot makes a day. */
  span() {
    const [at] = this.data;
    const high = at.at(-1);
    return [Math.max(high - HOUR_S, Math.min(at[0], high - LEAST_S)), high];
  }

  /** When staff held the pool, behind the lines. */
  shade(plot) {
    const [at, held] = this.series.columns(["held"]);
    plot.ctx.fillStyle = `${colour("--mind")}26`;
    for (let n = 1; n < at.length; n++) {
      if (!held[n]) continue;
      const [left, right] = [plot.valToPos(at[n - 1], "x", true), plot.valToPos(at[n], "x", true)];
      plot.ctx.fillRect(left, plot.bbox.top, right - left + 0.5, plot.bbox.height);
    }
  }

  point(plot) {
    this.over = plot.cursor.idx ?? null;
    if (plot.cursor.left < 0) this.over = null;
    this.tell();
  }

  tell() {
    const [at, values] = this.data ?? this.series.columns(this.names);
    const { says } = this.wanted;
    if (this.over !== null && at[this.over] !== undefined) {
      say(this.now, t("chart.at", { value: says(values[this.over]), time: time(at[this.over] * 1000) }));
      return;
    }
    const known = values.filter((each) => each !== null);
    const most = known.length ? Math.max(...known) : null;
    const now = values.at(-1) ?? null;
    const key = `chart.${now === null ? "unknown" : "now"}`;
    if (!most) say(this.now, t(key, { value: says(now) }));
    else say(this.now, t(now === null ? "chart.unknown.most" : "chart.most", { value: says(now), most: says(most), time: time(at[values.indexOf(most)] * 1000) }));
  }

  show() {
    this.data = this.series.columns(this.names);
    if (!this.drawn) {
      if (!this.room.clientWidth || !this.data[0].length) return;
      this.draw();
    }
    if (this.isSeen) this.plot.setData(this.data);
    this.tell();
  }

  /** Comes into view, or goes: what nobody sees is not drawn. */
  see(isSeen) {
    this.isSeen = isSeen;
    if (isSeen && this.drawn) this.plot.setData(this.data);
  }

  resize() {
    if (this.drawn && this.room.clientWidth) this.plot.setSize({ width: this.room.clientWidth, height: HEIGHT });
  }

  again() {
    if (this.drawn) this.plot.destroy();
    this.drawn = false;
  }
}

export class Charts {
  constructor(pool) {
    this.pool = pool;
    this.series = new Series();
    this.charts = CHARTS.map((each) => new Chart(each, this.series));
    this.element = h("div", { class: "charts" }, ...this.charts.map((each) => each.element));
    this.watch = new ResizeObserver(() => this.charts.forEach((each) => each.resize()));
    this.watch.observe(this.element);
    this.sight = new IntersectionObserver((seen) => {
      for (const each of seen) this.charts.find((chart) => chart.element === each.target).see(each.isIntersecting);
    });
    for (const each of this.charts) this.sight.observe(each.element);
    this.theme = matchMedia("(prefers-color-scheme: dark)");
    this.repaint = () => this.charts.forEach((each) => each.again());
    this.theme.addEventListener("change", this.repaint);
    this.asked = 0;
  }

  show(p, old) {
    mark(this.element, "data-old", old);
    if (!old && Date.now() - this.asked > AGAIN_MS) this.remember();
    if (!old) this.series.add(p);
    for (const each of this.charts) each.show();
  }

  async remember() {
    this.asked = Date.now();
    try {
      this.series.remember(await ask("GET", `pools/${segment(this.pool)}/history`));
    } catch {
      this.asked = 0; // The next look says what is wrong.
    }
  }

  close() {
    this.watch.disconnect();
    this.sight.disconnect();
    this.theme.removeEventListener("change", this.repaint);
    for (const each of this.charts) each.again();
  }
}
