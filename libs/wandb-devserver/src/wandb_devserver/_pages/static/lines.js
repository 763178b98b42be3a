// Line data: x values, smoothing, mean and band of several runs.

export const X_AXES = { step: "Step", relative: "Relative time", time: "Wall time" };

/** Return [x, y] pairs of a series for the chosen x axis; points without a time stamp have none to show. */
export function pairs(series, x) {
  if (x === "step") return series.steps.map((step, index) => [step, series.values[index]]);
  const start = x === "relative" ? series.times.find((time) => time !== null) ?? 0 : 0;
  const scale = x === "relative" ? 1 : 1000;
  return series.times.flatMap((time, index) => (time === null ? [] : [[(time - start) * scale, series.values[index]]]));
}

/** Return an exponential moving average that starts without bias towards zero. */
export function smooth(points, weight) {
  let last = 0;
  let total = 0;
  return points.map(([x, y]) => {
    last = last * weight + (1 - weight) * y;
    total = total * weight + (1 - weight);
    return [x, last / total];
  });
}

/** Return mean, lowest and highest of several lines at common x values, each line held until its next point. */
export function band(lines, count = 200) {
  const xs = lines.flatMap((points) => points.map(([x]) => x));
  const distinct = [...new Set(xs)].sort((a, b) => a - b);
  const grid = distinct.length <= count ? distinct : Array.from({ length: count }, (_, index) => distinct[Math.round((index * (distinct.length - 1)) / (count - 1))]);
  const places = lines.map(() => 0);
  const mean = [];
  const low = [];
  const high = [];
  for (const x of grid) {
    const values = lines.flatMap((points, index) => {
      while (places[index] + 1 < points.length && points[places[index] + 1][0] <= x) places[index] += 1;
      const [at, y] = points[places[index]] ?? [Infinity];
      return at <= x && x <= points.at(-1)[0] ? [y] : [];
    });
    if (!values.length) continue;
    mean.push([x, values.reduce((sum, value) => sum + value, 0) / values.length]);
    low.push([x, Math.min(...values)]);
    high.push([x, Math.max(...values)]);
  }
  return { mean, low, high };
}
