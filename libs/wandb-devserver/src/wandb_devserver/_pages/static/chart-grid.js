// All metrics of one run or several: search, settings, and charts that are loaded and drawn when they come into view.

import { load } from "./api.js";
import { debounce, el, labelled, searchBox } from "./dom.js";
import { number, plural } from "./format.js";
import { LineChart } from "./line-chart.js";
import { X_AXES } from "./lines.js";

// The first request is small, so that something shows early.
const KEYS_AT_FIRST = 3;
const KEYS_AT_ONCE = 12;
const LEGEND_SHOWN = 20;

/** Show the metrics of runs. `source` is the URL of series, `runs` are {id, name, colour}. */
export class ChartGrid {
  constructor({ source, runs, stream = "history", settings = {}, label = "metrics" }) {
    Object.assign(this, { source, runs, stream });
    this.settings = { x: stream === "events" ? "relative" : "step", smoothing: 0, log: false, band: false, ...settings };
    this.cards = new Map();
    this.pattern = "";
    this.queue = new Set();
    this.count = el("span", { class: "muted", role: "status" });
    this.groups = el("div");
    this.legend = el("div", { class: "legend" });
    this.element = el("div", {}, this.toolbar(label), this.legend, this.groups);
    this.showLegend();
    this.observer = new IntersectionObserver((entries) => entries.forEach((entry) => this.onview(entry)), { rootMargin: "300px" });
    this.flush = debounce(() => this.loadQueue(), 0);
  }

  /** Set how many values each metric has now; charts of metrics that grew are loaded again. */
  setMetrics(metrics) {
    const isNew = Object.keys(metrics).some((key) => !this.cards.has(key)) || [...this.cards.keys()].some((key) => !(key in metrics));
    for (const [key, count] of Object.entries(metrics)) {
      const card = this.cards.get(key) ?? this.addCard(key);
      if (card.count !== count) {
        card.count = count;
        card.isStale = true;
        if (card.isVisible) this.want(card);
      }
    }
    if (isNew) this.arrange(Object.keys(metrics));
  }

  /** Show other runs. */
  setRuns(runs) {
    this.runs = runs;
    this.showLegend();
    for (const card of this.cards.values()) {
      card.isStale = true;
      if (card.isVisible) this.want(card);
    }
  }

  showLegend() {
    const entries = this.runs.map(({ name, colour }) => {
      const dot = el("span", { class: "dot" });
      dot.style.background = colour;
      return el("span", {}, dot, name);
    });
    this.legend.replaceChildren(...(this.runs.length > 1 ? entries.slice(0, LEGEND_SHOWN) : []));
  }

  toolbar(label) {
    const change = (name, read) => (event) => {
      this.settings[name] = read(event.target);
      this.redraw();
    };
    const axes = Object.entries(X_AXES).filter(([name]) => this.stream === "history" || name !== "step");
    const select = el("select", { onchange: change("x", (control) => control.value) }, axes.map(([value, text]) => el("option", { value, selected: value === this.settings.x }, text)));
    const smoothing = el("input", { type: "range", min: 0, max: 0.99, step: 0.01, value: 0, oninput: change("smoothing", (control) => Number(control.value)) });
    const log = el("input", { type: "checkbox", onchange: change("log", (control) => control.checked) });
    const bandBox = el("input", { type: "checkbox", checked: this.settings.band, onchange: change("band", (control) => control.checked) });
    return el(
      "div",
      { class: "toolbar", role: "group", "aria-label": `Settings of ${label}` },
      searchBox(`Search ${label}`, (pattern) => this.filter(pattern)),
      labelled("X axis", select),
      labelled("Smoothing", smoothing),
      labelled("Log scale", log),
      this.runs.length !== 1 && labelled("Mean and band", bandBox),
      this.count,
    );
  }

  addCard(key) {
    const box = el("div", { class: "chart" });
    const enlarge = el("button", { class: "quiet", "aria-label": `Enlarge ${key}`, title: "Enlarge", onclick: () => this.enlarge(key) }, "⤢");
    const figure = el("figure", { class: "chart-card", "data-key": key }, el("figcaption", {}, el("span", { class: "chart-title" }, key), enlarge), box);
    const card = { key, figure, box, isStale: true, isVisible: false, chart: null, lines: [] };
    figure.card = card;
    this.cards.set(key, card);
    this.observer.observe(figure);
    return card;
  }

