// Adding a camera: tested first, so that nobody climbs a ladder twice.

import { post } from "./api.js";
import { h, put, toast } from "./dom.js";

const KINDS = {
  rtsp: { name: "Network camera (RTSP)", label: "Address", hint: "rtsp://user:password@192.168.1.21/stream1", key: "url" },
  http: { name: "Network stream (HTTP)", label: "Address", hint: "http://192.168.1.22/video.ts", key: "url" },
  device: { name: "Plugged into the box", label: "Device", hint: "/dev/video0", key: "device" },
  simulator: { name: "Simulated counter", label: "Seed", hint: "7", key: "seed" },
};

/** The form and the button that opens it. */
export function cameraForm() {
  const name = h("input", { id: "camera-name", required: true, maxlength: 64, pattern: "[A-Za-z0-9][A-Za-z0-9._\\-]*", placeholder: "drive-3" });
  const kind = h("select", { id: "camera-kind" }, Object.entries(KINDS).map(([key, one]) => h("option", { value: key }, one.name)));
  const where = h("input", { id: "camera-where", required: true, maxlength: 500, spellcheck: "false", autocomplete: "off" });
  const label = h("label", { for: "camera-where" });
  const fps = h("input", { id: "camera-fps", type: "number", min: 1, max: 60, value: "10" });
  const result = h("div", { class: "tested", role: "status" });
  const turn = () => {
    label.textContent = KINDS[kind.value].label;
    where.placeholder = KINDS[kind.value].hint;
    put(result);
  };
  kind.addEventListener("change", turn);
  turn();

  const test = async (event) => {
    if (!where.reportValidity()) return;
    const { target } = event;
    target.disabled = true;
    put(result, h("p", { class: "hint" }, "Opening the camera…"));
    try {
      put(result, told(await post("/v1/cameras/test", { source: sourceOf(kind.value, where.value) }, { seconds: 45 })));
    } catch (problem) {
      put(result, h("p", { class: "wrong" }, problem.told));
    }
    target.disabled = false;
  };
  const add = async (event) => {
    event.preventDefault();
    try {
      await post("/v1/stations", { id: name.value.trim(), source: sourceOf(kind.value, where.value), fps: Number(fps.value) });
      toast(`${name.value.trim()} is being watched.`);
      element.reset();
      element.hidden = true;
      turn();
    } catch (problem) {
      put(result, h("p", { class: "wrong" }, problem.told));
    }
  };
  const field = (text, input) => h("div", { class: "field" }, text, input);
  const element = h(
    "form",
    { class: "panel camera", hidden: true, onsubmit: add },
    h(
      "div",
      { class: "camera-fields" },
      field(h("label", { for: "camera-name" }, "Name of the station"), name),
      field(h("label", { for: "camera-kind" }, "Camera"), kind),
      field(label, where),
      field(h("label", { for: "camera-fps" }, "Frames a second"), fps),
    ),
    result,
    h("div", { class: "row" }, h("button", { type: "button", class: "button", onclick: test }, "Test it"), h("button", { type: "submit", class: "button main" }, "Add the station")),
    h("p", { class: "hint" }, "Until the box starts anew or reads its configuration again; what should stay belongs into stations.yaml."),
  );
  const button = h("button", { type: "button", class: "button main", "aria-expanded": "false" }, "Add a camera");
  button.addEventListener("click", () => {
    element.hidden = !element.hidden;
    button.setAttribute("aria-expanded", String(!element.hidden));
    if (!element.hidden) name.focus();
  });
  return { element, button };
}

function sourceOf(kind, text) {
  const { key } = KINDS[kind];
  const number = key === "seed" || (key === "device" && /^\d+$/.test(text.trim()));
  return { type: kind, [key]: number ? Number(text) : text.trim(), ...(kind === "simulator" ? { loop: true } : {}) };
}

function told({ ok, code, message, fps, width, height, codec, picture }) {
  if (!ok) return h("p", { class: "wrong" }, `It cannot be seen: ${message ?? "no picture came"}${code ? ` (${code})` : ""}`);
  const bytes = Uint8Array.from(atob(picture), (one) => one.charCodeAt(0));
  const address = URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" }));
  const facts = [`${width} × ${height}`, codec, fps && `${fps} frames a second`].filter(Boolean).join(", ");
  const image = h("img", { src: address, alt: "The camera's picture", onload: () => URL.revokeObjectURL(address) });
  return [image, h("p", {}, h("b", {}, "It can be seen. "), facts, message ? h("span", { class: "wrong" }, ` Then: ${message}`) : null)];
}
