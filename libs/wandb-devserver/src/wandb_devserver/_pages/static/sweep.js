// The page of a sweep.

import { watch } from "./api.js";
import { badge, el, link, section } from "./dom.js";
import { cell, moment, number, plural } from "./format.js";
import { RunTable } from "./run-table.js";
import { ImportanceChart, ParallelCoordinates, TrialChart } from "./sweep-charts.js";
import { Table } from "./table.js";
import { Tree } from "./tree.js";

const view = document.getElementById("view");
const parts = {};

watch(view.dataset.source, show, { isLive: (sweep) => sweep.is_live });

function show(sweep) {
  if (!parts.header) build(sweep);
  parts.header.replaceChildren(...header(sweep));
  parts.config.update(sweep.config);
  parts.agents.update(sweep.agents);
  parts.board.update({ runs: sweep.trials, columns: sweep.parameters, count: sweep.count });
  const hasValues = sweep.trials.some(({ metric }) => metric !== null);
  for (const id of ["parallel", "trials", "importance"]) document.getElementById(id).hidden = !hasValues;
  if (!hasValues) return;
  parts.parallel.update(sweep);
  parts.trials.update(sweep);
  parts.importance.update(sweep);
  document.getElementById("importance").hidden = !sweep.importance.length;
}

function build({ metric, maximize }) {
  const boxes = { parallel: el("div", { class: "chart tall" }), trials: el("div", { class: "chart" }), importance: el("div", { class: "chart" }) };
  parts.header = el("div", { class: "page-header" });
  parts.config = new Tree("configuration");
  parts.agents = agentTable();
  parts.board = new RunTable({
    sort: metric ? "metric" : "created",
    descending: maximize,
    extra: metric ? [{ key: "metric", title: metric, value: (run) => run.metric, show: (run) => el("b", {}, cell(run.metric)), numeric: true }] : [],
  });
  view.replaceChildren(
    parts.header,
    section("parallel", "Parallel coordinates", boxes.parallel),
    el("div", { class: "columns" }, section("trials", `${metric} over trials`, boxes.trials), section("importance", "Parameter importance", boxes.importance, el("p", { class: "muted" }, "Rank correlation with the metric: blue rises with the parameter, orange falls; grey is the correlation ratio of other values."))),
    section("leaderboard", "Leaderboard", parts.board.element),
    el("div", { class: "columns" }, section("config", "Configuration", parts.config.element), section("agents", "Agents", parts.agents.element)),
  );
  parts.parallel = new ParallelCoordinates(boxes.parallel);
  parts.trials = new TrialChart(boxes.trials);
  parts.importance = new ImportanceChart(boxes.importance);
}

function header(sweep) {
  const best = bestTrial(sweep);
  const goal = sweep.metric && `${sweep.maximize ? "maximize" : "minimize"} ${sweep.metric}`;
  return [
    el("h1", {}, sweep.name, " ", badge(sweep.state)),
    el("p", { class: "muted" }, [sweep.id, sweep.method, goal, plural(sweep.count, "run"), `created ${moment(sweep.created)}`].filter(Boolean).join(" · ")),
    sweep.description && el("p", { class: "notes" }, sweep.description),
    best && el("p", {}, "Best: ", link(best.name, best.url), ` with ${sweep.metric} `, el("b", {}, number(best.metric)), ` (${sweep.parameters.map((key) => `${key} ${cell(best.values[key])}`).join(", ")})`),
    !sweep.count && el("p", {}, "No agent has started a run yet: ", el("code", {}, `wandb agent ${sweep.path}`)),
  ].filter(Boolean);
}

function bestTrial({ trials, maximize }) {
  const known = trials.filter(({ metric }) => metric !== null);
  return known.reduce((best, trial) => (!best || (maximize ? trial.metric > best.metric : trial.metric < best.metric) ? trial : best), null);
}

function agentTable() {
  return new Table({
    label: "Agents",
    sort: "last_seen",
    descending: true,
    columns: [
      { key: "name", title: "Agent", value: ({ name }) => name },
      { key: "state", title: "State", value: ({ state }) => state, show: ({ state }) => badge(state) },
      { key: "host", title: "Host", value: ({ host }) => host },
      { key: "trials", title: "Trials", value: ({ trials }) => trials.length, numeric: true },
      { key: "last_seen", title: "Last seen", value: ({ last_seen: seen }) => seen, show: ({ last_seen: seen }) => moment(seen), numeric: true },
    ],
  });
}
