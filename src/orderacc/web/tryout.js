// Trying a recording: dropped here, judged beside the stations, its verdicts as they come.

import { changeHeaders, get, post, refusalOf, remove } from "./api.js";
import { h, icon, put, toast } from "./dom.js";
import { mayChange } from "./session.js";
import { faultLine, milliseconds, moment, numberOf, span, STATUSES } from "./words.js";

const EVERY = 1000;
const KEPT = 12;
const LONGEST_NAME = 100;
const OVER = new Set(["done", "failed", "cancelled"]);
const LOOKS = { waiting: "none", running: "warn", done: "good", failed: "bad", cancelled: "none" };

/** Show it in `root`; gives what ends it. */
export function tryOut(root) {
  const jobs = new Map();
  const list = h("div", { class: "videos" });
  const file = h("input", { id: "video", type: "file", accept: "video/*,.mkv,.ts,.h264,.h265", class: "unseen", onchange: () => hand(file.files[0]) });
  const till = h("input", { id: "till", type: "file", accept: "application/json,.json" });
  const drop = h(
    "label",
    { class: "drop", for: "video", ondragover: over("yes"), ondragleave: over("no"), ondrop: dropped },
    h("b", {}, "Drop a video here"),
    h("span", { class: "hint" }, "or touch to choose one: MP4, MKV, WebM, AVI, MPEG-TS, raw H.264 or H.265"),
    file,
  );
  const orders = h(
    "div",
    { class: "panel field" },
    h("label", { for: "till" }, "What was paid for (orders.json, optional)"),
    till,
    h("p", { class: "hint" }, "Without it the box compares with the orders it knows."),
  );
  const handing = h("div", { class: "videos" }, mayChange() ? [drop, orders] : h("p", { class: "hint" }, "This login may only look."));
  put(root, h("h1", {}, "Try a recording"), handing, list);

  function over(yes) {
    return (event) => (event.preventDefault(), (drop.dataset.over = yes));
  }

  function dropped(event) {
    event.preventDefault();
    drop.dataset.over = "no";
    hand(event.dataTransfer.files[0]);
  }

  async function hand(video) {
    if (!video) return;
    const card = new Handing(video.name);
    list.prepend(card.element);
    try {
      const told = await upload(video, till.files[0], (share) => card.show(share));
      card.element.replaceWith(jobOf(told).element);
    } catch (problem) {
      card.fail(problem.told ?? String(problem));
    }
    file.value = "";
  }

  function jobOf(told) {
    if (!jobs.has(told.video_id)) jobs.set(told.video_id, new Job(told, () => jobs.delete(told.video_id)));
    jobs.get(told.video_id).update(told);
    return jobs.get(told.video_id);
  }

  const look = async () => {
    try {
      const { videos } = await get("/v1/videos", { limit: KEPT });
      for (const told of videos) {
        const job = jobOf(told);
        if (!job.element.isConnected) list.append(job.element);
      }
      await Promise.all([...jobs.values()].map((job) => job.look()));
    } catch (problem) {
      if (problem.code === "unavailable" && problem.status === 503) put(handing, h("p", { class: "empty" }, "This box takes no recordings."));
    }
  };
  look();
  const timer = setInterval(look, EVERY);
  return () => clearInterval(timer);
}

/** Hand in a file; `onshare` is told how much of it has been sent, 0 to 1. */
function upload(video, orders, onshare) {
  const form = new FormData();
  form.append("name", [...video.name].slice(0, LONGEST_NAME).join(""));
  if (orders) form.append("orders", orders);
  form.append("video", video);
  // fetch does not say how much of a body has been sent.
  const request = new XMLHttpRequest();
  return new Promise((resolve, reject) => {
    request.upload.onprogress = ({ loaded, total }) => onshare(total ? loaded / total : 0);
    request.onload = () => {
      const told = jsonOf(request.responseText);
      if (request.status < 300) resolve(told);
      else reject(refusalOf(request.status, told));
    };
    request.onerror = () => reject(refusalOf(0, {}));
    request.open("POST", "/v1/videos");
    for (const [name, value] of Object.entries(changeHeaders())) request.setRequestHeader(name, value);
    request.send(form);
  });
}

