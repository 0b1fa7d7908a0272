// A station on the board: the number, what is wrong, the picture, and what can be done about it.

import { h, icon, put, toast } from "./dom.js";
import { faceOf, NOTES } from "./face.js";
import { LiveView } from "./live.js";
import { mayChange } from "./session.js";
import { ago, faultLine, numberOf, span, STATUSES } from "./words.js";

const PENDING = 3;
const SMALL = 2;

/** A card that `update` keeps true until `close`. */
export class Card {
  #drawn = null;
  #face = null;
  #station = null;

  constructor(box, stationId) {
    this.box = box;
    this.stationId = stationId;
    this.name = h("h2", { class: "card-name" }, stationId);
    this.when = h("span", { class: "card-when" });
    this.said = h("div", { class: "card-said" });
    this.canvas = h("canvas", { role: "img", "aria-label": `Camera of ${stationId}`, width: 640, height: 360 });
    this.strip = h("div", { class: "card-strip" });
    this.pending = h("ul", { class: "card-pending" });
    this.actions = h("div", { class: "card-actions" });
    this.element = h(
      "article",
      { class: "card", "aria-label": `Station ${stationId}`, data: { station: stationId, look: "idle" } },
      h(
        "div",
        { class: "card-in" },
        h("header", { class: "card-top" }, this.name, this.when),
        this.said,
        h("div", { class: "card-picture" }, this.canvas, this.strip, h("div", { class: "card-off" }, icon("down"))),
        this.pending,
        this.actions,
      ),
    );
    this.live = new LiveView(this.canvas, stationId, { width: 640, fps: 5 });
  }

  close() {
    this.live.close();
  }

  /** Draw what is known now. */
  update(station) {
    this.#station = station;
    this.#face = faceOf(station, this.box.of(this.stationId), this.box.reviews);
    const key = JSON.stringify(this.#face);
    if (key !== this.#drawn) this.#draw(this.#face);
    this.#drawn = key;
    this.tick();
  }

  /** Let time pass: only what counts seconds changes. */
  tick() {
    const { look, verdict } = this.#face;
    if (look === "down") this.when.textContent = this.#station.phase_s < 2 ? "just now" : `for ${span(this.#station.phase_s)}`;
    else this.when.textContent = verdict ? ago(verdict.recorded_at) : "";
    const open = this.#station.open_order;
    const other = open && open !== this.#face.number && look !== "down";
    this.strip.textContent = other ? `On the counter: ${open}` : this.#face.note;
    this.strip.hidden = !this.strip.textContent;
  }

  #draw(face) {
    const { element } = this;
    element.dataset.look = face.look;
    element.dataset.handled = face.handled ? "yes" : "no";
    element.dataset.faults = face.lines.length;
    element.dataset.pending = face.pending.length ? "yes" : "no";
    put(this.said, this.#number(face), this.#lines(face));
    put(this.pending, face.pending.slice(0, PENDING).map((verdict) => this.#waiting(verdict)), more(face.pending));
    this.pending.hidden = !face.pending.length;
    put(this.actions, this.#buttons(face));
    this.actions.hidden = !this.actions.childElementCount;
  }

  #number(face) {
    if (face.number === null) return h("p", { class: "card-title" }, face.title);
    const sign = h("span", { class: "card-sign" }, face.look in SIGNS ? icon(SIGNS[face.look]) : null);
    const vars = { chars: Math.max(3, [...face.number].length) };
    const figure = face.verdict
      ? h("a", { class: "card-figure", href: hrefOf(face.verdict), vars }, face.number)
      : h("span", { class: "card-figure", vars }, face.number);
    return h("p", { class: "card-number" }, sign, figure);
  }

  #lines(face) {
    const lines = face.lines.map(({ kind, label, text, more: count }) =>
      h("li", { data: { kind } }, h("b", {}, label), h("span", {}, text, count && h("small", {}, ` ${count}`))),
    );
    if (face.more) lines.push(h("li", { class: "rest" }, `and ${face.more} more`));
    const hidden = face.lines.length + (face.more ?? 0) - SMALL; // where there is little room
    return [
      face.title && face.number !== null ? h("p", { class: "card-line" }, face.title) : null,
      lines.length ? h("ul", { class: "card-faults", data: hidden > 0 ? { rest: hidden } : {} }, lines) : null,
      face.small ? h("p", { class: "card-small" }, face.small) : null,
      face.handled ? h("p", { class: "card-handled" }, icon("good"), face.handled) : null,
      face.last ? h("p", { class: "card-last", data: { look: face.last.look } }, icon(face.last.look), `${face.last.text} before`) : null,
    ];
  }

  #buttons(face) {
    if (!face.verdict) return [];
    const { verdict } = face;
    if (verdict.status === "accurate") return [];
    const details = h("a", { class: "button quiet aside", href: hrefOf(verdict) }, "Details");
    if (!mayChange()) return [details];
    if (face.handled) return [this.#button("Undo", "quiet", () => this.#undo(verdict)), details];
    return [
      this.#button("Fixed", "main", () => this.#say(verdict, "fixed")),
      this.#button("Bag is right", "", () => this.#say(verdict, "right")),
      this.#button("Seen", "quiet", () => this.#say(verdict, "seen")),
      details,
    ];
  }

  #waiting(verdict) {
    const { look } = STATUSES[verdict.status];
    return h(
      "li",
      { data: { look } },
      icon(look),
      h("b", {}, numberOf(verdict)),
      h("span", {}, faultLine(verdict)),
      mayChange() ? this.#button("Fixed", "small", () => this.#say(verdict, "fixed")) : null,
    );
  }

  #button(name, look, act) {
    return h("button", { type: "button", class: `button ${look}`, onclick: act }, name);
  }

  async #say(verdict, what) {
    await this.#review(verdict, ...opinionOf(verdict, what));
  }

  async #undo(verdict) {
    await this.#review(verdict, "open", { note: NOTES.undone });
  }

  async #review(verdict, opinion, more) {
    try {
      await this.box.review(verdict.verdict_id, opinion, more);
    } catch (problem) {
      toast(problem.told ?? String(problem), { kind: "bad" });
    }
  }
}

const hrefOf = (verdict) => `#/orders/${encodeURIComponent(verdict.verdict_id)}`;

const SIGNS = { good: "good", bad: "bad", warn: "warn", none: "none", watching: "watching" };

function more(pending) {
  if (pending.length <= PENDING) return null;
  return h("li", { class: "more" }, h("a", { href: "#/orders" }, `and ${pending.length - PENDING} more`));
}

/** What a button says of a verdict: its opinion and what goes with it. */
export function opinionOf(verdict, what) {
  if (what === "seen") return ["open", { note: NOTES.seen }];
  if (what === "fixed") return ["confirmed", { note: NOTES.fixed }];
  // Who only asked was not wrong; who said that something is missing was.
  const opinion = verdict.status === "inaccurate" ? "wrong" : "confirmed";
  return [opinion, { note: NOTES.right, items: verdict.expected.length ? verdict.expected : null }];
}
