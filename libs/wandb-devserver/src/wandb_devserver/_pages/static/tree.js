// A JSON document as a tree that folds, with a search of keys and values.

import { el, searchBox } from "./dom.js";
import { cell } from "./format.js";

const CHILDREN_SHOWN = 200;
const TEXT_SHOWN = 2000;

/** Show a document; `update` shows another one if it differs. */
export class Tree {
  constructor(label) {
    this.pattern = "";
    this.folded = new Set();
    this.list = el("div", { class: "tree" });
    this.element = el("div", {}, searchBox(`Search ${label}`, (pattern) => this.search(pattern)), this.list);
  }

  update(document) {
    const text = JSON.stringify(document);
    if (text === this.text) return;
    Object.assign(this, { text, document });
    this.draw();
  }

  search(pattern) {
    this.pattern = pattern.toLowerCase();
    this.draw();
  }

  draw() {
    const rows = this.entries(this.document, "");
    this.list.replaceChildren(...(rows.length ? rows : [el("p", { class: "muted" }, this.pattern ? "Nothing matches." : "Empty.")]));
  }

  entries(document, path) {
    const entries = Array.isArray(document) ? document.map((value, index) => [String(index), value]) : Object.entries(document).sort(byKey);
    const matching = entries.filter(([key, value]) => this.matches(`${path}${key}`, value));
    const rows = matching.slice(0, CHILDREN_SHOWN).map(([key, value]) => this.entry(key, value, `${path}${key}`));
    const left = matching.length - rows.length;
    return left > 0 ? [...rows, el("p", { class: "muted" }, `${left} more; search to see them.`)] : rows;
  }

  matches(path, value) {
    if (path.toLowerCase().includes(this.pattern)) return true;
    if (isParent(value)) return Object.entries(value).some(([key, child]) => this.matches(`${path}.${key}`, child));
    return cell(value).toLowerCase().includes(this.pattern);
  }

  entry(key, value, path) {
    if (!isParent(value)) {
      const text = value === null ? "null" : cell(value);
      return el("div", { class: "leaf" }, el("span", { class: "key" }, key), el("span", { class: `value ${typeof value}`, title: String(value).slice(0, TEXT_SHOWN) }, text.slice(0, TEXT_SHOWN)));
    }
    const children = el("div", { class: "children" });
    const size = Object.keys(value).length;
    const isOpen = this.pattern ? true : !this.folded.has(path) && size <= 20;
    const details = el("details", { open: isOpen }, el("summary", {}, el("span", { class: "key" }, key), el("span", { class: "muted" }, Array.isArray(value) ? ` [${size}]` : ` {${size}}`)), children);
    // Children are built when they are first seen: documents may be large.
    const fill = () => children.childElementCount || children.append(...this.entries(value, `${path}.`));
    if (isOpen) fill();
    details.addEventListener("toggle", () => {
      if (details.open) fill();
      this.folded[details.open ? "delete" : "add"](path);
    });
    return details;
  }
}

function isParent(value) {
  return value !== null && typeof value === "object" && Object.keys(value).length > 0;
}

function byKey([a], [b]) {
  return a.localeCompare(b, undefined, { numeric: true });
}
