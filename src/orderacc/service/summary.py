"""A run against simulated counters in figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from orderacc.service.station import RECORDING_EPOCH
from orderacc.simulator.choreography import build_timeline
from orderacc.simulator.render import HEIGHT, WIDTH
from orderacc.simulator.scoring import Score, score
from orderacc.simulator.truth import VisibilityLog, truth_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orderacc.domain.verdicts import Verdict
    from orderacc.service.station import Station
    from orderacc.simulator.script import Script


def summarise(
    scripts: Mapping[str, Script], stations: Sequence[Station], verdicts: Sequence[Verdict]
) -> dict[str, Any]:
    """Compare the verdicts of simulated stations with the truth.

    Args:
        scripts: What was played, by station.
        stations: The stations that watched.
        verdicts: Everything they led to.

    Returns:
        JSON-ready figures: orders, right, slips_read, single, unsure, undetermined, stray, foreign_frames, wrong,
        order_end_to_verdict_s (p50, p95) and vlm_calls_per_order.
    """
    total = Score()
    for station in stations:
        script = scripts[station.station_id]
        truth = truth_of(script, build_timeline(script), VisibilityLog(), (WIDTH, HEIGHT))
        own = [verdict.to_dict() for verdict in verdicts if verdict.station_id == station.station_id]
        total += score(truth, own, station.epoch or RECORDING_EPOCH)
    waits = [v.timings.order_end_to_verdict for v in verdicts if v.timings.order_end_to_verdict is not None]
    p50, p95 = (float(np.percentile(waits, share)) / 1000 if waits else None for share in (50, 95))
    return {
        **total.to_dict(),
        "order_end_to_verdict_s": {"p50": p50 and round(p50, 4), "p95": p95 and round(p95, 4)},
        "vlm_calls_per_order": round(sum(v.vlm_calls for v in verdicts) / max(1, len(verdicts)), 2),
    }
