// The artifacts of a project.

import { watch } from "./api.js";
import { el, link, section } from "./dom.js";
import { moment } from "./format.js";
import { Table } from "./table.js";

const view = document.getElementById("view");
const table = new Table({
  label: "Artifacts",
  sort: "name",
  empty: "No artifact was logged yet.",
  columns: [
    { key: "name", title: "Name", value: ({ name }) => name, show: ({ name, url }) => link(name, url) },
    { key: "type", title: "Type", value: ({ type }) => type },
    { key: "versions", title: "Versions", value: ({ versions }) => versions, numeric: true },
    { key: "updated", title: "Updated", value: ({ updated }) => updated, show: ({ updated }) => moment(updated), numeric: true },
  ],
});

view.replaceChildren(el("h1", {}, "Artifacts"), section("artifacts", "All artifacts", table.element));
watch(view.dataset.source, ({ collections }) => table.update(collections), { isLive: () => false });
