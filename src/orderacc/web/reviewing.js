// Reviewing a verdict: was it right, and if not, what was in the bag.

import { h, put, toast } from "./dom.js";
import { mayChange } from "./session.js";

/** The form; null for somebody who may only look. */
export function reviewForm(verdict, box) {
  if (!mayChange()) return null;
  const lines = new Map(start(verdict).map(({ name, quantity }) => [name, quantity]));
  const items = h("div", { class: "items" });
  const note = h("input", { id: "note", maxlength: 2000, placeholder: "Note (optional)", "aria-label": "Note" });
  const adding = h("input", { placeholder: "Another item", "aria-label": "Another item", list: "known-items", maxlength: 200 });
  const known = h("datalist", { id: "known-items" }, names(verdict, box).map((name) => h("option", { value: name })));

  const draw = () => put(items, [...lines].map(([name, quantity]) => line(name, quantity, change)));
  const change = (name, by) => {
    lines.set(name, Math.max(0, (lines.get(name) ?? 0) + by));
    draw();
  };
  const add = () => {
    const name = adding.value.trim();
    if (name) change(name, 1);
    adding.value = "";
    adding.focus();
  };
  const send = async (opinion, said = null) => {
    try {
      await box.review(verdict.verdict_id, opinion, { items: said, note: note.value.trim() });
      toast("Kept. Thank you.");
    } catch (problem) {
      toast(problem.told ?? String(problem), { kind: "bad" });
    }
  };
  const corrected = () => [...lines].filter(([, quantity]) => quantity > 0).map(([name, quantity]) => ({ name, quantity }));
  const correction = h(
    "form",
    { class: "correction", hidden: true, onsubmit: (event) => (event.preventDefault(), send("wrong", corrected())) },
    h("p", { class: "hint" }, "What was really in the bag?"),
    items,
    h("div", { class: "row" }, h("div", { class: "grow" }, adding, known), h("button", { type: "button", class: "button", onclick: add }, "Add")),
    h("button", { type: "submit", class: "button main" }, "Keep the correction"),
  );
  const open = h("button", { type: "button", class: "button", "aria-expanded": "false" }, "Correct it…");
  open.addEventListener("click", () => {
    correction.hidden = !correction.hidden;
    open.setAttribute("aria-expanded", String(!correction.hidden));
  });
  draw();
  return h(
    "section",
    { class: "panel review", "aria-label": "Review" },
    h("h3", {}, "Was this verdict right?"),
    h(
      "div",
      { class: "row" },
      h("button", { type: "button", class: "button main", onclick: () => send("confirmed") }, "Yes"),
      open,
      h("button", { type: "button", class: "button quiet", onclick: () => send("open") }, "Look later"),
      h("div", { class: "grow" }, note),
    ),
    correction,
  );
}

// A wrong alarm is the likelier mistake: then what was ordered was there.
function start(verdict) {
  if (verdict.status === "inaccurate" && verdict.expected.length) return verdict.expected;
  return verdict.seen.length ? verdict.seen : verdict.expected;
}

function names(verdict, box) {
  const all = [...box.verdicts.values()].flat().flatMap((one) => [...one.expected, ...one.seen]);
  return [...new Set([...verdict.expected, ...verdict.seen, ...all].map(({ name }) => name))].sort();
}

function line(name, quantity, change) {
  return h(
    "div",
    { class: "item", data: { none: quantity ? "no" : "yes" } },
    h("span", { class: "grow" }, name),
    h("button", { type: "button", class: "button step", "aria-label": `One ${name} less`, onclick: () => change(name, -1) }, "−"),
    h("output", {}, quantity),
    h("button", { type: "button", class: "button step", "aria-label": `One ${name} more`, onclick: () => change(name, 1) }, "+"),
  );
}
