// What a station's card shows: decided from what is known, apart from how it is drawn.

import { numberOf, phaseText, faultText, reasonText, faults, faultLine, since, STATUSES, warningText } from "./words.js";

const SETTLES = 6; // seconds a good verdict is shown though the next order is there
const IDLE = 90; // seconds after which a good verdict is old news
const FORGOTTEN = 900; // seconds after which what nobody cared about is history
const DOWN = new Set(["stalled", "restarting", "circuit_open"]);
const LINES = 3;

/** Opinions of ours, told apart by their notes. */
export const NOTES = { seen: "acknowledged", fixed: "fixed", right: "bag is right", undone: "taken back" };

const HANDLED = { [NOTES.seen]: "Seen", [NOTES.fixed]: "Fixed", [NOTES.right]: "Bag was right" };

/**
 * The face of a card.
 *
 * `look` is `good`, `bad`, `warn`, `none`, `watching`, `idle`, `starting`, `ended` or `down`; `verdict` what it is
 * about, if anything; `handled` what the crew did about it; `pending` earlier ones that still need somebody.
 */
export function faceOf(station, verdicts, reviews) {
  const needing = verdicts.filter((one) => needsSomebody(one, reviews));
  const [newest] = verdicts;
  const open = station.open_order;
  if (DOWN.has(station.phase)) return { ...downFace(station), pending: needing };
  const base = { note: station.warnings.map(warningText).join(", "), pending: needing.filter((one) => one !== newest) };
  if (newest && shows(newest, open, reviews)) return { ...verdictFace(newest, reviews), ...base };
  const last = newest ? { text: numberOf(newest), look: STATUSES[newest.status].look } : null;
  if (open) return { ...base, look: "watching", number: open, title: "Watching", lines: [], last };
  if (station.phase === "stopped") return { ...base, look: "ended", number: "–", title: "Ended", lines: [], last };
  if (station.phase !== "running") {
    return { ...base, look: "starting", number: "…", title: phaseText(station.phase), lines: [], last };
  }
  return { ...base, look: "idle", number: "–", title: "Waiting for an order", lines: [], last };
}

/** Whether a verdict waits for somebody of the crew. */
export function needsSomebody(verdict, reviews) {
  const needed = verdict.status === "inaccurate" || verdict.status === "unsure";
  return needed && !handledAs(verdict, reviews) && since(verdict.recorded_at) < FORGOTTEN;
}

/** What the crew did about a verdict, in a word; null when nothing. */
export function handledAs(verdict, reviews) {
  const said = reviews.get(verdict.verdict_id);
  if (!said || said.note === NOTES.undone || said.revision < verdict.revision) return null;
  return HANDLED[said.note] || { confirmed: "Confirmed", wrong: "Corrected", open: "Seen" }[said.opinion];
}

function shows(verdict, open, reviews) {
  const age = since(verdict.recorded_at);
  if (verdict.status === "accurate" || handledAs(verdict, reviews)) {
    const next = open && open !== verdict.slip_text;
    return age < SETTLES || (!next && age < IDLE);
  }
  if (verdict.status === "undetermined") return age < IDLE;
  return age < FORGOTTEN;
}

function verdictFace(verdict, reviews) {
  const { look } = STATUSES[verdict.status];
  const handled = handledAs(verdict, reviews);
  return { look, verdict, handled, number: numberOf(verdict), ...said(verdict) };
}

function said(verdict) {
  if (verdict.status === "accurate") {
    const pieces = verdict.matched.reduce((sum, { quantity }) => sum + quantity, 0);
    return { title: "Complete", lines: [], small: pieces ? `${pieces} item${pieces === 1 ? "" : "s"}` : "" };
  }
  if (verdict.status === "undetermined") return { title: reasonText(verdict), lines: [] };
  const found = faults(verdict);
  if (verdict.status === "unsure") {
    const asked = found.length ? "Please check" : faultLine(verdict);
    return { title: asked, ...some(found.map((one) => ({ ...one, label: `${one.label}?` }))) };
  }
  return { title: null, ...some(found.length ? found : [{ kind: "missing", label: "", text: verdict.sentence }]) };
}

function some(lines) {
  return { lines: lines.slice(0, LINES), more: Math.max(0, lines.length - LINES) };
}

function downFace(station) {
  const error = station.last_error;
  return {
    look: "down",
    number: null,
    title: station.phase === "stalled" ? "No picture" : "Camera down",
    lines: [],
    small: error ? `${faultText(error.code)[0].toUpperCase()}${faultText(error.code).slice(1)}` : "Being opened again",
    note: "",
  };
}
