// Colours of charts, from the style sheet, for dark and light.

const PALETTE = ["#2f7ed8", "#e8743b", "#19a979", "#c2379b", "#945ecf", "#13a4b4", "#d4a017", "#ed4a7b", "#6c8893", "#8a5a44"];

const dark = matchMedia("(prefers-color-scheme: dark)");

export function colour(index) {
  return PALETTE[index % PALETTE.length];
}

/** Return the colours of the style sheet as they are now. */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  return { text: read("--text"), muted: read("--muted"), line: read("--line"), card: read("--card"), accent: read("--accent") };
}

export function onThemeChange(action) {
  dark.addEventListener("change", action);
  return () => dark.removeEventListener("change", action);
}
