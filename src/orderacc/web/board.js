// The board: a card for every station, as large as the screen allows.

import { Card } from "./card.js";
import { h, put } from "./dom.js";

/** Show it in `root`; gives what ends it. */
export function board(root, { box }) {
  const cards = new Map();
  const grid = h("div", { class: "board" });
  const empty = h("p", { class: "empty" });
  put(root, h("h1", { class: "unseen" }, "Board"), grid, empty);

  const draw = () => {
    for (const [id, card] of cards) {
      if (box.stations.has(id)) continue;
      card.close();
      card.element.remove();
      cards.delete(id);
    }
    for (const [id, station] of box.stations) {
      if (!cards.has(id)) {
        cards.set(id, new Card(box, id));
        grid.append(cards.get(id).element);
      }
      cards.get(id).update(station);
    }
    lay(grid, cards.size);
    grid.hidden = !cards.size;
    empty.hidden = cards.size > 0;
    put(empty, box.loaded ? ["No station yet. ", h("a", { href: "#/stations" }, "Add a camera")] : "Asking the box…");
  };

  const kinds = ["stations", "verdict", "review", "loaded"];
  for (const kind of kinds) box.addEventListener(kind, draw);
  const timer = setInterval(draw, 1000);
  const resized = () => lay(grid, cards.size);
  addEventListener("resize", resized);
  draw();
  return () => {
    clearInterval(timer);
    removeEventListener("resize", resized);
    for (const kind of kinds) box.removeEventListener(kind, draw);
    for (const card of cards.values()) card.close();
  };
}

// The number of columns at which a card comes nearest to a third wider than high and no place stays empty.
function lay(grid, cards) {
  const { innerWidth: width, innerHeight: height } = window;
  const most = width < 700 ? 1 : Math.min(cards, 4);
  let best = 1;
  const oddness = (columns) => {
    const lines = Math.ceil(cards / columns);
    return Math.abs(Math.log(((width / columns) * lines) / height / 1.3)) + 0.7 * (columns * lines - cards);
  };
  for (let columns = 2; columns <= most; columns += 1) if (oddness(columns) < oddness(best)) best = columns;
  const rows = Math.ceil(cards / best);
  grid.style.setProperty("--columns", best);
  grid.style.setProperty("--rows", rows);
  grid.dataset.scrolls = rows > 3 || (width < 700 && cards > 1) ? "yes" : "no";
}
