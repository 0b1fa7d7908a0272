// What the box says in codes, in words for people; times and numbers as they are read.

import { boxNow } from "./api.js";

export const STATUSES = {
  inaccurate: { look: "bad", word: "Wrong" },
  unsure: { look: "warn", word: "Check" },
  undetermined: { look: "none", word: "Not judged" },
  accurate: { look: "good", word: "Right" },
};

const REASONS = {
  no_order: "The till has no order with this number",
  slip_unreadable: "The slip cannot be read",
  no_slip: "No slip was seen",
  no_frames: "The bag was not seen well enough",
  engine_failed: "The model failed",
  overloaded: "Too many orders at once",
  orders_unavailable: "The till does not answer",
  cancelled: "The order was cancelled",
  ambiguous_order: "Several orders fit this slip",
  nothing_to_check: "Nothing in it can be seen",
  low_confidence: "Not sure",
  station_failed: "This station failed",
  interrupted: "Interrupted by a restart",
  judging_failed: "Comparing failed",
  shutdown: "Watching was stopped",
};

const PHASES = {
  starting: "Camera starting",
  running: "Live",
  stalled: "No picture",
  restarting: "Camera down",
  circuit_open: "Camera down",
  half_open: "Trying the camera",
  shutting_down: "Ending",
  stopped: "Ended",
};

const FAULTS = {
  unauthorized: "its password is wrong",
  forbidden: "it lets nobody in",
  not_found: "there is no such stream",
  refused: "it refuses connections",
  timeout: "it does not answer",
  unreachable: "it cannot be reached",
};

const RULES = {
  same_name: "same name",
  same_item: "same item of the menu",
  spelling: "spelled alike",
  container_unsaid: "same, container unsaid",
  opinion: "an outside service said so",
  size: "another size",
  count: "another count",
  trait: "another kind",
  left_out: "something left out",
  container: "another container",
  words: "other words",
  other_item: "another item of the menu",
  below_threshold: "not alike enough",
  nothing_near: "nothing like it",
  not_visible: "cannot be seen",
  not_asked: "not asked about",
};

export const reasonText = (verdict) => REASONS[verdict.reason] || verdict.sentence || "No reason given";
export const phaseText = (phase) => PHASES[phase] || phase;
export const faultText = (code) => FAULTS[code] || code.replaceAll("_", " ");
export const ruleText = (rule) => RULES[rule] || rule.replaceAll("_", " ");
export const warningText = (warning) => `picture ${warning.replaceAll("_", " ")}`;
export const times = (quantity, name) => `${quantity} × ${name}`;
export const numberOf = (verdict) => verdict.slip_text || verdict.order_id || "?";

/** Seconds since a time of the box. */
export function since(at) {
  return Math.max(0, (boxNow() - Date.parse(at)) / 1000);
}

/** `now`, `12 s`, `4 min`, `2 h`, `3 d`. */
export function span(seconds) {
  if (seconds < 2) return "now";
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

export const spanAgo = (seconds) => (seconds < 2 ? "now" : `${span(seconds)} ago`);
export const ago = (at) => spanAgo(since(at));

export function clock(at) {
  return new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
}

/** The time, and the day if it is not today. */
export function moment(at) {
  const then = new Date(at);
  const today = new Date(boxNow()).toDateString() === then.toDateString();
  return today ? clock(at) : `${then.toLocaleDateString([], { day: "numeric", month: "short" })} ${clock(at)}`;
}

export function milliseconds(value) {
  if (value === null || value === undefined) return "–";
  return value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(value < 10_000 ? 2 : 1)} s`;
}

export const percent = (share) => `${(share * 100).toFixed(share > 0.99 && share < 1 ? 1 : 0)}\u00a0%`;

/** What is wrong with a bag, the gravest first: `{kind, label, text}`. */
export function faults(verdict) {
  const left = { missing: tally(verdict.missing), extra: tally(verdict.extra) };
  const found = [];
  for (const { expected, seen, quantity } of verdict.substituted) {
    if ((left.missing.get(expected) || 0) < quantity || (left.extra.get(seen) || 0) < quantity) continue;
    left.missing.set(expected, left.missing.get(expected) - quantity);
    left.extra.set(seen, left.extra.get(seen) - quantity);
    found.push({ kind: "swap", label: "Swapped", text: `${quantity > 1 ? times(quantity, seen) : seen} instead of ${expected}` });
  }
  for (const [name, quantity] of left.missing) {
    if (quantity) found.push({ kind: "missing", label: "Missing", text: times(quantity, name) });
  }
  for (const { name, expected, seen } of verdict.quantity_mismatch) {
    const [kind, label] = seen < expected ? ["missing", "Missing"] : ["extra", "Too many"];
    found.push({ kind, label, text: times(Math.abs(expected - seen), name), more: `${seen} of ${expected}` });
  }
  for (const [name, quantity] of left.extra) {
    if (quantity) found.push({ kind: "extra", label: "Extra", text: times(quantity, name) });
  }
  return found;
}

/** What is wrong in one line. */
export function faultLine(verdict) {
  if (verdict.status === "accurate") return "";
  const found = Map.groupBy(faults(verdict), ({ label }) => label);
  if (verdict.status === "undetermined" || !found.size) return reasonText(verdict);
  return [...found].map(([label, some]) => `${label}: ${some.map(({ text }) => text).join(", ")}`).join(". ");
}

function tally(lines) {
  return new Map(lines.map(({ name, quantity }) => [name, quantity]));
}
