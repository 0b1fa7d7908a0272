"""The models of one process, loaded once, and the stations that share them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

import cv2

from orderacc.capture import Delivery, FrameReader
from orderacc.domain.menus import Menu
from orderacc.domain.verdicts import ModelVersions
from orderacc.models.manifest import DEFAULT_VLM_VIEW
from orderacc.models.runtime import usable_cores
from orderacc.models.store import ModelStore, in_home
from orderacc.perception.detector import Detector
from orderacc.perception.observer import Observer
from orderacc.perception.shared_reader import SharedSlipReader
from orderacc.selection.visits import StationTracker
from orderacc.service.asking import AskPolicy
from orderacc.service.engines import VlmSetup
from orderacc.service.judging import JudgeSettings, OrderJudge
from orderacc.service.station import RECORDING_EPOCH, Eyes, Station
from orderacc.simulator.menu import DEMO_ITEMS
from orderacc.tracking.settings import TrackerSettings
from orderacc.validation.semantic_service import SemanticService

if TYPE_CHECKING:
    from orderacc.capture import FrameSource
    from orderacc.config import JudgingConfig, ModelsConfig, SelectionConfig, StationConfig, TrackingConfig
    from orderacc.orders import OrderBook
    from orderacc.perception.picture import PictureHealth
    from orderacc.perception.slip import SlipReader
    from orderacc.vlm.batcher import VlmBatcher
    from orderacc.vlm.genai import GenaiEngine
    from orderacc.vlm.openai import OpenAiEngine

EASYOCR_WEIGHTS: Final = "~/.EasyOCR/model"
"""Where EasyOCR itself keeps its weights."""


@dataclass(slots=True)
class Runtime:
    """Loaded models and what is made of them.

    Attributes:
        detector: Shared by all stations.
        slip_reader: Likewise.
        engine: Answers about pictures; the first of them if there are several.
        batcher: The way to all of them; run by the pipeline.
        judge: Judges orders of every station.
        config: What all of it was made from.
        semantics: Asked about names in doubt; None for nobody.
        food: The detector's labels that are some menu item's `group`; None where none is, and then all are food.
    """

    detector: Detector
    slip_reader: SlipReader
    engine: GenaiEngine | OpenAiEngine
    batcher: VlmBatcher
    judge: OrderJudge
    config: JudgingConfig
    semantics: SemanticService | None = None
    food: frozenset[str] | None = None

    @classmethod
    def load(cls, config: JudgingConfig, menu: Menu | None = None) -> Runtime:
        """Load everything. Takes seconds: call it from a worker thread.

        From then on OpenCV works on its caller's thread alone. Stations already keep the cores busy: threads of its own
        made cutting a view twice as dear, and looking at a frame a tenth dearer (measured on 2 cores).

        Args:
            config: Models and thresholds.
            menu: What is sold; the demo menu when None.

        Raises:
            ModelError: If a model or device is missing or broken, or does not know the menu.
        """
        cv2.setNumThreads(1)
        menu = menu or Menu(DEMO_ITEMS)
        store = ModelStore()
        cores = usable_cores()
        detector_threads = config.models.detector_threads or max(1, cores // 4)
        detector = Detector.load(
            store.resolve(config.models.detector, kind="detector").path,
            device=config.models.device,
            threads=detector_threads,
        )
        menu = menu.covered_by(detector.labels)  # else a piece it cannot see would count as one it did not see
        vlm = VlmSetup.load(config, menu, store, threads=max(1, cores - detector_threads))
        settings = JudgeSettings(
            view_size=vlm.view or DEFAULT_VLM_VIEW,
            max_new_tokens=config.vlm.max_new_tokens,
            strategy=config.validation.strategy,
            threshold=config.validation.threshold,
            deadline=config.vlm.deadline_sec,
            # A model whose picture has a size of its own was trained on that one only.
            item_side=config.vlm.item_pixels if vlm.view in (None, DEFAULT_VLM_VIEW) else None,
        )
        slip_reader = SharedSlipReader(_slip_reader(config.models))
        versions = ModelVersions(detector.model_id, slip_reader.model_id, vlm.label)
        service = config.validation.semantic_service
        semantics = SemanticService(service) if service else None
        judge = OrderJudge(vlm.batcher, menu, settings, versions, semantics)
        food = frozenset(detector.labels).intersection(item.group for item in menu.items if item.group) or None
        return cls(detector, slip_reader, vlm.engine, vlm.batcher, judge, config, semantics, food)

    def station(
        self,
        source: FrameSource,
        book: OrderBook,
        *,
        delivery: Delivery,
        speed: float | None,
        roi: tuple[float, float, float, float] | None = None,
    ) -> Station:
        """A station on these models.

        Args:
            source: Its camera.
            book: Knows what was paid for.
            delivery: `latest` drops frames that cannot be looked at in time, `lossless` looks at every frame.
            speed: Seconds of frame time per second of clock; None reads as fast as it goes.
            roi: Part of the picture that is the counter: left, top, right, bottom as shares; None for all of it.
        """
        paced = speed is not None
        reader = FrameReader(source, delivery=delivery, paced=paced, speed=speed or 1.0)
        epoch = None if delivery is Delivery.LATEST else RECORDING_EPOCH
        policy = ask_policy(self.config.selection)
        return Station(reader, self.eyes(source.station_id), book, epoch, paced, roi, policy=policy)

    def eyes(self, station_id: str, first_visit: int = 1, *, picture: PictureHealth | None = None) -> Eyes:
        """What looks at a station's frames, with nothing seen yet.

        Args:
            station_id: The station.
            first_visit: Number of its first visit.
            picture: Notices pictures nothing can be seen in; None when nobody asks.
        """
        settings = tracker_settings(self.config.tracking)
        tracker = StationTracker(station_id, settings, k=self.config.selection.frames, start=first_visit)
        return Eyes(Observer(self.detector, self.slip_reader, food=self.food), tracker, picture)

    async def aclose(self) -> None:
        """Let the models go."""
        await self.batcher.aclose()
        if self.semantics is not None:
            await self.semantics.aclose()


def tracker_settings(config: TrackingConfig) -> TrackerSettings:
    """The tracker's settings out of the configuration's section of the same names."""
    return TrackerSettings(**{field.name: getattr(config, field.name) for field in fields(TrackerSettings)})


def ask_policy(config: SelectionConfig, station: StationConfig | None = None, *, live: bool = False) -> AskPolicy:
    """How orders are asked about, out of the configuration.

    Args:
        config: The section for all stations.
        station: The station's own; None for a recording by itself.
        live: Whether its frames never end, so that its orders cannot wait.
    """
    adaptive, early_look = config.adaptive, config.early_look
    if station is not None:
        adaptive = adaptive if station.adaptive is None else station.adaptive
        early_look = early_look if station.early_look is None else station.early_look
    return AskPolicy(adaptive, early_look, hurried=live)


def _slip_reader(models: ModelsConfig) -> SlipReader:
    if models.slip_reader == "easyocr":
        from orderacc.perception.easy_ocr import EasyOcrReader

        return EasyOcrReader(models.slip_reader_weights or in_home(EASYOCR_WEIGHTS, "models.slip_reader_weights"))
    from orderacc.perception.rapid_ocr import RapidOcrReader

    return RapidOcrReader()
