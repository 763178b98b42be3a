// A box with a chart of the charting library: its size, theme, keys and description.

import "./trusted.js";
import { colours, onThemeChange } from "./theme.js";

// Starting the charting library takes longer than all else: pages request and show their data meanwhile.
const library = import("./vendor/echarts.js");

/** Own one chart. `describe()` returns what a screen reader says of it; `option(colours)` what to draw. */
export class Canvas {
  constructor(box, { describe, option }) {
    this.box = box;
    this.describe = describe;
    this.option = option;
    this.chart = null;
    this.isDisposed = false;
    this.resizes = new ResizeObserver(() => this.chart?.resize());
    this.resizes.observe(box);
    this.forget = onThemeChange(() => this.draw());
    box.setAttribute("role", "img");
  }

  /** Draw when the library has started, and return whether the box still shows the chart then. */
  async draw() {
    const { init } = await library;
    if (this.isDisposed) return false;
    this.chart ??= init(this.box, null, { renderer: "canvas" });
    this.chart.setOption(this.option(colours()), { notMerge: true });
    this.box.setAttribute("aria-label", this.describe());
    this.box.dataset.drawn = "yes";
    return true;
  }

  dispose() {
    this.isDisposed = true;
    this.forget();
    this.resizes.disconnect();
    this.chart?.dispose();
    delete this.box.dataset.drawn;
  }
}

/** Return the parts of an option that all charts share. */
export function common(colours) {
  return {
    animation: false,
    backgroundColor: "transparent",
    textStyle: { fontFamily: "inherit", color: colours.text },
    grid: { left: 10, right: 18, top: 14, bottom: 8, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
  };
}

export function axis(colours, options) {
  return {
    axisLine: { lineStyle: { color: colours.line } },
    axisTick: { show: false },
    axisLabel: { color: colours.muted, hideOverlap: true },
    splitLine: { lineStyle: { color: colours.line, opacity: 0.5 } },
    nameTextStyle: { color: colours.muted },
    ...options,
  };
}

export function tooltip(colours, formatter, trigger = "axis") {
  return {
    trigger,
    formatter,
    confine: true,
    className: "hover",
    backgroundColor: colours.card,
    borderColor: colours.line,
    textStyle: { color: colours.text, fontSize: 12 },
    axisPointer: { type: "line", lineStyle: { color: colours.muted } },
  };
}
