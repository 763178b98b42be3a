// The chart of one metric, for one run or several: hover, zoom, keys.

import { el } from "./dom.js";
import { duration, moment, number } from "./format.js";
import { Canvas, axis, common, tooltip } from "./canvas.js";
import { X_AXES, band, pairs, smooth } from "./lines.js";

/**
 * Draw `lines` ({name, colour, series}) of a metric. `onzoom(from, to)` is called with steps when the reader zooms in,
 * and without when all is shown again.
 */
export class LineChart {
  constructor(box, title, onzoom) {
    this.title = title;
    this.onzoom = onzoom;
    this.lines = [];
    this.detail = null;
    this.settings = { x: "step", smoothing: 0, log: false, band: false };
    this.canvas = new Canvas(box, { describe: () => this.describe(), option: (colours) => this.option(colours) });
    this.live = el("span", { class: "reader-only", "aria-live": "polite" });
    box.after(this.live);
    box.tabIndex = 0;
    box.setAttribute("role", "application");
    box.setAttribute("aria-roledescription", "chart");
    box.addEventListener("keydown", (event) => this.onkey(event));
    box.addEventListener("dblclick", () => this.chart && this.zoom(0, 100));
  }

  get chart() {
    return this.canvas.chart;
  }

  /** Show lines; a zoomed chart keeps its range. */
  show(lines, settings) {
    const isOtherAxis = settings.x !== this.settings.x;
    this.settings = settings;
    this.lines = lines;
    if (isOtherAxis) this.range = null;
    this.refresh();
  }

  /** Show finer lines within the range that is zoomed into. */
  showDetail(lines) {
    if (!this.range) return;
    this.detail = lines;
    this.refresh();
  }

  async refresh() {
    if (!(await this.canvas.draw())) return;
    if (!this.isListening) this.chart.on("datazoom", () => this.onrange());
    this.isListening = true;
    this.chart.dispatchAction({ type: "takeGlobalCursor", key: "dataZoomSelect", dataZoomSelectActive: true });
  }

  dispose() {
    this.live.remove();
    this.canvas.dispose();
  }

  describe() {
    const texts = this.lines.map(({ name, series: { values } }) => {
      const low = values.reduce((a, b) => Math.min(a, b));
      const high = values.reduce((a, b) => Math.max(a, b));
      return `${name}: ${values.length} points, last ${number(values.at(-1))}, from ${number(low)} to ${number(high)}`;
    });
    return `${this.title} by ${X_AXES[this.settings.x].toLowerCase()}. ${texts.join("; ")}. Arrow keys read values, plus and minus zoom, 0 shows all.`;
  }

  option(colours) {
    const { x, log } = this.settings;
    const drawn = (this.detail ?? this.lines).map((line) => ({ ...line, points: pairs(line.series, x) }));
    const all = this.lines.flatMap(({ series }) => pairs(series, x).map(([at]) => at));
    this.first = all.reduce((a, b) => Math.min(a, b), Infinity);
    this.last = all.reduce((a, b) => Math.max(a, b), -Infinity);
    const range = this.range ? { startValue: this.range[0], endValue: this.range[1] } : {};
    return {
      ...common(colours),
      xAxis: axis(colours, { type: x === "time" ? "time" : "value", min: this.first, max: this.last, splitLine: { show: false }, axisLabel: { color: colours.muted, hideOverlap: true, formatter: this.labels() } }),
      yAxis: axis(colours, { type: log ? "log" : "value", scale: true, axisLabel: { color: colours.muted, formatter: number } }),
      tooltip: tooltip(colours, (hovered) => this.hover([hovered].flat())),
      dataZoom: [{ type: "inside", filterMode: "none", zoomOnMouseWheel: "ctrl", moveOnMouseMove: false, ...range }],
      toolbox: { itemSize: 0, feature: { dataZoom: { yAxisIndex: "none", filterMode: "none", icon: { zoom: "path://", back: "path://" }, brushStyle: { color: colours.accent, opacity: 0.15 } } } },
      series: this.settings.band && drawn.length > 1 ? bandSeries(drawn, log) : drawn.flatMap((line) => this.lineSeries(line)),
    };
  }

  labels() {
    return { relative: duration }[this.settings.x];
  }

  lineSeries({ name, colour, points }) {
    const shown = this.settings.log ? points.filter(([, y]) => y > 0) : points;
    const line = { type: "line", name, data: shown, symbol: "circle", symbolSize: 4, showSymbol: shown.length < 2, lineStyle: { color: colour, width: 1.6 }, itemStyle: { color: colour } };
    if (!this.settings.smoothing) return [line];
    const faint = { ...line, lineStyle: { color: colour, width: 1, opacity: 0.3 }, tooltip: { show: false } };
    return [faint, { ...line, name: `${name} (smoothed)`, data: smooth(shown, this.settings.smoothing) }];
  }

