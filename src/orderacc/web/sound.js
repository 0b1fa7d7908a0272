// A sound for each kind of news, made here: short, told apart with the back turned, and mutable.

const TUNES = {
  // [hertz, begins, lasts] in seconds
  accurate: { wave: "sine", loud: 0.18, notes: [[660, 0, 0.12], [880, 0.11, 0.2]] },
  inaccurate: { wave: "square", loud: 0.16, notes: [[740, 0, 0.16], [494, 0.18, 0.16], [740, 0.4, 0.16], [494, 0.58, 0.26]] },
  unsure: { wave: "triangle", loud: 0.28, notes: [[587, 0, 0.16], [587, 0.24, 0.22]] },
  undetermined: { wave: "sine", loud: 0.16, notes: [[392, 0, 0.22]] },
  down: { wave: "sawtooth", loud: 0.16, notes: [[196, 0, 0.3], [147, 0.32, 0.5]] },
};

let context = null;
let muted = localStorage.getItem("muted") === "yes";

/** Whether nothing is to be heard. */
export function isMuted() {
  return muted;
}

/** Be silent, or not. */
export function setMuted(value) {
  muted = value;
  localStorage.setItem("muted", muted ? "yes" : "no");
  if (!muted) wake();
}

/** Whether the browser still waits for a touch before it lets a page be heard. */
export function isAsleep() {
  return !muted && context?.state !== "running";
}

/** Be ready; browsers allow it only when somebody touches the page. */
export function wake() {
  context ??= new AudioContext();
  return context.resume();
}

/** Sound for `accurate`, `inaccurate`, `unsure`, `undetermined` or `down`. */
export function play(kind) {
  document.documentElement.dataset.heard = muted ? "nothing" : kind;
  if (muted || context?.state !== "running") return;
  const { wave, loud, notes } = TUNES[kind];
  for (const [hertz, begins, lasts] of notes) {
    const tone = new OscillatorNode(context, { type: wave, frequency: hertz });
    const volume = new GainNode(context, { gain: 0 });
    const start = context.currentTime + begins;
    volume.gain.setValueAtTime(0, start);
    volume.gain.linearRampToValueAtTime(loud, start + 0.015);
    volume.gain.setValueAtTime(loud, start + lasts - 0.04);
    volume.gain.linearRampToValueAtTime(0, start + lasts);
    tone.connect(volume).connect(context.destination);
    tone.start(start);
    tone.stop(start + lasts);
  }
}
