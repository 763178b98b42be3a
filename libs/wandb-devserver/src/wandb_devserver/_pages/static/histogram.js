// A histogram over steps, as a heatmap: step by value, the counts as colour.

import { el } from "./dom.js";
import { number } from "./format.js";
import { Canvas, axis, common, tooltip } from "./canvas.js";

const BINS = 40;

export class HistogramChart {
  constructor(box, title) {
    this.title = title;
    this.canvas = new Canvas(box, { describe: () => this.describe(), option: (colours) => this.option(colours) });
  }

  /** Show values of the form {step, bins, counts}. */
  update(values) {
    this.values = values.filter(({ bins, counts }) => bins.length > counts.length && counts.length);
    this.canvas.draw();
  }

  dispose() {
    this.canvas.dispose();
  }

  describe() {
    const last = this.values.at(-1);
    const range = last ? `, the last from ${number(last.bins[0])} to ${number(last.bins.at(-1))}` : "";
    return `${this.title}: ${this.values.length} histograms over steps${range}.`;
  }

  option(colours) {
    const low = Math.min(...this.values.map(({ bins }) => bins[0]));
    const high = Math.max(...this.values.map(({ bins }) => bins.at(-1)));
    const width = (high - low) / BINS || 1;
    const cells = this.values.flatMap((value, x) => rebin(value, low, width).map((count, y) => [x, y, count]));
    const most = Math.max(1, ...cells.map(([, , count]) => count));
    const steps = this.values.map(({ step }) => String(step));
    const edges = Array.from({ length: BINS }, (_, index) => number(Number((low + index * width).toPrecision(3))));
    return {
      ...common(colours),
      xAxis: axis(colours, { type: "category", data: steps, splitLine: { show: false } }),
      yAxis: axis(colours, { type: "category", data: edges, splitLine: { show: false } }),
      tooltip: tooltip(colours, ({ value: [x, y, count] }) => el("div", {}, el("strong", {}, `Step ${steps[x]}`), el("div", {}, `from ${edges[y]}: `, el("b", {}, number(Math.round(count))))), "item"),
      visualMap: { show: false, min: 0, max: most, dimension: 2, inRange: { color: [colours.card, "#2f7ed8", "#0b3c78"] } },
      series: [{ type: "heatmap", data: cells.filter(([, , count]) => count > 0), progressive: 0 }],
    };
  }
}

/** Spread counts over bins that all steps share, in proportion to how much they overlap. */
function rebin({ bins, counts }, low, width) {
  const result = Array(BINS).fill(0);
  counts.forEach((count, index) => {
    const [from, to] = [(bins[index] - low) / width, (bins[index + 1] - low) / width];
    for (let bin = Math.max(Math.floor(from), 0); bin < Math.min(Math.ceil(to), BINS); bin += 1) {
      result[bin] += (count * (Math.min(to, bin + 1) - Math.max(from, bin))) / (to - from || 1);
    }
  });
  return result;
}
