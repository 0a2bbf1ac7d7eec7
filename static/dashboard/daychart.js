// The day of a pool in one picture, for the report: who waited and who was inside, with the outages as gaps. Law: it says
// in words what it shows, and is drawn in the paper's colours when it is printed.

import { h } from "./dom.js";
import { t } from "./tongue.js";
import { count, time } from "./words.js";

const HEIGHT = 200;
const GAP_S = 150;
/** So wide even where less is known. */
const LEAST_S = 1_800;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const most = (values) => values.reduce((high, each) => Math.max(high, each ?? 0), 0);

export class DayChart {
  constructor(day) {
    this.data = columns(day);
    const says = t("report.chart.says", { waiting: most(this.data[1]), inside: most(this.data[2]) });
    this.room = h("div", { class: "plot day", "aria-hidden": "true" });
    this.element = h(
      "figure",
      {},
      h("figcaption", {}, h("b", {}, t("report.chart")), h("span", { class: "value" }, says)),
      this.room,
      h("p", { class: "keys", "aria-hidden": "true" }, h("i", { class: "waiting" }), t("tile.waiting"), h("i", { class: "inside" }), t("tile.inside")),
    );
    this.watch = new ResizeObserver(() => this.plot?.setSize({ width: this.room.clientWidth, height: HEIGHT }));
    this.theme = matchMedia("(prefers-color-scheme: dark)");
    this.again = () => this.show();
  }

  show() {
    this.plot?.destroy();
    if (!this.data[0].length || !this.room.clientWidth) return;
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--grid"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const line = (name) => ({ stroke: colour(name), width: 2, fill: `${colour(name)}1f`, points: { show: false }, spanGaps: false });
    const [at] = this.data;
    const range = () => [Math.min(at[0], at.at(-1) - LEAST_S), at.at(-1)]; // of one point alone uPlot makes a day
    this.plot = new uPlot(
      {
        width: this.room.clientWidth,
        height: HEIGHT,
        legend: { show: false },
        padding: [8, 16, 0, 0],
        cursor: { show: false },
        scales: { x: { time: true, range }, y: { range: (_plot, _low, high) => [0, Math.max(high * 1.1, 1)] } },
        series: [{}, line("--sig"), line("--go")],
        axes: [
          { ...axis, size: 22, space: 70, values: (_plot, ticks) => ticks.map((at) => time(at * 1000, at * 1000)) },
          { ...axis, size: 50, space: 32, values: (_plot, ticks) => ticks.map(count) },
        ],
      },
      this.data,
      this.room,
    );
    this.watch.observe(this.room);
    this.theme.addEventListener("change", this.again);
  }

  close() {
    this.watch.disconnect();
    this.theme.removeEventListener("change", this.again);
    this.plot?.destroy();
  }
}

/** Seconds, waiting, inside; a null where minutes are missing. */
function columns({ at_ms: atMs, columns: found }) {
  const [at, waiting, inside] = [[], [], []];
  atMs.forEach((ms, n) => {
    if (at.length && ms / 1000 - at.at(-1) > GAP_S) {
      at.push(at.at(-1) + 60);
      waiting.push(null);
      inside.push(null);
    }
    at.push(ms / 1000);
    waiting.push(found.waiting[n]);
    inside.push(found.sessions[n]);
  });
  return [at, waiting, inside];
}
