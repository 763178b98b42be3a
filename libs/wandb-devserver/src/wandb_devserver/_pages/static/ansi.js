// Terminal output: colours and styles as elements, carriage returns as terminals show them.

import { el } from "./dom.js";

const CODES = /\u001b\[([\d;]*)m/g;
const OTHER = /\u001b(?:\[[\d;?]*[A-Za-ln-z]|\][^\u0007]*(?:\u0007|\u001b\\)|[()][A-Z0-9])/g;

/** Return the parts of a line, styled. */
export function styled(line) {
  const text = line.replace(OTHER, "").split("\r").filter(Boolean).at(-1) ?? "";
  const parts = [];
  let style = {};
  let end = 0;
  for (const match of text.matchAll(CODES)) {
    parts.push(part(text.slice(end, match.index), style));
    style = apply(style, match[1].split(";").map(Number));
    end = match.index + match[0].length;
  }
  parts.push(part(text.slice(end), style));
  return parts.filter(Boolean);
}

function part(text, { classes = {}, colour, background }) {
  const names = Object.values(classes);
  if (!text) return null;
  if (!names.length && !colour && !background) return text;
  const element = el("span", { class: names.join(" ") }, text);
  if (colour) element.style.color = colour;
  if (background) element.style.backgroundColor = background;
  return element;
}

function apply(style, codes) {
  const next = { ...style, classes: { ...style.classes } };
  for (let index = 0; index < codes.length; index += 1) {
    const code = codes[index];
    if (code === 0) Object.assign(next, { classes: {}, colour: undefined, background: undefined });
    else if (code === 1) next.classes.weight = "ansi-bold";
    else if (code === 2) next.classes.weight = "ansi-dim";
    else if (code === 3) next.classes.slant = "ansi-italic";
    else if (code === 4) next.classes.line = "ansi-underline";
    else if (code === 22) delete next.classes.weight;
    else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) {
      next.classes.colour = `ansi-${code % 10}`;
      next.colour = undefined;
    } else if (code === 38 || code === 48) {
      const [value, used] = extended(codes.slice(index + 1));
      next[code === 38 ? "colour" : "background"] = value;
      index += used;
    } else if (code === 39) Object.assign(next, { colour: undefined, classes: { ...next.classes, colour: "" } });
    else if (code >= 40 && code <= 47) next.classes.background = `ansi-on-${code % 10}`;
    else if (code === 49) Object.assign(next, { background: undefined, classes: { ...next.classes, background: "" } });
  }
  return next;
}

/** Return the colour of `5;n` or `2;r;g;b`, and how many codes it takes. */
function extended([kind, ...rest]) {
  if (kind === 2) return [`rgb(${rest.slice(0, 3).map((value) => value & 255).join(",")})`, 4];
  const code = rest[0] & 255;
  if (code >= 232) return [`rgb(${Array(3).fill((code - 232) * 10 + 8).join(",")})`, 2];
  if (code < 16) return [`var(--ansi-${code % 8})`, 2];
  const level = (value) => (value ? value * 40 + 55 : 0);
  return [`rgb(${[Math.floor((code - 16) / 36), Math.floor((code - 16) / 6) % 6, (code - 16) % 6].map(level).join(",")})`, 2];
}
