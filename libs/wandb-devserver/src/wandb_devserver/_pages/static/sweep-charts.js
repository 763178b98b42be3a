// Charts of a sweep: parallel coordinates, the metric over trials, importance of parameters.

import { el } from "./dom.js";
import { cell, number } from "./format.js";
import { Canvas, axis, common, tooltip } from "./canvas.js";

const SCALE = ["#3b4cc0", "#6f92f3", "#aac7fd", "#f2b59a", "#dd5f4b", "#b40426"];

/** Lines through all parameters to the metric, coloured by the metric. */
export class ParallelCoordinates {
  constructor(box) {
    this.canvas = new Canvas(box, { describe: () => this.describe(), option: (colours) => this.option(colours) });
  }

  update(sweep) {
    this.sweep = sweep;
    this.trials = sweep.trials.filter(({ metric }) => metric !== null);
    this.canvas.draw();
  }

  describe() {
    return `Parallel coordinates of ${this.trials.length} trials: ${[...this.sweep.parameters, this.sweep.metric].join(", ")}. The leaderboard lists the same values.`;
  }

  option(colours) {
    const { parameters, metric, maximize } = this.sweep;
    const metrics = this.trials.map((trial) => trial.metric);
    const rows = this.trials.map(({ name, values, metric: value }) => ({ name, value: [...parameters.map((key) => coordinate(values[key])), value] }));
    const best = maximize ? SCALE : [...SCALE].reverse();
    return {
      ...common(colours),
      parallel: { left: 50, right: 90, top: 40, bottom: 28, parallelAxisDefault: { nameGap: 14, nameTextStyle: { color: colours.text }, axisLabel: { color: colours.text, backgroundColor: colours.card, padding: [1, 3] }, axisLine: { lineStyle: { color: colours.muted } }, axisTick: { show: false } } },
      parallelAxis: [...parameters.map((key, dim) => ({ dim, name: key, ...scaleOf(this.trials.map(({ values }) => values[key])) })), { dim: parameters.length, name: metric, type: "value", scale: true, axisLabel: { color: colours.text, backgroundColor: colours.card, padding: [1, 3], formatter: number } }],
      visualMap: { type: "continuous", dimension: parameters.length, min: Math.min(...metrics), max: Math.max(...metrics), inRange: { color: best }, right: 0, top: "middle", itemHeight: 120, textStyle: { color: colours.muted }, formatter: number, calculable: false },
      tooltip: tooltip(colours, ({ name, value }) => this.hover(name, value), "item"),
      series: [{ type: "parallel", data: rows, lineStyle: { width: 2, opacity: 0.75 }, emphasis: { lineStyle: { width: 4 } }, smooth: 0.15 }],
    };
  }

  hover(name, value) {
    const names = [...this.sweep.parameters, this.sweep.metric];
    return el("div", {}, el("strong", {}, name), names.map((key, index) => el("div", { class: "hover-row" }, el("span", {}, key), el("b", {}, cell(value[index])))));
  }
}

/** The metric of each trial, in order of creation, and the best so far. */
export class TrialChart {
  constructor(box) {
    this.canvas = new Canvas(box, { describe: () => this.describe(), option: (colours) => this.option(colours) });
  }

  update(sweep) {
    this.sweep = sweep;
    this.points = sweep.trials.flatMap(({ name, metric }, index) => (metric === null ? [] : [{ name, value: [index + 1, metric] }]));
    this.canvas.draw();
  }

  best() {
    const choose = this.sweep.maximize ? Math.max : Math.min;
    return this.points.reduce((line, { value: [x, y] }) => [...line, [x, choose(y, line.at(-1)?.[1] ?? y)]], []);
  }

  describe() {
    return `${this.sweep.metric} of ${this.points.length} trials. Best so far: ${number(this.best().at(-1)?.[1])}.`;
  }

  option(colours) {
    return {
      ...common(colours),
      xAxis: axis(colours, { type: "value", min: 0, minInterval: 1, splitLine: { show: false } }),
      yAxis: axis(colours, { type: "value", scale: true, axisLabel: { color: colours.muted, formatter: number } }),
      tooltip: tooltip(colours, ({ seriesName, name, value }) => el("div", {}, el("strong", {}, name || seriesName), el("div", {}, `Trial ${value[0]}: `, el("b", {}, number(value[1])))), "item"),
      series: [
        { type: "line", name: "Best so far", step: "end", data: this.best(), symbol: "none", lineStyle: { color: colours.accent, width: 2 }, itemStyle: { color: colours.accent } },
        { type: "scatter", name: this.sweep.metric, data: this.points, symbolSize: 9, itemStyle: { color: colours.muted, opacity: 0.8 } },
      ],
    };
  }
}

/** How strongly each parameter goes along with the metric. */
export class ImportanceChart {
  constructor(box) {
    this.canvas = new Canvas(box, { describe: () => this.describe(), option: (colours) => this.option(colours) });
  }

  update({ importance, metric }) {
    Object.assign(this, { importance, metric });
    this.canvas.draw();
  }

  describe() {
    return `Importance for ${this.metric}: ${this.importance.map(({ name, strength }) => `${name} ${strength.toFixed(2)}`).join(", ") || "not enough trials"}.`;
  }

  option(colours) {
    const rows = [...this.importance].reverse();
    const colourOf = ({ correlation }) => (correlation === null ? colours.muted : correlation > 0 ? "#2f7ed8" : "#e8743b");
    return {
      ...common(colours),
      xAxis: axis(colours, { type: "value", min: 0, max: 1 }),
      yAxis: axis(colours, { type: "category", data: rows.map(({ name }) => name), splitLine: { show: false }, axisLabel: { color: colours.text } }),
      tooltip: tooltip(colours, ({ dataIndex }) => this.hover(rows[dataIndex]), "item"),
      series: [{ type: "bar", barMaxWidth: 22, data: rows.map((row) => ({ value: row.strength, itemStyle: { color: colourOf(row) } })) }],
    };
  }

  hover({ name, strength, correlation }) {
    const text = correlation === null ? `Correlation ratio ${strength.toFixed(3)}` : `Rank correlation ${correlation.toFixed(3)}`;
    return el("div", {}, el("strong", {}, name), el("div", {}, text));
  }
}

function coordinate(value) {
  return typeof value === "number" ? value : cell(value);
}

/** Return the kind of axis for values: categories unless all are numbers, logarithmic when they span decades. */
function scaleOf(values) {
  if (!values.every((value) => typeof value === "number")) {
    const names = [...new Set(values.map(cell))].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
    return { type: "category", data: names };
  }
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return low > 0 && high / low >= 50 ? { type: "log" } : { type: "value", scale: true };
}
