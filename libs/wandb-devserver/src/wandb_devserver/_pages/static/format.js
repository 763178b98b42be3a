// Values as text.

const UNITS = ["B", "kB", "MB", "GB", "TB"];

export function number(value) {
  if (typeof value !== "number" || Number.isInteger(value)) return String(value);
  const text = value.toPrecision(5);
  return text.includes("e") ? Number(text).toExponential() : String(Number(text));
}

/** Write any JSON value in one line. */
export function cell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return number(value);
  return typeof value === "string" ? value : JSON.stringify(value);
}

export function bytes(size) {
  let unit = 0;
  for (; size >= 1000 && unit < UNITS.length - 1; unit += 1) size /= 1000;
  return `${unit ? size.toFixed(1) : size} ${UNITS[unit]}`;
}

export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "";
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds % 60)];
  if (hours) return `${hours}h ${minutes}m`;
  return minutes ? `${minutes}m ${rest}s` : `${rest}s`;
}

/** Write seconds since the epoch as local date and time. */
export function moment(seconds) {
  const date = new Date(seconds * 1000);
  const pad = (part) => String(part).padStart(2, "0");
  const day = [date.getFullYear(), pad(date.getMonth() + 1), pad(date.getDate())].join("-");
  return `${day} ${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

export function plural(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
