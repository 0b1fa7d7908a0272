// What the page knows of the box: its stations, their latest verdicts, what the crew said, and how fresh all of it is.

import { boxNow, get, post } from "./api.js";
import { Feed } from "./feed.js";

const KEPT = 12; // verdicts of a station
const LOOK_EVERY = 2000;
const LOOK_TIME = 5;
const LATE = 6500; // without an answer for so long, what is shown may be wrong

/**
 * Tells of changes as events: `stations`, `verdict` (`{verdict, fresh}`), `review`, `link`, `loaded`.
 *
 * `link` is `connecting`, `live`, `catching-up` or `lost`; `heard` is when the box last said anything, by this clock.
 */
export class Box extends EventTarget {
  stations = new Map();
  verdicts = new Map();
  reviews = new Map();
  link = "connecting";
  heard = null;
  loaded = false;
  #feed = new Feed();
  #open = false;
  #loading = null;
  #timers = [];
  #looking = false;

  start() {
    this.#feed.addEventListener("open", () => {
      this.#open = true;
      this.#load();
    });
    this.#feed.addEventListener("closed", () => {
      this.#open = false;
      this.#judgeLink();
    });
    this.#feed.addEventListener("heard", () => this.#hear());
    this.#feed.addEventListener("event", ({ detail }) => this.#take(detail));
    this.#feed.run();
    this.#timers = [setInterval(() => this.#look(), LOOK_EVERY), setInterval(() => this.#judgeLink(), 500)];
  }

  stop() {
    this.#feed.stop();
    for (const timer of this.#timers) clearInterval(timer);
  }

  /** The latest verdicts of a station, newest first. */
  of(stationId) {
    return this.verdicts.get(stationId) || [];
  }

  /** Say what the crew thinks of a verdict. */
  async review(verdictId, opinion, { items = null, note = "" } = {}) {
    const said = await post(`/v1/verdicts/${encodeURIComponent(verdictId)}/review`, { opinion, items, note });
    this.#keepReview(said);
    return said;
  }

  /** Take note of reviews that were asked for elsewhere, however many; whoever asked draws them. */
  learn(reviews) {
    for (const said of reviews) this.#isNews(said);
  }

  async #look() {
    if (this.#looking) return;
    this.#looking = true;
    try {
      const { stations } = await get("/v1/stations", {}, { seconds: LOOK_TIME });
      this.stations = new Map(stations.map((one) => [one.id, one]));
      this.#hear();
      this.#tell("stations");
    } catch (error) {
      this.#judgeLink();
    } finally {
      this.#looking = false;
    }
  }

  #load() {
    this.#loading ??= this.#loadAll().finally(() => (this.#loading = null));
    this.#judgeLink();
  }

  async #loadAll() {
    try {
      await this.#look();
      const ids = [...this.stations.keys()];
      const pages = await Promise.all(ids.map((station) => get("/v1/verdicts", { station, limit: KEPT })));
      for (const { verdicts } of pages) for (const told of verdicts) this.#keep(told.verdict, told.recorded_at);
      const wrong = pages.flatMap((page) => page.verdicts.slice(0, 4)).filter(({ verdict }) => verdict.status !== "accurate");
      await Promise.all(wrong.map(({ verdict }) => this.#loadReviews(verdict.verdict_id)));
      this.loaded = true;
      this.#tell("loaded");
    } catch (error) {
      // It did not answer after all: the feed will have noticed too, and begins again.
      setTimeout(() => this.#open && this.#load(), LOOK_EVERY);
    }
  }

  async #loadReviews(verdictId) {
    const { reviews } = await get(`/v1/verdicts/${encodeURIComponent(verdictId)}`);
    if (reviews.length) this.reviews.set(verdictId, reviews.at(-1));
  }

  #take({ kind, at, data }) {
    if (kind === "missed") this.#load();
    else if (kind === "verdict") {
      const fresh = this.#keep(data, at) && boxNow() - Date.parse(at) < 15_000;
      this.#tell("verdict", { verdict: data, fresh });
    } else if (kind === "review") this.#keepReview(data);
    else if (kind === "station") this.#look();
  }

  /** Whether it was not known. */
  #keep(verdict, at) {
    const known = this.of(verdict.station_id);
    const before = known.find((one) => one.verdict_id === verdict.verdict_id);
    if (before && before.revision >= verdict.revision) return false;
    const others = known.filter((one) => one !== before);
    others.push({ ...verdict, recorded_at: before?.recorded_at ?? at });
    others.sort((one, other) => Date.parse(other.recorded_at) - Date.parse(one.recorded_at));
    this.verdicts.set(verdict.station_id, others.slice(0, KEPT));
    return true;
  }

  #keepReview(said) {
    if (this.#isNews(said)) this.#tell("review", said);
  }

  /** Keep a review; whether it was not known. */
  #isNews(said) {
    const before = this.reviews.get(said.verdict_id);
    // A box that began anew without a journal counts its reviews from one again: its time tells.
    if (before && before.at >= said.at) return false;
    this.reviews.set(said.verdict_id, said);
    return true;
  }

  #hear() {
    this.heard = Date.now();
    this.#judgeLink();
  }

  #judgeLink() {
    const late = this.heard === null || Date.now() - this.heard > LATE;
    let link = "live";
    if (late || !this.#open) link = this.heard === null ? "connecting" : "lost";
    else if (this.#loading) link = "catching-up";
    if (link === this.link) return;
    this.link = link;
    this.#tell("link");
  }

  #tell(kind, detail = null) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }
}
