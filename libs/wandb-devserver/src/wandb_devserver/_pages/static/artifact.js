// One artifact: its versions, and one of them with files and lineage.

import { watch } from "./api.js";
import { artifactTable } from "./artifact-table.js";
import { badge, el, link, outsideLink, section } from "./dom.js";
import { bytes, moment, plural } from "./format.js";
import { Table } from "./table.js";
import { Tree } from "./tree.js";

const view = document.getElementById("view");
const versions = artifactTable("Versions");
const metadata = new Tree("metadata");
const header = el("div", { class: "page-header" });
const lineage = el("ul", { class: "plain" });
const files = new Table({
  label: "Files of the version",
  sort: "name",
  columns: [
    { key: "name", title: "Name", value: ({ name }) => name, show: fileLink },
    { key: "size", title: "Size", value: ({ size }) => size, show: ({ size }) => bytes(size), numeric: true },
  ],
});

view.replaceChildren(
  header,
  el("div", { class: "columns" }, section("lineage", "Lineage", lineage), section("metadata", "Metadata", metadata.element)),
  section("files", "Files", files.element),
  section("versions", "Versions", versions.element),
);
watch(view.dataset.source, show, { isLive: () => false });

function show({ name, type, description, versions: rows, shown }) {
  header.replaceChildren(
    el("h1", {}, shown?.name ?? name, " ", (shown?.aliases ?? []).map((alias) => el("span", { class: "badge" }, alias))),
    el("p", { class: "muted" }, `Artifact of type ${type}`, shown && `, ${bytes(shown.size)} in ${plural(shown.files, "file")}, created ${moment(shown.created)}`),
    el("p", {}, shown?.description ?? description ?? ""),
  );
  versions.update(rows);
  metadata.update(shown?.metadata ?? {});
  files.update(shown?.entries ?? []);
  const maker = shown?.logged_by;
  lineage.replaceChildren(
    el("li", {}, "Logged by ", maker ? runLink(maker) : "no run of this server"),
    ...(shown?.used_by ?? []).map((run) => el("li", {}, "Used by ", runLink(run))),
  );
}

function runLink(run) {
  return [link(run.name, run.url), " ", badge(run.state)];
}

function fileLink({ name, url, reference }) {
  if (reference === null) return url ? el("a", { href: url, download: "" }, name) : name;
  return [name, " ", el("span", { class: "muted" }, "reference to "), outsideLink(reference, url)];
}
