// What changes over time: rates, latency, lag. Drawn by uPlot, in the colours of the style sheet.

import { element, micros, number } from "/page/words.js";

const KEPT = 600;
const all = new Set();

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// A chart of lines; a line is [name, colour variable].
export class Chart {
  constructor(title, lines, shown, logarithmic = false) {
    this.title = title;
    this.lines = lines;
    this.shown = shown;
    this.logarithmic = logarithmic;
    this.data = [[], ...lines.map(() => [])];
    this.place = element("div", { class: "chart", role: "img", "aria-label": title });
    this.box = element("div", {}, element("h3", {}, title), this.place);
    all.add(this);
  }

  draw() {
    const width = this.place.clientWidth;
    if (!width || typeof uPlot === "undefined") return;
    this.plot?.destroy();
    const axis = { stroke: colour("--faint"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
    this.plot = new uPlot({
      width,
      height: 170,
      scales: { x: { time: true }, y: this.logarithmic ? { distr: 3 } : { range: (_, low, high) => [0, Math.max(high ?? 1, 1) * 1.05] } },
      axes: [axis, { ...axis, size: 76, values: (_, values) => values.map((value) => (value == null ? "" : this.shown(value))) }],
      series: [{}, ...this.lines.map(([label, variable]) => ({
        label, stroke: colour(variable), width: 1.6, spanGaps: false, points: { show: false },
        value: (_, value) => this.shown(value),
      }))],
      legend: { live: true },
    }, this.data, this.place);
  }

  add(at, values) {
    this.data[0].push(at / 1000);
    values.forEach((value, line) => this.data[line + 1].push(this.logarithmic && !value ? null : value ?? null));
    if (this.data[0].length > KEPT) this.data.forEach((of) => of.shift());
  }

  show() {
    if (!this.plot || this.plot.width !== this.place.clientWidth) this.draw();
    else this.plot.setData(this.data);
    const words = this.lines.map(([name], line) => `${name} ${this.shown(this.data[line + 1].at(-1))}`);
    this.place.setAttribute("aria-label", `${this.title}: ${words.join(", ")}`);
  }
}

export const redraw = () => all.forEach((chart) => chart.draw());

export function charts() {
  return {
    rates: new Chart("Records a second", [["in", "--a"], ["out", "--b"]], (value) => number(value)),
    latency: new Chart("Latency, taken to acknowledged", [["p50", "--a"], ["p99", "--b"], ["p99.9", "--c"]], micros, true),
    lag: new Chart("Lag: records not read yet", [["lag", "--a"]], (value) => number(value)),
  };
}
