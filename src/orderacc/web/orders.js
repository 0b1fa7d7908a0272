// Orders: what was judged, when, searched and one by one.

import { boxNow, get } from "./api.js";
import { allReviews, exportCorrections } from "./corrections.js";
import { h, icon, put, toast } from "./dom.js";
import { handledAs } from "./face.js";
import { order } from "./order.js";
import { stackedBars } from "./plots.js";
import { ago, clock, faultLine, moment, numberOf, STATUSES } from "./words.js";

const PAGE = 60;
const TYPING = 250;
const BARS = 24;
const HOUR = 3_600_000;
const SPANS = [["", "Any time"], ["1", "Last hour"], ["12", "Last 12 hours"], ["24", "Last day"], ["168", "Last week"]];

/** Show them in `root`; `rest[0]` is the verdict that is open. */
export function orders(root, { box, rest }) {
  const list = new OrderList(box, rest[0] ?? null);
  const detail = h("section", { class: "orders-detail", "aria-label": "Order" });
  put(root, h("h1", { class: "unseen" }, "Orders"), h("div", { class: "orders", data: { open: rest[0] ? "yes" : "no" } }, list.element, detail));
  const end = rest[0] ? order(detail, { box, verdictId: rest[0] }) : null;
  if (!rest[0]) put(detail, h("p", { class: "empty" }, "Choose an order."));
  list.load();
  allReviews()
    .then((all) => {
      box.learn(all.values());
      list.draw();
    })
    .catch(() => {}); // without it the list merely does not say what was reviewed
  const fresh = ({ detail: told }) => list.heard(told.verdict);
  const reviewed = () => list.draw();
  box.addEventListener("verdict", fresh);
  box.addEventListener("review", reviewed);
  return () => {
    box.removeEventListener("verdict", fresh);
    box.removeEventListener("review", reviewed);
    list.close();
    end?.();
  };
}

// What was asked for last is asked for again when somebody comes back from an order.
const wanted = { text: "", station: "", status: "", reviewed: "", hours: "", between: null };

class OrderList {
  #told = [];
  #next = null;
  #asking = null;
  #timer = null;
  #new = 0;

