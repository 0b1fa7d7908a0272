// Following the box's events: resumed where it left off, for as long as the page is open.
//
// Read with fetch and not with EventSource, which hides the box's signs of life: a line that went dead in silence would
// look like a quiet evening.

import { heed, refusalOf } from "./api.js";

const SILENCE = 20_000; // the box says something every 15 s
const SHORTEST = 400;
const LONGEST = 4000;

/** Events as `CustomEvent`s: `open`, `closed`, and `event` with `{id, kind, at, data}`. */
export class Feed extends EventTarget {
  #last = null;
  #pause = SHORTEST;
  #stop = null;

  /** Follow until `stop`. */
  async run() {
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.#follow(signal);
      if (signal.aborted) return;
      this.dispatchEvent(new CustomEvent("closed"));
      await sleep(this.#pause, signal);
      this.#pause = Math.min(LONGEST, this.#pause * 1.6);
    }
  }

  stop() {
    this.#stop?.abort();
  }

  async #follow(outer) {
    const quiet = new AbortController();
    const signal = AbortSignal.any([outer, quiet.signal]);
    let watchdog = setTimeout(() => quiet.abort(), SILENCE);
    try {
      const headers = this.#last === null ? {} : { "Last-Event-ID": this.#last };
      const answer = await fetch("/v1/events", { headers, signal, cache: "no-store" });
      heed(answer);
      if (!answer.ok) throw refusalOf(answer.status);
      this.#pause = SHORTEST;
      this.dispatchEvent(new CustomEvent("open"));
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        clearTimeout(watchdog);
        watchdog = setTimeout(() => quiet.abort(), SILENCE);
        text += value;
        const blocks = text.split("\n\n");
        text = blocks.pop();
        for (const block of blocks) this.#take(block);
        this.dispatchEvent(new CustomEvent("heard"));
      }
    } catch (error) {
      // However it ended, it is begun again; a box that wants a login has been heard by `refusalOf`.
    } finally {
      clearTimeout(watchdog);
    }
  }

  #take(block) {
    const fields = {};
    for (const line of block.split("\n")) {
      const [, name, value] = /^([a-z]*): ?(.*)$/.exec(line) || [];
      if (name) fields[name] = value;
    }
    if (!fields.event) return;
    this.#last = fields.id ?? this.#last;
    const { at, data } = JSON.parse(fields.data);
    this.dispatchEvent(new CustomEvent("event", { detail: { id: fields.id, kind: fields.event, at, data } }));
  }
}

function sleep(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
