// Elements, built without markup: every value becomes text.

const PROPERTIES = new Set(["checked", "disabled", "hidden", "open", "selected", "value"]);

/** Build an element. `on…` are listeners; null, undefined and false attributes and children are left out. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (PROPERTIES.has(key)) element[key] = value;
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function link(text, url) {
  return url ? el("a", { href: url }, text) : text;
}

/** Build a link that leads to a page of another server. */
export function outsideLink(text, url) {
  return url ? el("a", { href: url, rel: "noopener noreferrer" }, text) : text;
}

export function badge(state) {
  return el("span", { class: `badge ${state.toLowerCase()}` }, state.toLowerCase());
}

/** Build a section with a heading; `id` makes it a target of links. */
export function section(id, title, ...children) {
  return el("section", { id, class: "card", "aria-labelledby": `${id}-title` }, el("h2", { id: `${id}-title` }, title), children);
}

/** Build a control with a visible label. */
export function labelled(text, control) {
  return el("label", { class: "labelled" }, el("span", {}, text), control);
}

export function searchBox(label, onchange) {
  return el("input", { type: "search", placeholder: label, "aria-label": label, oninput: (event) => onchange(event.target.value) });
}

/** Call `action` once, after `delay` milliseconds without another call. */
export function debounce(action, delay) {
  let timer;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...values), delay);
  };
}
