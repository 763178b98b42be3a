// Versions of artifacts as table rows.

import { el, link } from "./dom.js";
import { bytes, moment } from "./format.js";
import { Table } from "./table.js";

export function artifactTable(label) {
  return new Table({
    label,
    columns: [
      { key: "name", title: "Version", value: ({ name }) => name, show: ({ name, url }) => link(name, url) },
      { key: "type", title: "Type", value: ({ type }) => type },
      { key: "aliases", title: "Aliases", value: ({ aliases }) => aliases.join(" "), show: ({ aliases }) => aliases.map((alias) => el("span", { class: "badge" }, alias)) },
      { key: "files", title: "Files", value: ({ files }) => files, numeric: true },
      { key: "size", title: "Size", value: ({ size }) => size, show: ({ size }) => bytes(size), numeric: true },
      { key: "created", title: "Created", value: ({ created }) => created, show: ({ created }) => moment(created), numeric: true },
    ],
  });
}
