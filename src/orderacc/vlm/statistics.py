"""What a batcher and its engines have done, as snapshots and as the counters behind them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orderacc.vlm.engine import VlmAnswer


@dataclass(frozen=True, slots=True)
class EngineStatistics:
    """A snapshot of one engine behind a batcher.

    Attributes:
        name: The engine's.
        role: `local`, `spill_over` or `fail_over`.
        state: `ready`, `resting` while its breaker is open, `probing` while one request decides, `replacing` while
            another one is made in its place, `gone` when there will be none.
        in_flight: Requests it holds now.
        batches: Calls so far.
        answered: Requests it answered.
        failures: Calls that failed by its fault, by error code.
        trips: How often its breaker opened.
        hung: How often it was given up because it did not answer.
        replaced: How often another engine took its place.
        busy_s: Seconds it was at work; calls at the same time count once each.
        calls: Calls it is at now.
        parallel: Calls it takes at a time.
    """

    name: str
    role: str
    state: str
    in_flight: int
    batches: int
    answered: int
    failures: Mapping[str, int]
    trips: int
    hung: int
    replaced: int
    busy_s: float
    calls: int
    parallel: int


@dataclass(frozen=True, slots=True)
class BatcherStatistics:
    """A snapshot of a batcher since it was made.

    `asked` is the sum of `answered`, `failed`, `expired`, `abandoned` and of those who still wait or are in flight.

    Attributes:
        waiting: Requests in the queue now.
        at_door: Requests that wait for room in it.
        in_flight: Requests the engines hold now and somebody still waits for.
        pressure: Share of the queue that is taken, 0 to 1.
        asked: Requests somebody asked.
        answered: Requests that got an answer.
        failed: Requests that got an error, the refused ones included.
        refused: Requests of low priority that found no room, or had to leave it.
        expired: Requests whose deadline passed first.
        abandoned: Requests whose asker went away first.
        retried: Requests asked again alone after their batch failed.
        moved: Requests taken back from an engine that failed or hung, to be asked again.
        batch_sizes: Calls of the engines, retries included, by how many requests they held.
        busy_s: Seconds the engines were at work.
        waited_s: Seconds answered requests waited until the call that answered them, added up.
        visual_tokens: Tokens of the answered requests' pictures.
        prompt_tokens: Tokens read for the answered requests.
        new_tokens: Tokens written.
        ttft_s: Times to the first token, added up over the answers whose engine told it.
        ttft_count: How many these are.
        tpot_s: Times per further token, likewise.
        tpot_count: How many these are.
        asked_by_station: Requests asked, by station.
        answered_by_station: Requests answered, by station.
        tokens_by_station: Visual tokens of answered requests, by station.
        engines: One for each engine.
    """

    waiting: int
    at_door: int
    in_flight: int
    pressure: float
    asked: int
    answered: int
    failed: int
    refused: int
    expired: int
    abandoned: int
    retried: int
    moved: int
    batch_sizes: Mapping[int, int]
    busy_s: float
    waited_s: float
    visual_tokens: int
    prompt_tokens: int
    new_tokens: int
    ttft_s: float
    ttft_count: int
    tpot_s: float
    tpot_count: int
    asked_by_station: Mapping[str, int]
    answered_by_station: Mapping[str, int]
    tokens_by_station: Mapping[str, int]
    engines: tuple[EngineStatistics, ...]

    @property
    def batches(self) -> int:
        """Calls of the engines, retries included."""
        return sum(self.batch_sizes.values())


@dataclass(slots=True)
class BatcherCounters:
    """The counting behind `BatcherStatistics`; fields of the same names mean the same."""

    asked: int = 0
    answered: int = 0
    failed: int = 0
    refused: int = 0
    expired: int = 0
    abandoned: int = 0
    retried: int = 0
    moved: int = 0
    batch_sizes: Counter[int] = field(default_factory=Counter)
    busy_s: float = 0.0
    waited_s: float = 0.0
    visual_tokens: int = 0
    prompt_tokens: int = 0
    new_tokens: int = 0
    ttft_s: float = 0.0
    ttft_count: int = 0
    tpot_s: float = 0.0
    tpot_count: int = 0
    asked_by_station: Counter[str] = field(default_factory=Counter)
    answered_by_station: Counter[str] = field(default_factory=Counter)
    tokens_by_station: Counter[str] = field(default_factory=Counter)

    def answer(self, station: str, answer: VlmAnswer, waited: float) -> None:
        """Count an answer.

        Args:
            station: Who asked.
            answer: What it got.
            waited: Seconds it waited until the call that answered it.
        """
        self.answered += 1
        self.waited_s += waited
        self.visual_tokens += answer.visual_tokens
        self.prompt_tokens += answer.prompt_tokens
        self.new_tokens += answer.new_tokens
        self.answered_by_station[station] += 1
        self.tokens_by_station[station] += answer.visual_tokens
        if answer.ttft_ms is not None:
            self.ttft_s += answer.ttft_ms / 1000
            self.ttft_count += 1
        if answer.tpot_ms is not None:
            self.tpot_s += answer.tpot_ms / 1000
            self.tpot_count += 1

    def snapshot(
        self, *, waiting: int, at_door: int, in_flight: int, pressure: float, engines: tuple[EngineStatistics, ...]
    ) -> BatcherStatistics:
        """What was counted, beside what is now."""
        counted = {one.name: getattr(self, one.name) for one in fields(self)}
        copies = {name: dict(value) for name, value in counted.items() if isinstance(value, Counter)}
        return BatcherStatistics(
            waiting=waiting,
            at_door=at_door,
            in_flight=in_flight,
            pressure=pressure,
            engines=engines,
            **(counted | copies),
        )
