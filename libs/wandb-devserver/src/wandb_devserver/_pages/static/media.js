// Media of a run: one card for each key, loaded when it comes into view and when more is logged.

import { load } from "./api.js";
import { el, labelled } from "./dom.js";
import { HistogramChart } from "./histogram.js";
import { MediaTable } from "./media-table.js";

export class MediaPanel {
  constructor(source) {
    this.source = source;
    this.cards = new Map();
    this.element = el("div", { class: "media" });
    this.observer = new IntersectionObserver((entries) => entries.forEach(({ target, isIntersecting }) => target.card.onview(isIntersecting)), { rootMargin: "200px" });
  }

  update(media) {
    for (const { key, type, count } of media) {
      if (!this.cards.has(key)) this.add(key, type);
      this.cards.get(key).setCount(count);
    }
  }

  add(key, type) {
    const card = new MediaCard(this.source, key, type);
    card.element.card = card;
    this.cards.set(key, card);
    this.element.append(card.element);
    this.observer.observe(card.element);
  }
}

class MediaCard {
  constructor(source, key, type) {
    Object.assign(this, { source, key, count: 0, loaded: 0, isVisible: false, values: [], follows: true });
    this.content = el("div");
    this.step = el("output");
    this.slider = el("input", { type: "range", min: 0, "aria-label": `Step of ${key}`, oninput: () => this.choose() });
    this.choice = labelled("Step", el("span", {}, this.slider, " ", this.step));
    this.element = el("div", { class: type === "table-file" ? "media-card wide" : "media-card", "data-key": key }, el("h3", {}, key), this.choice, this.content);
  }

  setCount(count) {
    this.count = count;
    if (this.isVisible) this.load();
  }

  onview(isVisible) {
    this.isVisible = isVisible;
    if (isVisible) this.load();
  }

  async load() {
    if (this.loaded === this.count) return;
    this.loaded = this.count;
    const { values } = await load(this.source, { key: this.key });
    this.values = values;
    if (!values.length) return;
    this.slider.max = values.length - 1;
    if (this.follows) this.slider.value = values.length - 1;
    this.show();
  }

  choose() {
    this.follows = Number(this.slider.value) === this.values.length - 1;
    this.show();
  }

  show() {
    const value = this.values[Number(this.slider.value)];
    const isHistogram = value.kind === "histogram";
    this.choice.hidden = isHistogram || this.values.length < 2;
    this.step.textContent = value.step;
    if (isHistogram) this.showHistogram();
    else if (value.kind === "table") this.showTable(value);
    else this.showFiles(value);
  }

  showHistogram() {
    if (!this.chart) {
      const box = el("div", { class: "chart" });
      this.content.replaceChildren(box);
      this.chart = new HistogramChart(box, this.key);
    }
    this.chart.update(this.values.filter(({ kind }) => kind === "histogram"));
  }

  showTable({ path }) {
    if (!this.table) {
      this.table = new MediaTable(this.source.replace("/-/data/media/", "/-/data/table/"), this.key);
      this.content.replaceChildren(this.table.element);
    }
    this.table.update(path);
  }

  showFiles({ kind, items, step }) {
    const shown = items.map((item) => el("figure", {}, VIEWS[kind](item, this.key, step), item.caption && el("figcaption", { class: "muted" }, item.caption)));
    this.content.replaceChildren(el("div", { class: kind === "html" ? null : "images" }, shown));
  }
}

const VIEWS = {
  image: ({ url, caption }, key, step) => el("img", { src: url, alt: caption ?? `${key} at step ${step}`, loading: "lazy" }),
  audio: ({ url }, key) => el("audio", { src: url, controls: "", preload: "none", "aria-label": key }),
  video: ({ url }, key) => el("video", { src: url, controls: "", preload: "none", "aria-label": key }),
  // Without any permission: no scripts, no forms, another origin.
  html: ({ frame }, key) => el("iframe", { sandbox: "", src: frame, title: key, loading: "lazy", referrerpolicy: "no-referrer" }),
  file: ({ url, name }) => el("a", { href: url, download: "" }, name),
};
