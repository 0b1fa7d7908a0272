// Plots: bars and lines as SVG, with their figures as text for whoever cannot see them.

import { h, s } from "./dom.js";

const WIDE = 420;
const LEFT = 44;

/** Stacked bars: `bars` are `{label, title, parts: [{look, value}]}`. `onpick` is called with a bar that is chosen. */
export function stackedBars(bars, { name, high = 150, wide = WIDE, labels = 8, onpick = null } = {}) {
  const most = Math.max(1, ...bars.map(({ parts }) => total(parts)));
  const step = wide / Math.max(1, bars.length);
  const every = Math.ceil(bars.length / labels);
  const shapes = bars.map((bar, place) => {
    let top = high;
    const pieces = bar.parts.map(({ look, value }) => {
      const tall = (value / most) * (high - 8);
      top -= tall;
      return s("rect", { x: place * step + step * 0.12, y: top, width: step * 0.76, height: tall, rx: 2, class: `fill-${look}` });
    });
    const ground = s("rect", { x: place * step, y: 0, width: step, height: high, class: "plot-hit" });
    const text = s("text", { x: (place + 0.5) * step, y: high + 18, class: "plot-label", "text-anchor": "middle" }, place % every ? "" : bar.label);
    const props = onpick ? { class: "plot-pick", onclick: () => onpick(bar) } : {};
    return s("g", props, s("title", {}, bar.title), ground, pieces, text);
  });
  return plot(name, wide, high + 26, [s("line", { x1: 0, x2: wide, y1: high, y2: high, class: "plot-axis" }), shapes]);
}

/** Lines over time: `lines` are `{name, look, points: [[milliseconds, value], …]}`. */
export function timeLines(lines, { name, unit = "", high = 150, span = 300_000, now = Date.now() } = {}) {
  const values = lines.flatMap(({ points }) => points.map(([, value]) => value));
  const most = nice(Math.max(...values, 0));
  const x = (at) => LEFT + (1 - (now - at) / span) * (WIDE - LEFT);
  const y = (value) => high - (value / most) * (high - 10);
  const grid = [0, 0.5, 1].map((share) => [
    s("line", { x1: LEFT, x2: WIDE, y1: y(most * share), y2: y(most * share), class: "plot-axis" }),
    s("text", { x: LEFT - 6, y: y(most * share) + 4, class: "plot-label", "text-anchor": "end" }, short(most * share)),
  ]);
  const drawn = lines.map(({ look, points }) => {
    const recent = points.filter(([at]) => now - at <= span);
    const path = recent.map(([at, value], place) => `${place ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`);
    return s("path", { d: path.join(""), class: `plot-line stroke-${look}` });
  });
  const ends = [
    s("text", { x: LEFT, y: high + 18, class: "plot-label" }, `${span / 60_000} min ago`),
    s("text", { x: WIDE, y: high + 18, class: "plot-label", "text-anchor": "end" }, "now"),
  ];
  const legend = lines.map(({ name: line, look, points }) => {
    const last = points.at(-1)?.[1];
    return h("span", { class: `key key-${look}` }, `${line}: ${last === undefined ? "–" : short(last)}${unit}`);
  });
  return h("div", {}, plot(name, WIDE, high + 26, [grid, drawn, ends]), h("p", { class: "keys" }, legend));
}

/** Shares from 0 to 1 as bars with their names: `rows` are `{label, share, of}`; `of` is how many it rests on. */
export function shareBars(rows, { name }) {
  const bars = rows.map(({ label, share, of }) =>
    h(
      "li",
      {},
      h("span", { class: "share-name" }, label),
      h("span", { class: "share-bar", vars: { share }, data: { look: share >= 0.98 ? "good" : share >= 0.9 ? "warn" : "bad" } }),
      h("span", { class: "share-figure" }, `${(share * 100).toFixed(share > 0.995 ? 0 : 1)} %`, h("small", {}, ` of ${of}`)),
    ),
  );
  return h("ul", { class: "shares", "aria-label": name }, bars);
}

function plot(name, wide, high, children) {
  return s("svg", { viewBox: `0 0 ${wide} ${high}`, class: "plot", role: "img", "aria-label": name }, children);
}

const total = (parts) => parts.reduce((sum, { value }) => sum + value, 0);

// The next of 1, 2, 5, 10, … above a value.
function nice(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * power).find((limit) => limit >= value);
}

function short(value) {
  if (value >= 1000) return `${(value / 1000).toFixed(1)}k`;
  return String(Number(value.toPrecision(3)));
}