  hover(hovered) {
    const rows = hovered.filter(({ seriesName }) => !seriesName.startsWith("\0"));
    if (!rows.length) return "";
    return el(
      "div",
      {},
      el("strong", {}, this.position(rows[0].value[0])),
      rows.slice(0, 20).map(({ seriesName, value, color }) => {
        const dot = el("span", { class: "dot" });
        dot.style.background = color;
        return el("div", { class: "hover-row" }, dot, el("span", {}, seriesName), el("b", {}, number(value[1])));
      }),
    );
  }

  position(x) {
    if (this.settings.x === "time") return moment(x / 1000);
    return this.settings.x === "relative" ? duration(x) : `Step ${number(x)}`;
  }

  onkey(event) {
    const keys = { ArrowLeft: () => this.read(-1), ArrowRight: () => this.read(1), "+": () => this.zoomBy(0.5), "-": () => this.zoomBy(2), 0: () => this.zoom(0, 100) };
    if (!this.chart || !keys[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    keys[event.key]();
  }

  /** Show and read out the value that is `offset` points further. */
  read(offset) {
    const { series, name } = this.lines[0];
    const points = pairs(series, this.settings.x);
    this.cursor = Math.min(Math.max((this.cursor ?? (offset > 0 ? -1 : points.length)) + offset, 0), points.length - 1);
    const [x, y] = points[this.cursor];
    this.live.textContent = `${this.position(x)}, ${name}: ${number(y)}`;
    this.chart.dispatchAction({ type: "showTip", seriesIndex: 0, dataIndex: this.cursor });
  }

  zoomBy(factor) {
    const [from, to] = this.range ?? [this.first, this.last];
    const [middle, half] = [(from + to) / 2, ((to - from) / 2) * factor];
    const share = (value) => (100 * (value - this.first)) / (this.last - this.first || 1);
    this.zoom(Math.max(share(middle - half), 0), Math.min(share(middle + half), 100));
  }

  zoom(start, end) {
    this.chart.dispatchAction({ type: "dataZoom", dataZoomIndex: 0, start, end });
  }

  onrange() {
    const { startValue, endValue } = this.chart.getOption().dataZoom[0];
    const isAll = startValue <= this.first && endValue >= this.last;
    const hadDetail = this.detail !== null;
    this.range = isAll ? null : [startValue, endValue];
    this.detail = null;
    if (isAll) {
      if (hadDetail) this.refresh();
      this.onzoom?.();
    } else {
      this.onzoom?.(...this.stepRange(startValue, endValue));
    }
  }

  /** Return the steps of the points around a range of the x axis. */
  stepRange(from, to) {
    if (this.settings.x === "step") return [from, to];
    const steps = this.lines.flatMap(({ series }) => {
      const xs = pairs(series, this.settings.x);
      return series.steps.filter((_, index) => xs[index] && xs[index][0] >= from && xs[index][0] <= to);
    });
    return [Math.min(...steps), Math.max(...steps)];
  }
}

/** Return the series of a mean within a band from lowest to highest. The names of parts that hover leaves out begin with NUL. */
function bandSeries(lines, log) {
  const { mean, low, high } = band(lines.map(({ points }) => (log ? points.filter(([, y]) => y > 0) : points)));
  const { colour } = lines[0];
  const hidden = { type: "line", symbol: "none", lineStyle: { opacity: 0 }, stack: "band", stackStrategy: "all", silent: true };
  const height = high.map(([x, y], index) => [x, y - low[index][1]]);
  return [
    { ...hidden, name: "\0low", data: low },
    { ...hidden, name: "\0high", data: height, areaStyle: { color: colour, opacity: 0.18 } },
    { type: "line", name: `mean of ${lines.length} runs`, data: mean, symbol: "none", lineStyle: { color: colour, width: 2 }, itemStyle: { color: colour } },
    { type: "line", name: "lowest", data: low, symbol: "none", lineStyle: { color: colour, width: 0.5, opacity: 0.5 }, itemStyle: { color: colour, opacity: 0.4 } },
    { type: "line", name: "highest", data: high, symbol: "none", lineStyle: { color: colour, width: 0.5, opacity: 0.5 }, itemStyle: { color: colour, opacity: 0.4 } },
  ];
}