  /** Put the cards into groups by what stands before the first slash. */
  arrange(keys) {
    for (const key of [...this.cards.keys()].filter((known) => !keys.includes(known))) {
      const card = this.cards.get(key);
      card.chart?.dispose();
      card.figure.remove();
      this.cards.delete(key);
    }
    const groups = grouped(keys);
    const folded = new Set([...this.groups.children].filter((group) => group.open === false).map((group) => group.dataset.group));
    this.groups.replaceChildren(
      ...groups.map(([name, members]) =>
        el(
          "details",
          { class: "chart-group", open: !folded.has(name), "data-group": name },
          el("summary", {}, name || "Charts", " ", el("span", { class: "muted" }, members.length)),
          el("div", { class: "charts" }, members.map((key) => this.cards.get(key).figure)),
        ),
      ),
    );
    this.filter(this.pattern);
  }

  filter(pattern) {
    this.pattern = pattern;
    const wanted = pattern.toLowerCase();
    let shown = 0;
    for (const [key, card] of this.cards) {
      card.figure.hidden = !key.toLowerCase().includes(wanted);
      shown += card.figure.hidden ? 0 : 1;
    }
    for (const group of this.groups.children) group.hidden = !group.querySelector("figure:not([hidden])");
    this.count.textContent = pattern ? `${shown} of ${this.cards.size}` : plural(this.cards.size, "chart");
  }

  onview({ target, isIntersecting }) {
    const { card } = target;
    card.isVisible = isIntersecting;
    if (isIntersecting) {
      if (card.isStale) this.want(card);
      else this.draw(card);
    } else if (card.chart && !card.chart.range) {
      card.chart.dispose();
      card.chart = null;
    }
  }

  want(card) {
    this.queue.add(card.key);
    this.flush();
  }

  async loadQueue() {
    const keys = [...this.queue].slice(0, this.hasLoaded ? KEYS_AT_ONCE : KEYS_AT_FIRST);
    if (!keys.length || this.isLoading) return;
    this.isLoading = true;
    keys.forEach((key) => this.queue.delete(key));
    try {
      const found = await this.loadSeries(keys);
      this.hasLoaded = true;
      for (const key of keys) {
        this.onseries(key, found);
        await painted();
      }
    } finally {
      this.isLoading = false;
    }
    await this.loadQueue();
  }

  onseries(key, found) {
    const card = this.cards.get(key);
    if (!card) return;
    card.isStale = false;
    card.lines = this.linesOf(key, found);
    if (card.isVisible) this.draw(card);
  }

  loadSeries(keys, more = {}) {
    return load(this.source, { run: this.runs.map(({ id }) => id), key: keys, stream: this.stream, ...more });
  }

  linesOf(key, found) {
    return this.runs.flatMap(({ id, name, colour }) => (found[id]?.[key] ? [{ name, colour, series: found[id][key] }] : []));
  }

  draw(card) {
    card.figure.querySelector(".chart-title").dataset.last = card.lines.length === 1 ? number(card.lines[0].series.values.at(-1)) : "";
    if (!card.lines.length) return;
    card.chart ??= this.newChart(card.box, card.key);
    card.chart.show(card.lines, { ...this.settings });
  }

  newChart(box, key) {
    let asked = 0;
    const chart = new LineChart(box, key, debounce(async (from, to) => {
      asked += 1;
      const mine = asked;
      if (from === undefined || this.stream === "events") return;
      const found = await this.loadSeries([key], { from, to });
      if (mine === asked) chart.showDetail(this.linesOf(key, found));
    }, 150));
    return chart;
  }

  redraw() {
    for (const card of this.cards.values()) if (card.isVisible && card.chart) this.draw(card);
  }

  enlarge(key) {
    const box = el("div", { class: "chart large" });
    const close = el("button", { onclick: () => dialog.close() }, "Close");
    const dialog = el("dialog", { "aria-label": key }, el("figcaption", {}, el("span", { class: "chart-title" }, key), close), box);
    document.body.append(dialog);
    dialog.showModal();
    const chart = this.newChart(box, key);
    chart.show(this.cards.get(key).lines, { ...this.settings });
    dialog.addEventListener("close", () => {
      chart.dispose();
      dialog.remove();
    });
  }
}

/** Wait until the browser has shown what is drawn so far; a page in the background shows nothing. */
function painted() {
  return new Promise((resolve) => (document.hidden ? resolve() : requestAnimationFrame(() => setTimeout(resolve))));
}

/** Group keys by what stands before the first slash; keys that are alone there share the first group. */
function grouped(keys) {
  const byPrefix = new Map();
  for (const key of keys) {
    const prefix = key.includes("/") ? key.slice(0, key.indexOf("/")) : "";
    byPrefix.set(prefix, [...(byPrefix.get(prefix) ?? []), key]);
  }
  const alone = [...byPrefix].filter(([prefix, members]) => !prefix || members.length === 1);
  const groups = [...byPrefix].filter(([prefix, members]) => prefix && members.length > 1);
  return alone.length ? [["", alone.flatMap(([, members]) => members)], ...groups] : groups;
}
