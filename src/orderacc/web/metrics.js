// The box's figures as Prometheus has them, read here.

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? ([^ ]+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** Samples of the text format: `{name, labels, value}`. */
export function readMetrics(text) {
  const found = [];
  for (const line of text.split("\n")) {
    const parts = line.startsWith("#") ? null : LINE.exec(line);
    if (!parts) continue;
    const labels = Object.fromEntries([...(parts[2] || "").matchAll(LABEL)].map(([, name, value]) => [name, value]));
    found.push({ name: parts[1], labels, value: Number(parts[3].replace("Inf", "Infinity")) });
  }
  return found;
}

/** The sum of a metric over all samples that have these labels. */
export function sum(samples, name, labels = {}) {
  const fitting = samples.filter((one) => one.name === name && Object.entries(labels).every(([key, value]) => one.labels[key] === value));
  return fitting.reduce((all, { value }) => all + value, 0);
}
