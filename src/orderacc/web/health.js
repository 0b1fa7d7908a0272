// Health: is everything well, how fast is it, and how right.

import { boxNow, get } from "./api.js";
import { inTheBag, reviewedVerdicts } from "./corrections.js";
import { h, put } from "./dom.js";
import { readMetrics, sum } from "./metrics.js";
import { shareBars, stackedBars, timeLines } from "./plots.js";
import { milliseconds, percent, span, STATUSES } from "./words.js";

const EVERY = 2000;
const LOOK_EVERY = 30_000;
const WEIGH_EVERY = 300_000; // all that was ever reviewed
const KEPT = 150; // samples: five minutes
const HOUR = 3_600_000;
const LOOKS = { ok: "good", degraded: "warn", failed: "bad" };
const samples = []; // kept while other views are looked at
const WORDS = { ok: "Well", degraded: "Not quite well", failed: "Not able to judge" };

/** Show it in `root`; gives what ends it. */
export function health(root) {
  const now = h("section", { class: "tiles" });
  const parts = h("section", { class: "panel parts" });
  const plots = h("section", { class: "plots-part" });
  const accuracy = h("section", { class: "plots-part" });
  put(root, h("h1", {}, "Health"), now, h("div", { class: "plots" }, plots, accuracy), parts);
  let recent = [];
  let rights = null;
  let ended = false;

  const measure = async () => {
    try {
      const [told, text] = await Promise.all([get("/health"), get("/metrics")]);
      samples.push(sampleOf(readMetrics(text)));
      samples.splice(0, Math.max(0, samples.length - KEPT));
      put(parts, components(told));
      put(now, tiles(told, samples.at(-1), recent, rights));
      put(plots, rates(samples), throughput(recent), latencies(recent));
    } catch (problem) {
      put(parts, h("p", { class: "wrong" }, problem.told ?? String(problem)));
    }
  };
  const look = async () => {
    const since = new Date(boxNow() - 24 * HOUR).toISOString();
    const page = await get("/v1/verdicts", { since, limit: 500 });
    if (ended) return;
    recent = page.verdicts;
    await measure();
  };
  const weigh = async () => {
    const reviewed = await reviewedVerdicts();
    if (ended) return;
    rights = rightness(reviewed);
    put(accuracy, byReviews(rights));
  };
  const failed = (problem) => put(parts, h("p", { class: "wrong" }, problem.told ?? String(problem)));
  weigh().catch(failed).then(look).catch(failed);
  const again = (act, every) => setInterval(() => act().catch(() => {}), every);
  const timers = [setInterval(measure, EVERY), again(look, LOOK_EVERY), again(weigh, WEIGH_EVERY)];
  return () => {
    ended = true;
    for (const timer of timers) clearInterval(timer);
  };
}

function sampleOf(metrics) {
  return {
    at: Date.now(),
    waiting: sum(metrics, "orderacc_vlm_waiting"),
    lag: sum(metrics, "orderacc_loop_lag_seconds", { quantile: "0.99" }) * 1000,
    frames: sum(metrics, "orderacc_station_fps"),
  };
}

function tiles(told, sample, recent, rights) {
  const spans = ends(recent);
  const wrong = recent.filter(({ verdict }) => verdict.status === "inaccurate").length;
  const tile = (name, value, note, look = "") => h("div", { class: "tile", data: { look } }, h("span", { class: "tile-name" }, name), h("b", {}, value), h("span", { class: "hint" }, note));
  return [
    tile("The box", WORDS[told.status], ailing(told) || `up ${span(told.uptime_s)}, version ${told.version}`, LOOKS[told.status]),
    tile("Orders in a day", recent.length === 500 ? "500+" : recent.length, `${wrong} of them wrong`),
    tile("Order's end to verdict", milliseconds(quantile(spans, 0.5)), `99 of 100 within ${milliseconds(quantile(spans, 0.99))}`),
    tile("Right, as reviewed", rights?.all.of ? percent(rights.all.right / rights.all.of) : "–", `${rights?.all.of ?? 0} reviewed`),
    tile("Waiting for the model", sample.waiting, `${sample.frames.toFixed(1)} frames a second come in`),
  ];
}

const partName = (name) => name.replaceAll(/[:_]/g, " ");

function ailing({ components: all }) {
  const names = Object.entries(all).filter(([, { status }]) => status !== "ok").map(([name]) => partName(name));
  return names.length > 3 ? `${names.slice(0, 2).join(", ")} and ${names.length - 2} more` : names.join(", ");
}

function rates(samples) {
  const line = (key) => samples.map((one) => [one.at, one[key]]);
  return [
    panel("Queue of the model", timeLines([{ name: "Pictures waiting", look: "accent", points: line("waiting") }], { name: "Pictures waiting for the model" })),
    panel("Lateness of the process", timeLines([{ name: "99th percentile", look: "warn", points: line("lag") }], { name: "Lag of the event loop in milliseconds", unit: " ms" })),
  ];
}

