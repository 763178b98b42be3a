// The sweeps of a project.

import { watch } from "./api.js";
import { badge, el, link, section } from "./dom.js";
import { moment } from "./format.js";
import { Table } from "./table.js";

const view = document.getElementById("view");
const table = new Table({
  label: "Sweeps",
  sort: "created",
  descending: true,
  empty: "No sweep was created yet.",
  columns: [
    { key: "name", title: "Sweep", value: ({ name }) => name, show: ({ name, url }) => link(name, url) },
    { key: "id", title: "Id", value: ({ id }) => id },
    { key: "state", title: "State", value: ({ state }) => state, show: ({ state }) => badge(state) },
    { key: "method", title: "Method", value: ({ method }) => method },
    { key: "runs", title: "Runs", value: ({ runs }) => runs, numeric: true },
    { key: "created", title: "Created", value: ({ created }) => created, show: ({ created }) => moment(created), numeric: true },
  ],
});

view.replaceChildren(el("h1", {}, "Sweeps"), section("sweeps", "All sweeps", table.element));
watch(view.dataset.source, ({ sweeps }) => table.update(sweeps), { isLive: (data) => data.is_live });
