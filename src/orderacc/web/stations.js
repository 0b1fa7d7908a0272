// Stations: what their cameras show, how they are, and what they have been through.

import { post, remove } from "./api.js";
import { cameraForm } from "./cameraform.js";
import { h, icon, put, toast } from "./dom.js";
import { LiveView } from "./live.js";
import { mayRule } from "./session.js";
import { faultText, phaseText, span, spanAgo, warningText } from "./words.js";

const LOOKS = { running: "good", starting: "warn", half_open: "warn", stopped: "none", shutting_down: "none" };

/** Show them in `root`; gives what ends it. */
export function stations(root, { box }) {
  const cards = new Map();
  const grid = h("div", { class: "stations" });
  const adding = mayRule() ? cameraForm() : null;
  put(root, h("header", { class: "row" }, h("h1", { class: "grow" }, "Stations"), adding?.button), adding?.element, grid);
  const draw = () => {
    for (const [id, card] of cards) {
      if (box.stations.has(id)) continue;
      card.close();
      card.element.remove();
      cards.delete(id);
    }
    for (const [id, station] of box.stations) {
      if (!cards.has(id)) {
        cards.set(id, new StationCard(id));
        grid.append(cards.get(id).element);
      }
      cards.get(id).update(station);
    }
  };
  box.addEventListener("stations", draw);
  draw();
  return () => {
    box.removeEventListener("stations", draw);
    for (const card of cards.values()) card.close();
  };
}

class StationCard {
  constructor(id) {
    this.id = id;
    this.canvas = h("canvas", { role: "img", "aria-label": `Camera of ${id}`, width: 640, height: 360 });
    this.chip = h("span", { class: "chip" });
    this.none = h("p", { class: "station-none" });
    this.picture = h("div", { class: "station-picture" }, this.canvas, this.none);
    this.facts = h("dl", { class: "facts" });
    this.trouble = h("div", { class: "trouble" });
    this.past = h("ol", { class: "lines" });
    const rule = (name, look, act) => h("button", { type: "button", class: `button small ${look}`, onclick: act }, name);
    this.element = h(
      "article",
      { class: "panel station", "aria-label": `Station ${id}`, data: { station: id } },
      h("header", { class: "row" }, h("h2", { class: "grow" }, id), this.chip),
      this.picture,
      this.trouble,
      this.facts,
      h("details", {}, h("summary", {}, "History"), this.past),
      mayRule()
        ? h("div", { class: "row" }, rule("Restart the camera", "", () => this.#restart()), rule("Remove…", "quiet danger", () => this.#remove()))
        : null,
    );
    this.live = new LiveView(this.canvas, id, { width: 960, fps: 10 });
  }

  close() {
    this.live.close();
  }

  update(station) {
    this.chip.dataset.look = station.warnings.length && station.phase === "running" ? "warn" : (LOOKS[station.phase] ?? "bad");
    this.chip.textContent = `${phaseText(station.phase)} · ${span(station.phase_s)}`;
    this.picture.dataset.live = station.phase === "running" ? "yes" : "no";
    put(this.none, icon(station.phase === "running" ? "watching" : "down"), station.phase === "running" ? "Waiting for a picture" : "No picture");
    const error = station.last_error;
    put(
      this.trouble,
      station.warnings.map((one) => h("p", { class: "warned" }, warningText(one))),
      station.phase !== "running" && error ? h("p", { class: "wrong" }, `${error.message} (${error.code}, ${spanAgo(error.age_s)})`) : null,
    );
    const dropped = Object.values(station.frames_dropped).reduce((sum, one) => sum + one, 0);
    put(
      this.facts,
      fact("Camera", sourceText(station.source)),
      fact("Frames a second", `${station.measured_fps.toFixed(1)} of ${station.fps}`),
      fact("On the counter", station.open_order ?? "nothing"),
      fact("Newest picture", station.frame_age_s === null ? "none" : `${station.frame_age_s.toFixed(1)} s ago`),
      fact("Frames", `${station.frames_in} came, ${station.frames_kept} looked at, ${dropped} skipped`),
      fact("Restarts", station.restarts),
    );
    const failures = Object.entries(station.failures).map(([code, count]) => h("li", {}, h("b", {}, `${count} ×`), ` ${faultText(code)}`, h("span", { class: "hint" }, ` ${code}`)));
    const moves = [...station.moves].reverse().map(({ phase, reason, age_s: age }) => h("li", {}, h("b", {}, phaseText(phase)), ` ${reason.replaceAll("_", " ")}`, h("span", { class: "hint" }, ` ${spanAgo(age)}`)));
    put(this.past, failures, moves);
  }

  async #restart() {
    await this.#do(() => post(`/v1/stations/${encodeURIComponent(this.id)}/restart`), `${this.id} is opened anew.`);
  }

  async #remove() {
    if (confirm(`Watch ${this.id} no more? An order that is open there ends without a verdict.`)) {
      await this.#do(() => remove(`/v1/stations/${encodeURIComponent(this.id)}`), `${this.id} is gone.`);
    }
  }

  async #do(act, done) {
    try {
      await act();
      toast(done);
    } catch (problem) {
      toast(problem.told ?? String(problem), { kind: "bad" });
    }
  }
}

const fact = (name, value) => [h("dt", {}, name), h("dd", {}, value)];

function sourceText(source) {
  if (source.type === "simulator") return source.script ? "simulated, from a script" : `simulated, seed ${source.seed}`;
  return source.url ?? source.path ?? String(source.device);
}
