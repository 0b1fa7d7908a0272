// The page: who looks, what the box says, and which view is shown.

import { gate } from "./api.js";
import { board } from "./board.js";
import { Box } from "./box.js";
import { h, icon, put } from "./dom.js";
import { health } from "./health.js";
import { orders } from "./orders.js";
import { isLogin, login, logout, whoAmI } from "./session.js";
import { isAsleep, isMuted, play, setMuted, wake } from "./sound.js";
import { stations } from "./stations.js";
import { tryOut } from "./tryout.js";
import { clock, faultLine, numberOf, STATUSES } from "./words.js";

const VIEWS = { board, orders, stations, try: tryOut, health };
const LINKS = { connecting: "Connecting", live: "Live", "catching-up": "Catching up", lost: "Not connected" };
const RETRY = 2000;

const view = document.getElementById("view");
const box = new Box();
let end = () => {};

function route() {
  const [name, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
  const shown = name in VIEWS ? name : "board";
  end();
  document.body.dataset.view = shown;
  document.title = `${shown[0].toUpperCase()}${shown.slice(1)} · orderacc`;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === shown) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  end = VIEWS[shown](view, { box, rest: rest.map(decoded) }) || (() => {});
}

// An address may be typed, or cut short.
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// How fresh it all is.
function showLink() {
  const pill = document.getElementById("link");
  pill.dataset.state = box.link;
  pill.textContent = LINKS[box.link];
  document.body.dataset.link = box.link;
  const banner = document.getElementById("banner");
  banner.hidden = box.link !== "lost";
  if (box.link === "lost") {
    put(banner, h("strong", {}, "Not connected."), ` This was true at ${clock(box.heard)}. Trying again…`);
  }
}

// What is heard.
function tell({ detail: { verdict, fresh } }) {
  if (!fresh) return;
  play(verdict.status);
  const line = faultLine(verdict);
  const { word } = STATUSES[verdict.status];
  document.getElementById("said").textContent = `${verdict.station_id}: ${numberOf(verdict)} ${word}. ${line}`;
}

const DOWN = new Set(["stalled", "restarting", "circuit_open"]);
const down = new Set();

function listenForCameras() {
  for (const { id, phase } of box.stations.values()) {
    if (!DOWN.has(phase)) down.delete(id);
    else if (!down.has(id)) {
      down.add(id);
      play("down");
    }
  }
}

// The tools at the top.
function showSound() {
  const button = document.getElementById("sound");
  const name = isMuted() ? "Sound is off" : isAsleep() ? "Touch for sound" : "Sound is on";
  put(button, icon(isMuted() || isAsleep() ? "mute" : "sound"));
  button.dataset.asleep = isAsleep() ? "yes" : "no";
  button.setAttribute("aria-pressed", String(!isMuted()));
  button.setAttribute("aria-label", name);
  button.title = `${name} (M)`;
}

async function turnSound() {
  if (isAsleep()) await wake();
  else setMuted(!isMuted());
  showSound();
}

const THEMES = ["auto", "light", "dark"];

function showTheme() {
  const theme = document.documentElement.dataset.theme || "auto";
  const button = document.getElementById("theme");
  const name = theme === "auto" ? "Theme: as the device" : `Theme: ${theme}`;
  put(button, icon(theme));
  button.setAttribute("aria-label", name);
  button.title = name;
}

function turnTheme() {
  const now = document.documentElement.dataset.theme || "auto";
  const next = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
  if (next === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  localStorage.setItem("theme", next);
  showTheme();
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  const name = Object.keys(VIEWS)[Number(event.key) - 1];
  if (name) location.hash = `#/${name}`;
  else if (event.key === "m" || event.key === "M") turnSound();
  else if (event.key === "/") {
    event.preventDefault();
    location.hash = "#/orders";
    requestAnimationFrame(() => document.getElementById("search")?.focus());
  }
}

async function enter() {
  for (;;) {
    try {
      return await whoAmI();
    } catch (problem) {
      if (problem.status === 401 || problem.status === 403) return login(view);
      put(view, h("p", { class: "empty" }, "The box does not answer yet. Trying again…"));
      await new Promise((resolve) => setTimeout(resolve, RETRY));
    }
  }
}

async function begin() {
  showSound();
  showTheme();
  document.getElementById("sound").addEventListener("click", turnSound);
  document.getElementById("theme").addEventListener("click", turnTheme);
  addEventListener("keydown", keys);
  addEventListener("pointerdown", () => isMuted() || wake().then(showSound), { once: true });
  await enter();
  const out = document.getElementById("logout");
  put(out, icon("out")).setAttribute("aria-label", "Log out");
  out.hidden = !isLogin();
  out.addEventListener("click", () => logout().finally(() => location.reload()));
  // A login that ended, be it with the box's process, is asked for again; the page then begins afresh.
  gate.addEventListener("login", () => location.reload(), { once: true });
  for (const kind of ["link", "stations"]) box.addEventListener(kind, showLink);
  box.addEventListener("stations", listenForCameras);
  box.addEventListener("verdict", tell);
  box.start();
  addEventListener("hashchange", route);
  route();
}

begin();