  constructor(box, openId) {
    this.box = box;
    this.openId = openId;
    this.rows = h("ul", { class: "orders-rows" });
    this.more = h("button", { type: "button", class: "button", onclick: () => this.load({ further: true }) }, "More");
    this.news = h("button", { type: "button", class: "button main", hidden: true, onclick: () => this.load() });
    this.plot = h("div", { class: "orders-time" });
    this.element = h("section", { class: "orders-list", "aria-label": "Orders" }, this.#filters(), this.plot, this.news, this.rows, this.more);
  }

  close() {
    clearTimeout(this.#timer);
    this.#asking?.abort();
  }

  /** Ask for the first page, or a further one. */
  async load({ further = false } = {}) {
    this.#asking?.abort();
    const asking = (this.#asking = new AbortController());
    const { text, station, status, reviewed, hours, between } = wanted;
    const since = between?.[0] ?? (hours ? new Date(boxNow() - hours * HOUR).toISOString() : null);
    const query = { text, station, status, reviewed, since, until: between?.[1], limit: PAGE, cursor: further ? this.#next : null };
    try {
      const page = await get("/v1/verdicts", query, { signal: asking.signal });
      this.#told = further ? [...this.#told, ...page.verdicts] : page.verdicts;
      this.#next = page.next;
      this.#new = further ? this.#new : 0;
      this.draw();
    } catch (problem) {
      if (!asking.signal.aborted) toast(problem.told ?? String(problem), { kind: "bad" });
    }
  }

  /** There is a new verdict: said, not pushed in under somebody's finger. */
  heard(verdict) {
    if (this.#told.some((one) => one.verdict.verdict_id === verdict.verdict_id)) return;
    this.#new += 1;
    if (scrollY < 80 && !document.activeElement?.closest(".orders-rows, .orders-detail") && !this.openId) this.load();
    else this.draw();
  }

  draw() {
    put(this.rows, this.#told.length ? this.#told.map((told) => this.#row(told)) : h("li", { class: "empty" }, "No order fits."));
    this.more.hidden = this.#next === null;
    this.news.hidden = !this.#new;
    this.news.textContent = `${this.#new} new`;
    put(this.plot, this.#timeline());
  }

  #row({ recorded_at: at, verdict }) {
    const { look } = STATUSES[verdict.status];
    const handled = handledAs(verdict, this.box.reviews);
    const open = verdict.verdict_id === this.openId;
    return h(
      "li",
      {},
      h(
        "a",
        { class: "order-row", href: `#/orders/${encodeURIComponent(verdict.verdict_id)}`, data: { look }, "aria-current": open ? "true" : null },
        h("span", { class: "order-sign" }, icon(look)),
        h("span", { class: "order-number" }, numberOf(verdict)),
        h("span", { class: "order-what" }, faultLine(verdict) || "Complete"),
        h("span", { class: "order-where" }, `${verdict.station_id} · ${moment(at)}`, handled ? h("em", {}, ` · ${handled}`) : null),
      ),
    );
  }

  #filters() {
    const set = (name) => (event) => {
      wanted[name] = event.target.value;
      if (name === "hours") wanted.between = null;
      this.load();
    };
    const search = h("input", {
      id: "search",
      type: "search",
      placeholder: "Number or item",
      "aria-label": "Search",
      value: wanted.text,
      maxlength: 100,
      oninput: (event) => {
        wanted.text = event.target.value.trim();
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.load(), TYPING);
      },
    });
    const stations = [["", "All stations"], ...[...this.box.stations.keys()].map((id) => [id, id])];
    const statuses = [["", "All verdicts"], ["inaccurate,unsure", "Wrong or to check"], ...named(STATUSES)];
    const reviews = [["", "Reviewed or not"], ["false", "Not reviewed"], ["true", "Reviewed"]];
    return h(
      "div",
      { class: "filters", role: "search" },
      search,
      choice("Station", stations, wanted.station, set("station")),
      choice("Verdict", statuses, wanted.status, set("status")),
      choice("Review", reviews, wanted.reviewed, set("reviewed")),
      choice("Time", SPANS, wanted.hours, set("hours")),
      h("button", { type: "button", class: "button", onclick: () => exportCorrections() }, "Export corrections"),
    );
  }

  #timeline() {
    if (wanted.between) {
      const all = () => ((wanted.between = null), this.load());
      const [from, to] = wanted.between.map(clock);
      return h("p", { class: "row" }, `${from} to ${to}`, h("button", { type: "button", class: "button small", onclick: all }, "All of it"));
    }
    if (this.#told.length < 2) return [];
    const moments = this.#told.map(({ recorded_at: at }) => Date.parse(at));
    const first = Math.min(...moments);
    const last = Math.max(...moments) + 1;
    const wide = Math.max(60_000, (last - first) / BARS);
    const bars = Array.from({ length: BARS }, (_, place) => {
      const from = last - (BARS - place) * wide;
      const inside = this.#told.filter((_, index) => moments[index] >= from && moments[index] < from + wide);
      const parts = Object.entries(STATUSES).map(([status, { look }]) => ({ look, value: inside.filter(({ verdict }) => verdict.status === status).length }));
      const label = clock(from).slice(0, 5);
      return { label, title: `${label}: ${inside.length} orders`, parts, from, to: from + wide };
    });
    const onpick = ({ from, to }) => {
      wanted.between = [new Date(from).toISOString(), new Date(to).toISOString()];
      this.load();
    };
    const wrong = this.#told.filter(({ verdict }) => verdict.status === "inaccurate").length;
    const name = `${this.#told.length} orders since ${ago(new Date(first).toISOString())}, ${wrong} of them wrong`;
    return stackedBars(bars, { name, high: 64, wide: 400, labels: 5, onpick });
  }
}

/** A drop-down list of `[value, text]`; an object would put stations named by numbers before all others. */
export function choice(name, options, value, onchange) {
  const entries = options.map(([key, text]) => h("option", { value: key, selected: key === value }, text));
  return h("select", { "aria-label": name, onchange }, entries);
}

const named = (statuses) => Object.entries(statuses).map(([status, { word }]) => [status, word]);
