// The frames a verdict rests on, with what was seen in each, and the order as a video.

import { h, put } from "./dom.js";
import { drawBoxes } from "./live.js";
import { clock } from "./words.js";

const COLORS = { matched: "#5bd68d", missing: "#ff6b78", extra: "#ff6b78", quantity_mismatch: "#ffc64d" };

/** The part of an order's page about its evidence. */
export function evidence(verdict) {
  const address = `/v1/verdicts/${encodeURIComponent(verdict.verdict_id)}`;
  const frames = verdict.frames.map((frame, place) => figure(verdict, frame, place, `${address}/frames/${place}`));
  const none = h("p", { class: "hint" }, "No picture of this order is kept.");
  return h(
    "section",
    { class: "panel" },
    h("h3", {}, "Evidence"),
    frames.length ? h("div", { class: "frames" }, frames) : none,
    frames.length ? replay(`${address}/replay.mp4`) : null,
  );
}

function figure(verdict, { at, score }, place, address) {
  const canvas = h("canvas", { role: "img", width: 640, height: 360 });
  const there = seenIn(verdict, place);
  const text = there.map(({ name, count }) => `${count} × ${name}`).join(", ") || (asked(verdict, place) ? "Nothing was seen" : "Not asked about");
  canvas.setAttribute("aria-label", `Frame ${place + 1}: ${text}`);
  const element = h("figure", { class: "frame" }, canvas, h("figcaption", {}, h("b", {}, text), h("span", { class: "hint" }, ` ${clock(at)}, score ${score.toFixed(2)}`)));
  paint(canvas, address, there).catch(() => {
    put(element, h("p", { class: "hint frame-gone" }, "This picture is not kept."), element.lastChild);
  });
  return element;
}

function seenIn(verdict, place) {
  return verdict.findings.flatMap(({ outcome, name, frames }) =>
    frames.filter(({ frame, count }) => frame === place && count > 0).map(({ count, boxes }) => ({ outcome, name, count, boxes: boxes || [] })),
  );
}

// The model is asked about no more frames than it takes.
const asked = (verdict, place) => verdict.findings.some(({ frames }) => frames.some(({ frame }) => frame === place));

async function paint(canvas, address, there) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  const bitmap = await createImageBitmap(await answer.blob());
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  const brush = canvas.getContext("2d");
  brush.drawImage(bitmap, 0, 0);
  const boxes = there.flatMap(({ outcome, name, boxes: all }) => all.map((box) => ({ label: name, box, color: COLORS[outcome] })));
  drawBoxes(brush, boxes, 1);
  canvas.dataset.shown = "1";
}

function replay(address) {
  const place = h("div", { class: "replay" });
  const begin = () => {
    const video = h("video", { controls: true, autoplay: true, playsinline: true, src: address });
    video.muted = true;
    video.addEventListener("error", () => put(place, h("p", { class: "hint" }, "No video of this order is kept.")));
    put(place, video);
  };
  return put(place, h("button", { type: "button", class: "button", onclick: begin }, "Replay"));
}
