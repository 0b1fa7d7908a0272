// A station's pictures as they come, with what was seen in them: a canvas fed by a WebSocket.

const PAUSE = 1000;
const THING = "#ffffff";
const APART = { hand: "#ffb300", bag: "#5cc8ff", slip: "#8ce99a" };

/** Shows a station until `close`. Calls `onstate` with what the box says beside each picture. */
export class LiveView {
  #socket = null;
  #closed = false;
  #state = null;
  #timer = null;

  constructor(canvas, stationId, { width = 640, fps = 5, onstate = () => {} } = {}) {
    this.canvas = canvas;
    this.stationId = stationId;
    this.width = width;
    this.fps = fps;
    this.onstate = onstate;
    this.shown = 0;
    document.addEventListener("visibilitychange", this.#watch);
    this.#watch();
  }

  close() {
    this.#closed = true;
    document.removeEventListener("visibilitychange", this.#watch);
    this.#end();
  }

  // Nobody sees a hidden page: the box has better things to do than to draw for it.
  #watch = () => {
    if (document.hidden) this.#end();
    else if (!this.#socket && !this.#closed) this.#begin();
  };

  #end() {
    clearTimeout(this.#timer);
    this.#socket?.close();
    this.#socket = null;
  }

  #begin() {
    const address = new URL(`/v1/stations/${encodeURIComponent(this.stationId)}/live`, location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    address.search = new URLSearchParams({ width: this.width, fps: this.fps });
    const socket = new WebSocket(address);
    socket.binaryType = "blob";
    socket.onmessage = ({ data }) => (typeof data === "string" ? this.#hear(data) : this.#show(socket, data));
    socket.onclose = () => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      if (!this.#closed && !document.hidden) this.#timer = setTimeout(() => this.#watch(), PAUSE);
    };
    this.#socket = socket;
  }

  #hear(text) {
    this.#state = JSON.parse(text);
    this.onstate(this.#state);
  }

  async #show(socket, picture) {
    const { frame } = this.#state;
    const bitmap = await createImageBitmap(picture).catch(() => null);
    if (socket.readyState === WebSocket.OPEN) socket.send("ack");
    if (!bitmap || !frame || this.#closed) return;
    this.canvas.width = bitmap.width;
    this.canvas.height = bitmap.height;
    const brush = this.canvas.getContext("2d");
    brush.drawImage(bitmap, 0, 0);
    drawBoxes(brush, frame.boxes, bitmap.width / frame.width);
    bitmap.close();
    this.shown += 1;
    this.canvas.dataset.shown = this.shown;
  }
}

/** Boxes with their names over a picture. `scale`: canvas pixels for a pixel of the frame. */
export function drawBoxes(brush, boxes, scale) {
  const thick = Math.max(2, brush.canvas.width / 320);
  const size = Math.max(11, brush.canvas.width / 46);
  brush.font = `600 ${size}px system-ui, sans-serif`;
  brush.textBaseline = "top";
  for (const { label, box, color } of boxes) {
    const [left, top, right, bottom] = box.map((side) => side * scale);
    const paint = color || APART[label] || THING;
    brush.lineWidth = thick + 2;
    brush.strokeStyle = "rgb(0 0 0 / 45%)";
    brush.strokeRect(left, top, right - left, bottom - top);
    brush.lineWidth = thick;
    brush.strokeStyle = paint;
    brush.strokeRect(left, top, right - left, bottom - top);
    const wide = brush.measureText(label).width + size * 0.7;
    const above = Math.max(0, top - size * 1.45);
    brush.fillStyle = paint;
    brush.fillRect(left - thick / 2, above, wide, size * 1.45);
    brush.fillStyle = "#101418";
    brush.fillText(label, left + size * 0.35 - thick / 2, above + size * 0.24);
  }
}
