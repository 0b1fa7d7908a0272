"""How right verdicts are: held against what really lay on the counter, item by item and kind by kind."""

from __future__ import annotations

from orderacc.evaluation.calibration import Bin, Calibration, calibrate
from orderacc.evaluation.evaluate import Evaluation, evaluate
from orderacc.evaluation.reading import TrueOrder, read_truth, read_verdicts
from orderacc.evaluation.tally import Tally

__all__ = [
    "Bin",
    "Calibration",
    "Evaluation",
    "Tally",
    "TrueOrder",
    "calibrate",
    "evaluate",
    "read_truth",
    "read_verdicts",
]
