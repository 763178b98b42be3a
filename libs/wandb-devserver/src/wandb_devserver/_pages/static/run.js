// The page of a run.

import { watch } from "./api.js";
import { artifactTable } from "./artifact-table.js";
import { ChartGrid } from "./chart-grid.js";
import { Console } from "./console.js";
import { badge, el, link, outsideLink, section } from "./dom.js";
import { bytes, duration, moment, plural } from "./format.js";
import { MediaPanel } from "./media.js";
import { Table } from "./table.js";
import { colour } from "./theme.js";
import { Tree } from "./tree.js";

const view = document.getElementById("view");
const { source, base } = view.dataset;
const seriesSource = `/-/data/series${base}`;

const parts = {};

watch(source, show, { isLive: (run) => run.is_live });

async function show(run) {
  if (!parts.header) build(run);
  parts.header.replaceChildren(...header(run));
  document.title = `${run.name} · wandb-devserver`;
  parts.charts.setMetrics(run.metrics);
  parts.rows.textContent = plural(run.rows, "row");
  parts.system.setMetrics(run.system);
  parts.media.update(run.media);
  parts.config.update(run.config);
  parts.summary.update(run.summary);
  parts.files.update(run.files);
  parts.fileCount.textContent = run.files.length < run.file_count ? `first ${run.files.length} of ${run.file_count}` : plural(run.file_count, "file");
  parts.logged.update(run.logged);
  parts.used.update(run.used);
  setHidden("charts", !Object.keys(run.metrics).length);
  setHidden("media", !run.media.length);
  setHidden("system", !Object.keys(run.system).length);
  setHidden("artifacts", !run.logged.length && !run.used.length);
  await parts.console.update(run.lines);
}

function build(run) {
  const self = { id: run.id, name: run.name, colour: colour(0) };
  parts.header = el("div", { class: "page-header" });
  parts.charts = new ChartGrid({ source: seriesSource, runs: [self] });
  parts.rows = el("span", { class: "muted" });
  parts.system = new ChartGrid({ source: seriesSource, runs: [self], stream: "events", label: "system metrics" });
  parts.media = new MediaPanel(source.replace("/-/data/run/", "/-/data/media/"));
  parts.config = new Tree("configuration");
  parts.summary = new Tree("summary");
  parts.console = new Console(source.replace("/-/data/run/", "/-/data/console/"));
  parts.files = fileTable();
  parts.fileCount = el("span", { class: "muted" });
  parts.logged = artifactTable("Artifacts logged");
  parts.used = artifactTable("Artifacts used");
  view.replaceChildren(
    parts.header,
    section("charts", ["Charts ", parts.rows], parts.charts.element),
    section("media", "Media", parts.media.element),
    el("div", { class: "columns" }, section("config", "Configuration", parts.config.element), section("summary", "Summary", parts.summary.element)),
    section("console", "Console", parts.console.element),
    section("system", "System metrics", parts.system.element),
    section("files", ["Files ", parts.fileCount], parts.files.element),
    section("artifacts", "Artifacts", el("h3", {}, "Logged"), parts.logged.element, el("h3", {}, "Used"), parts.used.element),
  );
}

function setHidden(id, isHidden) {
  document.getElementById(id).hidden = isHidden;
}

function header(run) {
  const facts = [
    ["Run id", run.id],
    ["Group", run.group && link(run.group, run.group_url)],
    ["Job type", run.job_type],
    ["Sweep", run.sweep && link(run.sweep, run.sweep_url)],
    ["Created", moment(run.created)],
    ["Duration", duration(run.duration)],
    ["Host", run.host],
    ["Program", run.program],
    ["Commit", run.commit],
  ];
  return [
    el("h1", {}, run.name, " ", badge(run.state), " ", el("span", { class: "muted reason" }, run.reason.join(", "))),
    run.flyte && el("p", {}, outsideLink("Open the task in Flyte", run.flyte)),
    el("p", { class: "tags" }, run.tags.map((tag) => el("span", { class: "badge" }, tag))),
    run.notes && el("p", { class: "notes" }, run.notes),
    el("dl", { class: "facts" }, facts.filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))),
  ].filter(Boolean);
}

function fileTable() {
  return new Table({
    label: "Files",
    columns: [
      { key: "name", title: "Name", value: ({ name }) => name, show: ({ name, url }) => el("a", { href: url, download: "" }, name) },
      { key: "size", title: "Size", value: ({ size }) => size, show: ({ size }) => bytes(size), numeric: true },
      { key: "updated", title: "Updated", value: ({ updated }) => updated, show: ({ updated }) => moment(updated), numeric: true },
    ],
  });
}