// What stands before the box may refuse in its own words.
function jsonOf(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

class Handing {
  constructor(name) {
    this.bar = h("progress", { max: 1, value: 0, "aria-label": `Sending ${name}` });
    this.said = h("p", { class: "hint", role: "status" }, "Sending…");
    this.element = h("article", { class: "panel video" }, h("h2", {}, name), this.bar, this.said);
  }

  show(share) {
    this.bar.value = share;
    this.said.textContent = `Sending… ${Math.round(share * 100)} %`;
  }

  fail(text) {
    this.bar.remove();
    put(this.said, text).className = "wrong";
  }
}

class Job {
  #told = null;
  #seen = -1;

  constructor({ video_id: id, name }, ongone) {
    this.id = id;
    this.ongone = ongone;
    this.chip = h("span", { class: "chip" });
    this.bar = h("progress", { max: 1, "aria-label": `Judged of ${name}` });
    this.said = h("p", { class: "hint" });
    this.rows = h("ul", { class: "orders-rows" });
    this.cancel = button("Cancel", "small", () => post(`/v1/videos/${encodeURIComponent(id)}/cancel`));
    this.forget = button("Forget it", "small quiet", () => this.#forget());
    const tools = mayChange() ? [this.cancel, this.forget] : [];
    this.element = h(
      "article",
      { class: "panel video", "aria-label": name },
      h("header", { class: "row" }, h("h2", { class: "grow" }, name), this.chip, tools),
      this.bar,
      this.said,
      this.rows,
    );
  }

  update(told) {
    this.#told = told;
    this.element.dataset.state = told.state;
    this.chip.dataset.look = LOOKS[told.state];
    this.chip.textContent = told.state[0].toUpperCase() + told.state.slice(1);
    const over = OVER.has(told.state);
    this.bar.hidden = over;
    if (told.progress === null) this.bar.removeAttribute("value");
    else this.bar.value = told.progress;
    this.cancel.hidden = over;
    this.forget.hidden = !over;
    const length = told.duration_s ? ` of ${span(told.duration_s)}` : "";
    const state = told.message ? `${told.message} (${told.code})` : `${told.at_s.toFixed(0)} s${length} judged`;
    put(this.said, `${state} · ${told.verdict_count} verdict${told.verdict_count === 1 ? "" : "s"} · ${moment(told.created_at)}`);
  }

  /** Fetch its verdicts if there are new ones. */
  async look() {
    if (this.#told.verdict_count === this.#seen) return;
    const told = await get(`/v1/videos/${encodeURIComponent(this.id)}`);
    this.#seen = told.verdicts.length;
    this.update(told);
    put(this.rows, told.verdicts.map(row));
  }

  async #forget() {
    await remove(`/v1/videos/${encodeURIComponent(this.id)}`);
    this.ongone();
    this.element.remove();
  }
}

function row(verdict) {
  const { look, word } = STATUSES[verdict.status];
  const took = verdict.timings_ms.order_end_to_verdict;
  return h(
    "li",
    {},
    h(
      "div",
      { class: "order-row", data: { look } },
      h("span", { class: "order-sign" }, icon(look), h("span", { class: "unseen" }, word)),
      h("span", { class: "order-number" }, numberOf(verdict)),
      h("span", { class: "order-what" }, faultLine(verdict) || "Complete"),
      h("span", { class: "order-where" }, milliseconds(took)),
    ),
  );
}

function button(name, look, act) {
  const pressed = async () => {
    try {
      await act();
    } catch (problem) {
      toast(problem.told ?? String(problem), { kind: "bad" });
    }
  };
  return h("button", { type: "button", class: `button ${look}`, onclick: pressed }, name);
}
