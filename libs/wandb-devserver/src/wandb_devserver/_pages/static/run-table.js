// Runs as a table: filter, sort, group folding, columns to choose, selection.

import { badge, el, labelled, link, searchBox } from "./dom.js";
import { cell, duration, moment, plural } from "./format.js";
import { Table } from "./table.js";
import { colour } from "./theme.js";

const GROUPINGS = { "": "no grouping", group: "group", job_type: "job type", state: "state", sweep: "sweep" };

/** Show runs. `onselect(runs)` gets the selected ones with their colours; `oncolumns(columns)` the chosen columns. */
export class RunTable {
  constructor({ onselect, oncolumns, sort = "created", descending = true, extra = [] }) {
    Object.assign(this, { onselect, oncolumns, extra });
    this.pattern = "";
    this.selected = new Map();
    this.runs = [];
    this.status = el("span", { class: "muted", role: "status" });
    this.table = new Table({ label: "Runs", columns: [], sort, descending, empty: "No run matches." });
    this.choice = el("div", { class: "choice" });
    const grouping = el("select", { onchange: ({ target }) => this.groupBy(target.value) }, Object.entries(GROUPINGS).map(([value, text]) => el("option", { value }, text)));
    this.element = el(
      "div",
      {},
      el(
        "div",
        { class: "toolbar" },
        searchBox("Filter runs", (pattern) => this.filter(pattern)),
        labelled("Group by", grouping),
        oncolumns && el("details", { class: "menu" }, el("summary", {}, "Columns"), this.choice),
        this.status,
      ),
      this.table.element,
    );
  }

  update({ runs, columns = [], available = [], count = runs.length }) {
    Object.assign(this, { runs, columns, count });
    if (this.oncolumns && String(available) !== this.available) this.showChoice(available);
    this.draw();
  }

  filter(pattern) {
    this.pattern = pattern.toLowerCase();
    this.draw();
  }

  groupBy(field) {
    this.table.group = field ? (run) => run[field] ?? "" : null;
    this.draw();
  }

  draw() {
    const shown = this.runs.filter((run) => this.text(run).includes(this.pattern));
    this.table.update(shown, this.headings());
    const newest = this.runs.length < this.count ? ` (the newest ${this.runs.length} of ${this.count})` : "";
    this.status.textContent = (this.pattern ? `${shown.length} of ${plural(this.runs.length, "run")}` : plural(this.runs.length, "run")) + newest;
  }

  text(run) {
    const values = Object.entries(run.values ?? {}).map(([key, value]) => `${key.replace(/^\w+\./, "")}=${cell(value)}`);
    return [run.name, run.id, run.state, run.group, run.job_type, run.sweep, ...run.tags, ...values].join("\n").toLowerCase();
  }

  headings() {
    return [
      this.onselect && { key: "select", title: el("span", { class: "reader-only" }, "Selected"), show: (run) => this.selector(run) },
      { key: "name", title: "Name", value: ({ name }) => name, show: ({ name, url }) => link(name, url) },
      { key: "state", title: "State", value: ({ state }) => state, show: ({ state }) => badge(state) },
      ...this.extra,
      this.has("group") && { key: "group", title: "Group", value: ({ group }) => group },
      this.has("job_type") && { key: "job_type", title: "Job type", value: ({ job_type: type }) => type },
      { key: "created", title: "Created", value: ({ created }) => created, show: ({ created }) => moment(created), numeric: true },
      { key: "duration", title: "Duration", value: ({ duration: seconds }) => seconds, show: ({ duration: seconds }) => duration(seconds), numeric: true },
      ...this.columns.map((key) => ({ key, title: key.replace(/^\w+\./, ""), value: ({ values }) => values[key], numeric: this.runs.some(({ values }) => typeof values[key] === "number") })),
      this.runs.some(({ tags }) => tags.length) && { key: "tags", title: "Tags", value: ({ tags }) => tags.join(" "), show: ({ tags }) => tags.map((tag) => el("span", { class: "badge" }, tag)) },
    ].filter(Boolean);
  }

  has(field) {
    return this.runs.some((run) => run[field]);
  }

  selector(run) {
    const mark = this.selected.get(run.id);
    const box = el("input", { type: "checkbox", checked: mark !== undefined, "aria-label": `Compare ${run.name}`, "data-focus": `run ${run.id}`, onchange: ({ target }) => this.select(run, target.checked) });
    if (mark) box.style.accentColor = mark;
    return box;
  }

  select(run, isSelected) {
    if (isSelected) {
      const used = [...this.selected.values()];
      let index = 0;
      while (used.includes(colour(index)) && index < 9) index += 1;
      this.selected.set(run.id, colour(index));
    } else {
      this.selected.delete(run.id);
    }
    this.draw();
    const names = new Map(this.runs.map(({ id, name }) => [id, name]));
    this.onselect([...this.selected].map(([id, mark]) => ({ id, name: names.get(id) ?? id, colour: mark })));
  }

  showChoice(available) {
    this.available = String(available);
    const boxes = available.map((key) => {
      const box = el("input", { type: "checkbox", value: key, checked: this.columns.includes(key), onchange: () => this.oncolumns(this.checked()) });
      return el("label", {}, box, " ", key);
    });
    const search = searchBox("Search columns", (pattern) => boxes.forEach((label) => {
      label.hidden = !label.textContent.toLowerCase().includes(pattern.toLowerCase());
    }));
    this.choice.replaceChildren(search, ...boxes);
  }

  checked() {
    return [...this.choice.querySelectorAll("input:checked")].map(({ value }) => value);
  }
}
