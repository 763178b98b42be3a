// The console of a run: colours, search, earlier lines, following the end.

import { load } from "./api.js";
import { styled } from "./ansi.js";
import { debounce, el, labelled, searchBox } from "./dom.js";

const LINES_KEPT = 5000;

export class Console {
  constructor(source) {
    this.source = source;
    this.pattern = "";
    this.lines = new Map();
    this.status = el("span", { class: "muted", role: "status" });
    this.follow = el("input", { type: "checkbox", checked: true, onchange: () => this.scroll() });
    this.earlier = el("button", { onclick: () => this.loadEarlier(), hidden: true }, "Show earlier lines");
    this.output = el("pre", { class: "console", tabindex: 0, role: "log", "aria-label": "Console output" });
    const search = searchBox("Search the console", debounce((pattern) => this.search(pattern), 200));
    this.element = el("div", {}, el("div", { class: "toolbar" }, search, labelled("Follow", this.follow), this.status), this.earlier, this.output);
  }

  /** Load what was written since. `total` is how many lines there are. */
  async update(total) {
    if (this.pattern) return;
    // The last line may have been rewritten: progress bars do that.
    const known = [...this.lines.keys()].at(-1);
    if (total < (known ?? 0)) this.lines.clear();
    this.add(await load(this.source, { after: this.lines.size ? Math.max(known - 5, 0) : undefined }));
  }

  add({ total, lines }) {
    for (const [position, ...line] of lines) this.lines.set(position, line);
    const order = unbroken([...this.lines.keys()].sort((a, b) => a - b));
    this.lines = new Map(order.slice(-LINES_KEPT).map((position) => [position, this.lines.get(position)]));
    this.show([...this.lines], total);
    this.earlier.hidden = order.length === 0 || order[0] === 0 || order.length >= LINES_KEPT;
  }

  async loadEarlier() {
    this.follow.checked = false;
    this.add(await load(this.source, { before: this.lines.keys().next().value }));
    this.output.scrollTop = 0;
  }

  async search(pattern) {
    this.pattern = pattern;
    if (!pattern) {
      this.lines.clear();
      this.add(await load(this.source));
      return;
    }
    const { total, lines } = await load(this.source, { search: pattern });
    if (pattern !== this.pattern) return;
    this.earlier.hidden = true;
    this.show(lines.map(([position, ...line]) => [position, line]), total);
    this.status.textContent = `${lines.length} of ${total} lines match`;
  }

  show(lines, total) {
    this.output.replaceChildren(...lines.map(([position, [text, timestamp, level]]) => el("div", { class: level === "error" ? "line stderr" : "line", title: timestamp, "data-line": position + 1 }, styled(text))));
    this.status.textContent = lines.length < total ? `last ${lines.length} of ${total} lines` : `${total} lines`;
    this.scroll();
  }

  scroll() {
    if (this.follow.checked) this.output.scrollTop = this.output.scrollHeight;
  }
}

/** Return the positions after the last gap: more was written at once than is sent, and "earlier lines" loads it. */
function unbroken(order) {
  let first = order.length - 1;
  while (first > 0 && order[first - 1] === order[first] - 1) first -= 1;
  return order.slice(Math.max(first, 0));
}
