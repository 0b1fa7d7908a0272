"""From trained weights to the shipped folder: INT8 OpenVINO IR, manifest, model card."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from orderacc.domain.detections import NOT_ITEMS
from orderacc.training.detector_measure import MIN_IOU, Measured
from orderacc.training.detector_pictures import (
    FIRST_HELD_OUT_SEED,
    FIRST_TRAINING_SEED,
    INPUT_SIZE,
    LABELS,
    MIN_VISIBLE,
    MIN_VISIBLE_NOT_ITEM,
    truth_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import openvino
    from torch import Tensor

    from orderacc.training.detector_network import DetectorNetwork

CALIBRATION_PICTURES: Final = 300
MODEL_ID: Final = "demo-detector"


def export(network: DetectorNetwork, calibration: Iterable[Tensor], folder: Path) -> None:
    """Quantise and write `detector.xml`, `detector.bin` and `orderacc.json`.

    Args:
        network: Trained, in evaluation mode.
        calibration: float32 [1, 3, 256, 448] pictures the ranges are taken from.
        folder: Made when missing.
    """
    import nncf
    import openvino
    import torch

    shape = [1, 3, INPUT_SIZE[1], INPUT_SIZE[0]]
    converted = openvino.convert_model(network, example_input=torch.zeros(shape), input=[openvino.PartialShape(shape)])
    quantised = nncf.quantize(
        converted,
        nncf.Dataset([picture.numpy() for picture in calibration]),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=CALIBRATION_PICTURES,
        # pixels and scores share one tensor behind the last convolutions, and no one scale fits both
        ignored_scope=nncf.IgnoredScope(names=_behind_last_convolutions(converted)),
    )
    folder.mkdir(parents=True, exist_ok=True)
    openvino.save_model(quantised, folder / "detector.xml", compress_to_fp16=True)
    manifest = {
        "schema": 1,
        "id": MODEL_ID,
        "version": "1",
        "kind": "detector",
        "labels": list(LABELS),
        "input_size": list(INPUT_SIZE),
        "precision": "int8",
        "trained_on": "orderacc.simulator",
        "license": "Apache-2.0",
    }
    (folder / "orderacc.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _behind_last_convolutions(model: openvino.Model) -> list[str]:
    """Names of the operations between the heads' convolutions and the output."""
    names: list[str] = []
    pending = [model.outputs[0].get_node().input_value(0).get_node()]
    while pending:
        node = pending.pop()
        if node.get_type_name() in {"Convolution", "Constant"} or node.get_friendly_name() in names:
            continue
        names.append(node.get_friendly_name())
        pending.extend(value.get_node() for value in node.input_values())
    return names


def measure(folder: Path, pictures: int) -> tuple[Measured, float]:
    """Measure an exported folder on held-out pictures, through the product's own detector.

    Returns:
        The counts, and CPU milliseconds of one detection in a 1280x720 frame (one thread).
    """
    from orderacc.perception.detector import Detector
    from orderacc.simulator.samples import sample

    detector = Detector.load(folder)
    measured, times = Measured(), []
    for seed in range(FIRST_HELD_OUT_SEED, FIRST_HELD_OUT_SEED + pictures):
        picture = sample(seed)
        start = time.process_time()
        detections = detector.detect_now(picture.image)
        times.append(time.process_time() - start)
        measured.add(detections, truth_of(picture))
    return measured, 1000 * float(np.median(times))


def write_card(folder: Path, measured: Measured, cost_ms: float, pictures: int, settings: dict[str, Any]) -> None:
    """Write `MODEL_CARD.md` with what was measured and how the model was made."""
    size = sum((folder / f"detector.{kind}").stat().st_size for kind in ("xml", "bin"))
    rendered, steps, batch, seed = (settings[name] for name in ("pictures", "steps", "batch", "seed"))
    others = ", ".join(f"`{label}`" for label in LABELS if label in NOT_ITEMS)
    total = measured.overall
    card = f"""# {MODEL_ID}

Finds the demo menu's item groups, slips, hands and bags on the simulator's counter. It was trained on rendered pictures
only and knows nothing of real food: it is there so that everything can be tried and tested without a download.

- Network: anchor-free, strides 8/16/32, {settings["parameters"]:,} parameters, our own; no pretrained weights.
- Input: [1, 3, {INPUT_SIZE[1]}, {INPUT_SIZE[0]}] RGB 0 to 1. Output: YOLO11 layout [1, {4 + len(LABELS)}, N].
- OpenVINO IR, INT8 (NNCF, {CALIBRATION_PICTURES} calibration pictures), {size / 1e6:.2f} MB.
- Training: {rendered:,} pictures (sample seeds from {FIRST_TRAINING_SEED}), {steps:,} steps of {batch},
  seed {seed}.
- Reproduce:
  `python -m orderacc.training detector --out DIR --pictures {rendered} --steps {steps} --batch {batch} --seed {seed}`

## Measured

The exported INT8 IR through `orderacc.perception.detector.Detector` with its default thresholds, {pictures} held-out
pictures (sample seeds from {FIRST_HELD_OUT_SEED}), IoU {MIN_IOU}. Things less than {MIN_VISIBLE:.0%} visible
({MIN_VISIBLE_NOT_ITEM:.0%} for {others}) count neither way.

Precision {total.precision:.3f}, recall {total.recall:.3f}, mean IoU of what was found {measured.mean_fit:.3f};
{cost_ms:.1f} CPU-ms a 1280x720 frame.

{measured.table()}
"""
    (folder / "MODEL_CARD.md").write_text(card, encoding="utf-8")
