"""Measures an exported model the way it is served: openvino-genai, batches, the grammar, greedy decoding."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orderacc.training.architecture import SERVED_HEIGHT, SERVED_WIDTH
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
    source = examples(HELD_OUT, names, view=(SERVED_WIDTH, SERVED_HEIGHT))
    return score(list(answers(load(directory), names, source, count)), names)
