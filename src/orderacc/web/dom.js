// Elements, made by one call. Text is only ever set as text, so nothing that was sent can become markup.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element. `props`: attributes, `on*` handlers, `class`, `data`, `vars` (custom properties) or DOM properties. */
export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** An SVG element. */
export function s(tag, props = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

/** What an element holds from now on. */
export function put(element, ...children) {
  element.replaceChildren(...flat(children));
  return element;
}

/** One of the page's line icons, by name. */
export function icon(name) {
  const shapes = ICONS[name].map((d) => s("path", { d }));
  return s("svg", { viewBox: "0 0 24 24", class: `icon icon-${name}`, "aria-hidden": "true" }, shapes);
}

/** Say something at the lower edge for a while, with something to do about it if given. */
export function toast(text, { kind = "info", action = null } = {}) {
  const note = h("div", { class: "toast", data: { kind } }, h("span", {}, text));
  if (action) {
    const act = () => {
      note.remove();
      action.run();
    };
    note.append(h("button", { type: "button", onclick: act }, action.name));
  }
  document.getElementById("toasts").append(note);
  setTimeout(() => note.remove(), action ? 8000 : 5000);
}

/** Have a file saved. */
export function save(name, text, type) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "vars") for (const [key, one] of Object.entries(value)) element.style.setProperty(`--${key}`, one);
    else if (name === "class") element.setAttribute("class", value);
    else if (name === "value" || name === "checked" || name === "srcObject") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...flat(children));
  return element;
}

function flat(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

const ICONS = {
  good: ["M5 12.500 10 17.500 19.500 7"],
  bad: ["M6.500 6.500 17.500 17.500", "M17.500 6.500 6.500 17.500"],
  warn: ["M12 5v9", "M12 18.800v.2"],
  none: ["M6 12h12"],
  watching: ["M2.500 12S6 5.500 12 5.500 21.500 12 21.500 12 18 18.500 12 18.500 2.500 12 2.500 12z", "M12 9.500a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5z"],
  down: ["M3 4l18 16", "M8 6h9v6", "M17 15.500V18H4V7h1", "M17 11l4-2.500v7"],
  sound: ["M4 10v4h3.500L12 18V6L7.500 10z", "M15.500 9a4 4 0 0 1 0 6", "M18 6.500a8 8 0 0 1 0 11"],
  mute: ["M4 10v4h3.500L12 18V6L7.500 10z", "M15.500 9.500l5 5", "M20.500 9.500l-5 5"],
  light: ["M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8z", "M12 3v1.800M12 19.200V21M3 12h1.800M19.200 12H21M5.600 5.600l1.300 1.300M17.100 17.100l1.300 1.300M5.600 18.400l1.300-1.300M17.100 6.900l1.300-1.300"],
  dark: ["M20 14.500A8.300 8.300 0 0 1 9.500 4 8.300 8.300 0 1 0 20 14.500z"],
  auto: ["M12 3.500a8.500 8.500 0 1 0 0 17z", "M12 3.500a8.500 8.500 0 0 1 0 17"],
  out: ["M14 4H5v16h9", "M10 12h11", "M17.500 8.500 21 12l-3.500 3.500"],
};
