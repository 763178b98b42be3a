// The page of a project: its runs, and their metrics over each other.

import { load, watch } from "./api.js";
import { ChartGrid } from "./chart-grid.js";
import { el, link, section } from "./dom.js";
import { plural } from "./format.js";
import { RunTable } from "./run-table.js";

const RUNS_COMPARED = 100;

const view = document.getElementById("view");
const { source, base } = view.dataset;
const title = view.querySelector("h1").textContent;
const links = el("p", {});
let columns = [];

const table = new RunTable({
  onselect: compare,
  oncolumns: (chosen) => {
    columns = chosen.length ? chosen : ["-"];
    refresh();
  },
});
const grid = new ChartGrid({ source: `/-/data/series${base}`, runs: [], settings: { band: false } });
const hint = el("p", { class: "muted" }, "Select runs in the table to see their metrics over each other.");
const comparison = section("comparison", "Comparison", hint, grid.element);

grid.element.hidden = true;
view.replaceChildren(el("h1", {}, title), links, section("runs", "Runs", table.element), comparison);
const refresh = watch(source, show, { isLive: ({ runs }) => runs.some((run) => run.is_live), parameters: () => ({ column: columns }) });

async function show(project) {
  table.update(project);
  links.replaceChildren(
    project.sweeps ? link(plural(project.sweeps, "sweep"), `${base}/sweeps`) : "No sweeps",
    " · ",
    project.artifacts ? link(plural(project.artifacts, "artifact"), `${base}/artifacts`) : "No artifacts",
  );
  if (grid.runs.length) await showMetrics();
}

async function compare(selected) {
  grid.setRuns(selected.slice(0, RUNS_COMPARED));
  grid.element.hidden = !selected.length;
  hint.hidden = selected.length > 0;
  if (selected.length) await showMetrics();
}

async function showMetrics() {
  const { metrics } = await load(`/-/data/metrics${base}`, { run: grid.runs.map(({ id }) => id) });
  grid.setMetrics(metrics);
}
