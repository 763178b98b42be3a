// A table that sorts by its headings and shows its rows in portions.

import { el } from "./dom.js";
import { cell } from "./format.js";

const PORTION = 100;

/**
 * Show rows in `columns`: {key, title, value(row), show(row), numeric}. `group(row)` folds rows under headings.
 * Clicking a heading sorts; rows without a value come last.
 */
export class Table {
  constructor({ label, columns, sort = null, descending = false, group = null, empty = "None." }) {
    Object.assign(this, { columns, sort, descending, group, empty });
    this.rows = [];
    this.shown = PORTION;
    this.folded = new Set();
    this.head = el("thead");
    this.body = el("tbody");
    this.more = el("button", { onclick: () => this.showMore() });
    this.element = el("div", { class: "scroll", role: "region", "aria-label": label, tabindex: 0 }, el("table", { "aria-label": label }, this.head, this.body), this.more);
  }

  update(rows, columns = this.columns) {
    Object.assign(this, { rows, columns });
    this.draw();
  }

  draw() {
    const focused = document.activeElement?.dataset?.focus;
    this.head.replaceChildren(el("tr", {}, this.columns.map((column) => this.heading(column))));
    const rows = this.sorted();
    this.body.replaceChildren(...(rows.length ? this.bodyRows(rows) : [el("tr", {}, el("td", { colspan: this.columns.length, class: "muted" }, this.empty))]));
    this.more.hidden = rows.length <= this.shown;
    this.more.textContent = `Show more (${rows.length - this.shown} left)`;
    if (focused) this.element.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
  }

  bodyRows(rows) {
    if (!this.group) return rows.slice(0, this.shown).map((row) => this.row(row));
    const groups = new Map();
    for (const row of rows) groups.set(this.group(row), [...(groups.get(this.group(row)) ?? []), row]);
    return [...groups].flatMap(([name, members]) => [this.groupRow(name, members), ...(this.folded.has(name) ? [] : members.map((row) => this.row(row)))]);
  }

  groupRow(name, members) {
    const isOpen = !this.folded.has(name);
    const toggle = () => {
      this.folded[isOpen ? "add" : "delete"](name);
      this.draw();
    };
    const button = el("button", { class: "quiet", "aria-expanded": String(isOpen), "data-focus": `group ${name}`, onclick: toggle }, isOpen ? "▾ " : "▸ ", name || "(no group)", " ", el("span", { class: "muted" }, members.length));
    return el("tr", { class: "group" }, el("th", { colspan: this.columns.length, scope: "rowgroup" }, button));
  }

  row(row) {
    return el("tr", {}, this.columns.map((column) => el("td", { class: column.numeric ? "number" : null }, column.show ? column.show(row) : cell(column.value(row)))));
  }

  heading(column) {
    if (!column.value) return el("th", { scope: "col" }, column.title);
    const isSorted = this.sort === column.key;
    const order = isSorted ? (this.descending ? "descending" : "ascending") : "none";
    const mark = isSorted ? (this.descending ? " ↓" : " ↑") : "";
    const button = el("button", { class: "quiet", "data-focus": `sort ${column.key}`, onclick: () => this.sortBy(column) }, column.title, mark);
    return el("th", { scope: "col", "aria-sort": order, class: column.numeric ? "number" : null }, button);
  }

  sortBy(column) {
    this.descending = this.sort === column.key ? !this.descending : Boolean(column.numeric);
    this.sort = column.key;
    this.draw();
  }

  sorted() {
    const column = this.columns.find(({ key }) => key === this.sort);
    if (!column?.value) return this.rows;
    const sign = this.descending ? -1 : 1;
    const hasValue = (value) => value !== null && value !== undefined && value !== "";
    return [...this.rows].sort((first, second) => {
      const [a, b] = [column.value(first), column.value(second)];
      if (!hasValue(a) || !hasValue(b)) return hasValue(b) - hasValue(a);
      return sign * compare(a, b);
    });
  }

  showMore() {
    this.shown += PORTION;
    this.draw();
  }
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), undefined, { numeric: true });
}
