// One order: what was wrong first, then what was seen where, how long it took, and what the crew says of it.

import { get } from "./api.js";
import { h, icon, put } from "./dom.js";
import { evidence } from "./evidence.js";
import { reviewForm } from "./reviewing.js";
import { clock, faults, milliseconds, moment, numberOf, percent, reasonText, ruleText, STATUSES } from "./words.js";

const STAGES = { selection: "Choosing frames", queue: "Waiting", vlm: "Model", validation: "Comparing" };
const OPINIONS = { confirmed: "The verdict was right", wrong: "The verdict was wrong", open: "To be looked at later" };

/** Show a verdict in `root`; gives what ends it. */
export function order(root, { box, verdictId }) {
  const load = async () => {
    try {
      const told = await get(`/v1/verdicts/${encodeURIComponent(verdictId)}`);
      put(root, back(), page(told, box));
    } catch (problem) {
      put(root, back(), h("p", { class: "empty" }, problem.status === 404 ? "This order is not kept any more." : problem.told));
    }
  };
  const changed = ({ detail }) => (detail.verdict ?? detail).verdict_id === verdictId && load();
  put(root, h("p", { class: "empty" }, "Asking the box…"));
  load();
  box.addEventListener("verdict", changed);
  box.addEventListener("review", changed);
  return () => {
    box.removeEventListener("verdict", changed);
    box.removeEventListener("review", changed);
  };
}

const back = () => h("a", { class: "button quiet back", href: "#/orders" }, "← All orders");

function page({ verdict, recorded_at: at, revisions, reviews }, box) {
  const { look, word } = STATUSES[verdict.status];
  return [
    h(
      "header",
      { class: "order-head", data: { look } },
      h("span", { class: "order-sign" }, icon(look)),
      h("h2", {}, numberOf(verdict)),
      h("span", { class: "chip", data: { look } }, word),
      h("span", { class: "hint grow" }, [verdict.station_id, moment(at), `${percent(verdict.confidence)} sure`, verdict.revision > 1 && `revision ${verdict.revision}`].filter(Boolean).join(" · ")),
    ),
    wrongs(verdict),
    h("div", { class: "order-parts" }, compared(verdict), evidence(verdict)),
    timings(verdict),
    reviewForm(verdict, box),
    said(reviews),
    earlier(revisions),
  ];
}

function wrongs(verdict) {
  if (verdict.status === "accurate") return h("p", { class: "order-verdict" }, verdict.sentence || "Complete.");
  const found = faults(verdict);
  if (verdict.status === "undetermined" || !found.length) return h("p", { class: "order-verdict" }, reasonText(verdict));
  const lines = found.map(({ kind, label, text, more }) =>
    h("li", { data: { kind } }, h("b", {}, label), h("span", {}, text, more ? h("small", {}, ` ${more}`) : null)),
  );
  return h("ul", { class: "order-faults", data: { look: STATUSES[verdict.status].look } }, lines);
}

const MARKS = { matched: ["good", "as ordered"], missing: ["bad", "missing"], extra: ["bad", "extra"], quantity_mismatch: ["bad", "another number"] };

function compared(verdict) {
  const rows = lines(verdict).map(({ outcome, name, expected, seen, why }) => {
    const [look, word] = MARKS[outcome] || ["none", outcome.replaceAll("_", " ")];
    return h(
      "tr",
      { data: { look } },
      h("td", {}, h("span", { class: "mark", data: { look }, title: word }, icon(look)), h("span", { class: "unseen" }, word), name),
      h("td", { class: "figure" }, expected || "–"),
      h("td", { class: "figure" }, seen || "–"),
      h("td", { class: "hint" }, why),
    );
  });
  const head = h("tr", {}, ["Item", "Ordered", "Seen", "Why"].map((text, place) => h("th", { scope: "col", class: place % 3 ? "figure" : null }, text)));
  return h(
    "section",
    { class: "panel" },
    h("h3", {}, "Ordered and seen"),
    rows.length ? h("div", { class: "scroll" }, h("table", {}, h("thead", {}, head), h("tbody", {}, rows))) : h("p", { class: "hint" }, "Nothing was compared."),
  );
}

const GRAVITY = ["missing", "extra", "quantity_mismatch", "not_checked", "matched", "ignored"];

// Findings say more than the lists, but a verdict that compared nothing has none.
function lines(verdict) {
  if (verdict.findings.length) {
    const told = verdict.findings.map(({ outcome, name, expected, seen, rule, other_name: other, detail, confidence }) => {
      const about = [other && other !== name ? `${ruleText(rule)}: ${other}` : ruleText(rule), detail].filter(Boolean).join(", ");
      return { outcome, name, expected, seen, why: `${about} (${percent(confidence)})` };
    });
    return told.sort((one, next) => GRAVITY.indexOf(one.outcome) - GRAVITY.indexOf(next.outcome));
  }
  const names = [...new Set([...verdict.expected, ...verdict.seen].map(({ name }) => name))];
  const count = (list, name) => list.find((one) => one.name === name)?.quantity ?? 0;
  return names.map((name) => {
    const [expected, seen] = [count(verdict.expected, name), count(verdict.seen, name)];
    const outcome = verdict.status === "undetermined" ? "not_checked" : expected === seen ? "matched" : !seen ? "missing" : !expected ? "extra" : "quantity_mismatch";
    return { outcome, name, expected, seen, why: "" };
  }).sort((one, next) => GRAVITY.indexOf(one.outcome) - GRAVITY.indexOf(next.outcome));
}

function timings(verdict) {
  const told = verdict.timings_ms;
  const parts = Object.entries(STAGES).filter(([stage]) => told[stage] !== null);
  const all = parts.reduce((sum, [stage]) => sum + told[stage], 0) || 1;
  return h(
    "section",
    { class: "panel" },
    h("h3", {}, `From the order's end to the verdict: ${milliseconds(told.order_end_to_verdict)}`),
    h("div", { class: "stages", "aria-hidden": "true" }, parts.map(([stage]) => h("span", { data: { stage }, vars: { share: told[stage] / all } }))),
    h("p", { class: "keys" }, parts.map(([stage, name]) => h("span", { class: `key key-${stage}` }, `${name} ${milliseconds(told[stage])}`))),
    h("p", { class: "hint" }, `${verdict.vlm_calls} question${verdict.vlm_calls === 1 ? "" : "s"} to ${verdict.models.vlm ?? "the model"}`),
  );
}

function said(reviews) {
  if (!reviews.length) return null;
  const lines = [...reviews].reverse().map(({ opinion, note, items, reviewer, at }) =>
    h("li", {}, h("b", {}, OPINIONS[opinion]), note && ` “${note}”`, items && ` In the bag: ${items.map(({ name, quantity }) => `${quantity} × ${name}`).join(", ") || "nothing"}.`, h("span", { class: "hint" }, ` ${reviewer}, ${moment(at)}`)),
  );
  return h("section", { class: "panel" }, h("h3", {}, "What the crew said"), h("ul", { class: "lines" }, lines));
}

function earlier(revisions) {
  if (revisions.length < 2) return null;
  const lines = revisions.map(({ recorded_at: at, verdict }) =>
    h("li", {}, h("span", { class: "chip", data: { look: STATUSES[verdict.status].look } }, STATUSES[verdict.status].word), ` ${clock(at)} ${verdict.sentence}`),
  );
  return h("section", { class: "panel" }, h("h3", {}, "Judged again"), h("ol", { class: "lines" }, lines));
}
