// The page of a group: its runs, and their metrics over each other or as mean and band.

import { load, watch } from "./api.js";
import { ChartGrid } from "./chart-grid.js";
import { el, section } from "./dom.js";
import { RunTable } from "./run-table.js";
import { colour } from "./theme.js";

const RUNS_SHOWN = 100;

const view = document.getElementById("view");
const { source, base } = view.dataset;
const title = view.querySelector("h1").textContent;
let columns = [];

const table = new RunTable({
  sort: "created",
  descending: false,
  oncolumns: (chosen) => {
    columns = chosen.length ? chosen : ["-"];
    refresh();
  },
});
const charts = section("charts", "Charts");
let grid = null;

view.replaceChildren(el("h1", {}, `Group ${title}`), charts, section("runs", "Runs", table.element));
const refresh = watch(source, show, { isLive: ({ runs }) => runs.some((run) => run.is_live), parameters: () => ({ column: columns }) });

async function show(group) {
  table.update(group);
  const shown = group.runs.slice(0, RUNS_SHOWN).map(({ id, name }, index) => ({ id, name, colour: colour(index) }));
  if (grid?.runs.length !== shown.length) {
    grid?.element.remove();
    grid = new ChartGrid({ source: `/-/data/series${base}`, runs: shown, settings: { band: shown.length > 1 } });
    charts.append(grid.element);
  }
  const { metrics } = await load(`/-/data/metrics${base}`, { run: shown.map(({ id }) => id) });
  grid.setMetrics(metrics);
}
