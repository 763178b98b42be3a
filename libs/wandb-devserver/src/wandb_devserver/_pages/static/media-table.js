// A logged table; the server sorts it and sends it in portions.

import { load } from "./api.js";
import { el } from "./dom.js";
import { cell, plural } from "./format.js";

const PORTION = 100;

export class MediaTable {
  constructor(source, label) {
    this.source = source;
    this.offset = 0;
    this.status = el("span", { class: "muted", role: "status" });
    this.head = el("thead");
    this.body = el("tbody");
    this.previous = el("button", { onclick: () => this.move(-PORTION) }, "Previous rows");
    this.next = el("button", { onclick: () => this.move(PORTION) }, "Next rows");
    this.element = el(
      "div",
      {},
      el("div", { class: "scroll bounded", role: "region", "aria-label": label, tabindex: 0 }, el("table", { "aria-label": label }, this.head, this.body)),
      el("div", { class: "toolbar" }, this.previous, this.next, this.status),
    );
  }

  async update(path) {
    if (path === this.path) return;
    Object.assign(this, { path, offset: 0, sort: undefined, descending: false });
    await this.load();
  }

  async load() {
    const { columns, rows, count, problem } = await load(this.source, { path: this.path, offset: this.offset, sort: this.sort, descending: this.descending ? "yes" : undefined });
    this.head.replaceChildren(el("tr", {}, columns.map((name, index) => this.heading(name, index))));
    this.body.replaceChildren(...rows.map((row) => el("tr", {}, row.map((value) => el("td", { class: typeof value === "number" ? "number" : null }, cell(value))))));
    this.previous.hidden = this.offset === 0;
    this.next.hidden = this.offset + rows.length >= count;
    const range = rows.length < count ? `rows ${this.offset + 1} to ${this.offset + rows.length} of ` : "";
    this.status.textContent = problem ?? range + plural(count, "row");
  }

  heading(name, index) {
    const isSorted = this.sort === index;
    const mark = isSorted ? (this.descending ? " ↓" : " ↑") : "";
    const sort = () => {
      this.descending = isSorted && !this.descending;
      Object.assign(this, { sort: index, offset: 0 });
      return this.load();
    };
    return el("th", { scope: "col", "aria-sort": isSorted ? (this.descending ? "descending" : "ascending") : "none" }, el("button", { class: "quiet", onclick: sort }, name, mark));
  }

  move(rows) {
    this.offset = Math.max(this.offset + rows, 0);
    return this.load();
  }
}
