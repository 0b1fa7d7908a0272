// Corrections as a dataset: what the crew said was in the bags, in the form `orderacc eval --truth` reads.

import { get } from "./api.js";
import { save, toast } from "./dom.js";

const PAGE = 500;

/** The newest review of every verdict that has one, by verdict. */
export async function allReviews() {
  const newest = new Map();
  for (let after = 0; after !== null; ) {
    const page = await get("/v1/reviews", { after, limit: 1000 });
    for (const said of page.reviews) newest.set(said.verdict_id, said);
    after = page.next;
  }
  return newest;
}

/** The verdicts that were reviewed for good, with their review: `{verdict, recorded_at, said}`. */
export async function reviewedVerdicts() {
  const newest = await allReviews();
  const found = [];
  let cursor = null;
  do {
    const page = await get("/v1/verdicts", { reviewed: true, limit: PAGE, cursor });
    for (const told of page.verdicts) {
      const said = newest.get(told.verdict.verdict_id);
      if (said && said.opinion !== "open") found.push({ ...told, said });
    }
    cursor = page.next;
  } while (cursor !== null);
  return found;
}

/** What was in the bag by a review; null when nobody said. */
export function inTheBag({ verdict, said }) {
  if (said.items) return said.items;
  if (said.opinion !== "confirmed" || verdict.status === "undetermined") return null;
  return verdict.seen.filter(({ quantity }) => quantity > 0).map(({ name, quantity }) => ({ name, quantity }));
}

/** Have them saved. */
export async function exportCorrections() {
  try {
    const orders = (await reviewedVerdicts())
      .map((one) => ({ ...one, items: inTheBag(one) }))
      .filter(({ items }) => items)
      .map(({ verdict, said, items }) => ({
        order_id: verdict.order_id ?? verdict.slip_text,
        slip_text: verdict.slip_text,
        expected: verdict.expected,
        items,
        verdict_id: verdict.verdict_id,
        station_id: verdict.station_id,
        judged: verdict.status,
        opinion: said.opinion,
        note: said.note,
        frames: verdict.frames.map(({ ref }) => ref),
      }));
    if (!orders.length) return toast("Nobody has reviewed an order yet.");
    save("corrections.json", `${JSON.stringify({ orders }, null, 1)}\n`, "application/json");
    toast(`${orders.length} reviewed order${orders.length === 1 ? "" : "s"} exported.`);
  } catch (problem) {
    toast(problem.told ?? String(problem), { kind: "bad" });
  }
}
