"""Measures an exported model the way it is served: openvino-genai, batches, the grammar, greedy decoding."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from orderacc.training.pictures import HELD_OUT, examples
from orderacc.vlm.prompt import answer_grammar, build_prompt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import openvino_genai

    from orderacc.training.pictures import Example

BATCH = 16


@dataclass(frozen=True, slots=True)
class Score:
    """What a model got right over held-out pictures.

    Attributes:
        pictures: How many were asked about.
        exact: Share with exactly the right list.
        within_one: Share at most one unit away from it.
        precision: Units named that are there, as a share of units named.
        recall: Units there that were named, as a share of units there.
        items: Precision and recall by item name.
    """

    pictures: int
    exact: float
    within_one: float
    precision: float
    recall: float
    items: dict[str, tuple[float, float]]


def load(directory: Path) -> openvino_genai.ContinuousBatchingPipeline:
    """The model in openvino-genai's batching pipeline."""
    import openvino_genai as genai

    scheduler = genai.SchedulerConfig()
    scheduler.cache_size = 1
    scheduler.max_num_batched_tokens = 2048
    return genai.ContinuousBatchingPipeline(str(directory), scheduler, "CPU")


def answers(
    pipeline: openvino_genai.ContinuousBatchingPipeline, names: Sequence[str], source: Iterator[Example], count: int
) -> Iterator[tuple[Counter[str], Counter[str]]]:
    """Ask about pictures.

    Yields:
        What is there and what the model says, each a `Counter` of units by name.
    """
    import openvino
    import openvino_genai as genai

    config = genai.GenerationConfig()
    config.max_new_tokens = 4 * len(names) + 8
    config.do_sample = False
    structure = genai.StructuredOutputConfig()
    structure.grammar = answer_grammar(names)
    config.structured_output_config = structure
    prompt = build_prompt(names)
    for start in range(0, count, BATCH):
        chunk = [next(source) for _ in range(min(BATCH, count - start))]
        pictures = [[openvino.Tensor(one.picture[None])] for one in chunk]
        results = pipeline.generate([prompt] * len(chunk), pictures, [config] * len(chunk))
        for one, result in zip(chunk, results, strict=True):
            truth = Counter(names[kind] for kind in one.classes.tolist() if kind >= 0)
            said: Counter[str] = Counter()
            for line in json.loads(result.texts[0])["items"]:
                said[line["name"]] += line["quantity"]
            yield truth, said


def score(pairs: Sequence[tuple[Counter[str], Counter[str]]], names: Sequence[str]) -> Score:
    """Compare what is there with what was said."""
    hits = {name: sum(min(truth[name], said[name]) for truth, said in pairs) for name in names}
    there = {name: sum(truth[name] for truth, _ in pairs) for name in names}
    named = {name: sum(said[name] for _, said in pairs) for name in names}
    wrong = [sum(abs(truth[name] - said[name]) for name in names) for truth, said in pairs]
    return Score(
        pictures=len(pairs),
        exact=sum(units == 0 for units in wrong) / len(pairs),
        within_one=sum(units <= 1 for units in wrong) / len(pairs),
        precision=sum(hits.values()) / max(1, sum(named.values())),
        recall=sum(hits.values()) / max(1, sum(there.values())),
        items={name: (hits[name] / max(1, named[name]), hits[name] / max(1, there[name])) for name in names},
    )


def evaluate(directory: Path, names: Sequence[str], count: int) -> Score:
    """Measure an exported model on held-out pictures.

    Args:
        directory: The exported model.
        names: The menu, in order.
        count: Pictures.
    """
    return score(list(answers(load(directory), names, examples(HELD_OUT, names), count)), names)


def write_card(directory: Path, found: Score, minutes: float) -> None:
    """Write `MODEL_CARD.md` and the figures as JSON next to the model."""
    rows = "\n".join(f"| {name} | {p:.3f} | {r:.3f} |" for name, (p, r) in found.items.items())
    size = sum(file.stat().st_size for file in directory.iterdir() if file.is_file()) / 1e6
    card = f"""# demo-vlm

A Qwen2.5-VL of four million parameters that lists the demo menu's items in one picture of a counter, as JSON. It has
the real model's architecture and file layout and none of its weights: it was trained from nothing on frames of
`orderacc.simulator`, knows those fourteen items and nothing else, and exists so that the whole product runs offline.
It is not a model of real food.

- Input: one RGB picture of 252 x 168 cut by `orderacc.vlm.view`, and the question of `orderacc.vlm.prompt`.
- Weights: INT8, {size:.1f} MB with everything around them. Licence Apache-2.0.
- Training: `python -m orderacc.training vlm`, {minutes:.0f} minutes of wall time on two shared CPU cores.
- Left out of training and measuring: frames with an item between 25 % and 60 % visible, where the truth is a matter of
  opinion. Items less visible than that count as absent.

## Measured

{found.pictures} frames from seeds never trained on, through openvino-genai with the answer grammar:

| | |
|---|---|
| exactly the right list | {found.exact:.3f} |
| at most one unit off | {found.within_one:.3f} |
| precision by unit | {found.precision:.3f} |
| recall by unit | {found.recall:.3f} |

| item | precision | recall |
|---|---|---|
{rows}
"""
    (directory / "MODEL_CARD.md").write_text(card, encoding="utf-8")
    (directory / "measured.json").write_text(json.dumps(asdict(found), indent=2) + "\n", encoding="utf-8")