function throughput(recent) {
  const bars = hours(recent).map(({ label, told }) => {
    const parts = Object.entries(STATUSES).map(([status, { look }]) => ({ look, value: told.filter(({ verdict }) => verdict.status === status).length }));
    return { label, title: `${label}: ${told.length} orders`, parts };
  });
  const keys = Object.values(STATUSES).map(({ look, word }) => h("span", { class: `key key-${look}` }, word));
  return panel("Orders by hour", [stackedBars(bars, { name: `${recent.length} orders of the last day by hour` }), h("p", { class: "keys" }, keys)]);
}

function latencies(recent) {
  const stages = { selection: "Choosing frames", queue: "Waiting", vlm: "Model", validation: "Comparing", order_end_to_verdict: "All of it" };
  const rows = Object.entries(stages).map(([stage, name]) => {
    const values = recent.map(({ verdict }) => verdict.timings_ms[stage]).filter((value) => value !== null).sort((one, other) => one - other);
    if (!values.length) return null;
    return h("tr", {}, h("th", { scope: "row" }, name), [0.5, 0.9, 0.99].map((share) => h("td", { class: "figure" }, milliseconds(quantile(values, share)))));
  });
  const head = h("tr", {}, ["Stage", "Half", "90 %", "99 %"].map((text, place) => h("th", { scope: "col", class: place ? "figure" : null }, text)));
  return panel("Where the time goes", h("div", { class: "scroll" }, h("table", {}, h("thead", {}, head), h("tbody", {}, rows))));
}

function components({ components: all }) {
  const order = { failed: 0, degraded: 1, ok: 2 };
  const rows = Object.entries(all)
    .sort(([, one], [, other]) => order[one.status] - order[other.status])
    .map(([name, { status, reason }]) => h("tr", {}, h("td", {}, h("span", { class: "chip", data: { look: LOOKS[status] } }, status)), h("td", {}, partName(name)), h("td", { class: "hint" }, (reason ?? "").replaceAll("_", " "))));
  return [h("h2", {}, "Parts"), h("table", {}, h("thead", { class: "unseen" }, h("tr", {}, ["How", "Part", "Why"].map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, rows))];
}

// A verdict was right when the crew said so; an item was when the verdict counted it as it was.
function rightness(reviewed) {
  const all = { right: 0, of: 0 };
  const by = { item: new Map(), station: new Map(), hour: new Map() };
  for (const one of reviewed) {
    const { verdict, said, recorded_at: at } = one;
    if (verdict.status === "unsure" || verdict.status === "undetermined") continue;
    const right = said.opinion === "confirmed";
    count(all, right);
    count(entry(by.station, verdict.station_id), right);
    count(entry(by.hour, `${String(new Date(at).getHours()).padStart(2, "0")}:00`), right);
    const bag = inTheBag(one);
    if (!bag) continue;
    const [seen, true_] = [verdict.seen, bag].map((lines) => new Map(lines.map(({ name, quantity }) => [name, quantity])));
    for (const name of new Set([...seen.keys(), ...true_.keys()])) count(entry(by.item, name), (seen.get(name) ?? 0) === (true_.get(name) ?? 0));
  }
  return { all, ...by };
}

function byReviews(rights) {
  const shares = (map) => [...map].map(([label, { right, of }]) => ({ label, share: right / of, of }));
  const worst = (one, other) => one.share - other.share || other.of - one.of;
  const one = (title, rows) => panel(title, shareBars(rows, { name: title }));
  if (!rights.all.of) {
    const how = ["Nobody has reviewed an order yet: choose one in ", h("a", { href: "#/orders" }, "Orders"), ", then Yes or Correct it. By item, station and hour it then stands here."];
    return panel("How right it is", h("p", { class: "hint" }, how));
  }
  return [
    one("Right by item", shares(rights.item).sort(worst).slice(0, 12)),
    one("Right by station", shares(rights.station).sort(worst)),
    one("Right by hour", shares(rights.hour).sort((a, b) => a.label.localeCompare(b.label))),
  ];
}

function hours(recent) {
  const last = Math.floor(boxNow() / HOUR);
  return Array.from({ length: 24 }, (_, place) => {
    const hour = last - 23 + place;
    const told = recent.filter(({ recorded_at: at }) => Math.floor(Date.parse(at) / HOUR) === hour);
    return { label: `${String(new Date(hour * HOUR).getHours()).padStart(2, "0")}`, told };
  });
}

function ends(recent) {
  const values = recent.map(({ verdict }) => verdict.timings_ms.order_end_to_verdict).filter((value) => value !== null);
  return values.sort((one, other) => one - other);
}

function quantile(sorted, share) {
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] : null;
}

function count(tally, right) {
  tally.right += right ? 1 : 0;
  tally.of += 1;
}

function entry(map, key) {
  if (!map.has(key)) map.set(key, { right: 0, of: 0 });
  return map.get(key);
}

const panel = (title, content) => h("section", { class: "panel" }, h("h2", {}, title), content);
