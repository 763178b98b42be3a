// Draws the charts of the reports in the document, each as soon as its tab is shown.
(() => {
  const [TEXT, MUTED, LINE, BLUE, ORANGE] = ["#1c2026", "#5b6470", "#d9dde2", "#2f7ed8", "#e8743b"];

  const number = (value) => (typeof value === "number" ? String(Number(value.toPrecision(5))) : String(value ?? "–"));

  const shortened = (text) => (text.length > 16 ? `${text.slice(0, 15)}…` : text);

  const axis = (options) => ({
    axisLine: { lineStyle: { color: LINE } },
    axisTick: { show: false },
    axisLabel: { color: MUTED, hideOverlap: true },
    splitLine: { lineStyle: { color: LINE, opacity: 0.5 } },
    ...options,
  });

  const numbers = (options = {}) => axis({ type: "value", scale: true, axisLabel: { color: MUTED, hideOverlap: true, formatter: number }, ...options });

  const grid = { left: 8, right: 18, top: 16, bottom: 24, outerBoundsMode: "same", outerBoundsContain: "axisLabel" };

  // Elements rather than HTML: names may contain anything.
  function lines(...texts) {
    const box = document.createElement("div");
    box.append(...texts.map((text) => Object.assign(document.createElement("div"), { textContent: text })));
    return box;
  }

  const OPTIONS = {
    line: ({ title, xName, points }) => ({
      grid,
      xAxis: numbers({ name: xName, nameLocation: "middle", nameGap: 24, nameTextStyle: { color: MUTED }, splitLine: { show: false } }),
      yAxis: numbers(),
      tooltip: { trigger: "axis", confine: true, formatter: ([{ value }]) => lines(`${xName} ${value[0]}`, `${title}: ${number(value[1])}`) },
      series: [{ type: "line", data: points, showSymbol: points.length < 20, color: BLUE, lineStyle: { width: 2 } }],
    }),
    bar: ({ title, bars, best }) => ({
      grid,
      xAxis: axis({ type: "category", data: bars.map((_, index) => String(index + 1)), name: "Trial", nameLocation: "middle", nameGap: 24, nameTextStyle: { color: MUTED }, splitLine: { show: false } }),
      yAxis: numbers({ scale: false }),
      tooltip: { trigger: "axis", confine: true, formatter: ([{ dataIndex: at }]) => lines(bars[at][0], `${title}: ${number(bars[at][1])}`, ...(best ? [`Best so far: ${number(best[at])}`] : [])) },
      series: [
        { type: "bar", data: bars.map(([, value]) => value), color: BLUE, barMaxWidth: 28 },
        ...(best ? [{ type: "line", data: best, step: "end", symbol: "none", color: ORANGE, lineStyle: { width: 2 } }] : []),
      ],
    }),
    parallel: ({ axes, lines: trials }) => {
      const scales = axes.map((_, dim) => scaleOf(trials.map(([, values]) => values[dim])));
      // A number would be an index among the categories.
      const coordinate = (value, dim) => (scales[dim].type === "category" ? category(value) : value);
      const label = { color: TEXT, backgroundColor: "#fff", padding: [1, 3], formatter: (value) => shortened(number(value)) };
      const common = { nameGap: 14, nameTextStyle: { color: TEXT, width: 130, overflow: "truncate" }, axisLabel: label, axisLine: { lineStyle: { color: MUTED } }, axisTick: { show: false } };
      return {
        parallel: { left: 50, right: 60, top: 40, bottom: 24, parallelAxisDefault: common },
        parallelAxis: axes.map((name, dim) => ({ dim, name, ...scales[dim] })),
        tooltip: { trigger: "item", confine: true, formatter: ({ dataIndex: at }) => lines(trials[at][0], ...axes.map((name, dim) => `${name}: ${number(trials[at][1][dim])}`)) },
        series: [{ type: "parallel", data: trials.map(([name, values]) => ({ name, value: values.map(coordinate) })), color: BLUE, lineStyle: { width: 2, opacity: 0.6, color: BLUE }, emphasis: { lineStyle: { width: 4 } }, smooth: 0.15 }],
      };
    },
  };

  const category = (value) => (value === null ? "–" : String(value));

  // Categories unless all values are numbers; logarithmic when they span decades.
  function scaleOf(values) {
    if (!values.every((value) => typeof value === "number")) {
      return { type: "category", data: [...new Set(values.map(category))].sort((a, b) => a.localeCompare(b, undefined, { numeric: true })) };
    }
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return low > 0 && high / low >= 50 ? { type: "log" } : { type: "value", scale: true };
  }

  function draw(box) {
    const data = JSON.parse(box.parentElement.querySelector("script").textContent);
    const chart = wandbReportCharts.init(box, null, { renderer: "svg" });
    chart.setOption({ animation: false, textStyle: { fontFamily: "system-ui, sans-serif" }, ...OPTIONS[box.dataset.kind](data) });
    box.dataset.drawn = "yes";
    return chart;
  }

  function observe(box) {
    if (box.dataset.observed) return;
    box.dataset.observed = "yes";
    let chart = null;
    // The box of a hidden tab has no size.
    new ResizeObserver(([{ contentRect: { width } }]) => {
      if (!width) return;
      if (chart) chart.resize();
      else chart = draw(box);
    }).observe(box);
  }

  const start = () => document.querySelectorAll(".wandb-report .chart").forEach(observe);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
