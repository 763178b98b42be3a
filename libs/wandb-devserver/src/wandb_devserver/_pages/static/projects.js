// The start page: all projects.

import { watch } from "./api.js";
import { el, link, section } from "./dom.js";
import { moment } from "./format.js";
import { Table } from "./table.js";

const view = document.getElementById("view");
const table = new Table({
  label: "Projects",
  sort: "created",
  descending: true,
  empty: "Nothing was logged yet. Set WANDB_BASE_URL and WANDB_API_KEY as the server printed them, and run a program that calls wandb.init().",
  columns: [
    { key: "name", title: "Project", value: ({ name }) => name, show: ({ name, url }) => link(name, url) },
    { key: "runs", title: "Runs", value: ({ runs }) => runs, numeric: true },
    { key: "sweeps", title: "Sweeps", value: ({ sweeps }) => sweeps, show: ({ sweeps, url }) => (sweeps ? link(String(sweeps), `${url}/sweeps`) : "0"), numeric: true },
    { key: "created", title: "Created", value: ({ created }) => created, show: ({ created }) => moment(created), numeric: true },
  ],
});

view.replaceChildren(el("h1", {}, "Projects"), section("projects", "All projects", table.element));
watch(view.dataset.source, ({ projects }) => table.update(projects));
