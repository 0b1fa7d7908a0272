"""The object detector: an OpenVINO network in the YOLO11 layout."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np

from orderacc.domain.detections import Box, Detection
from orderacc.errors import ModelError
from orderacc.models.runtime import choose_device, import_openvino
from orderacc.perception.decode import Decoded, decode
from orderacc.perception.letterbox import Letterbox
from orderacc.perception.model_folder import DetectorFolder
from orderacc.perception.request_pool import PoolStatistics, RequestPool

if TYPE_CHECKING:
    from pathlib import Path

    import openvino
    from numpy.typing import NDArray

    from orderacc.domain.frames import Image

MIN_SCORE = 0.50
"""Default score under which a box is not reported."""

MAX_OVERLAP = 0.55
"""Default IoU over which two boxes of one class are one thing; items of one kind do lie on each other."""

MAX_COUNT = 64
"""Most boxes reported of one frame."""


class Detector:
    """Finds items, slips, hands and bags in a frame.

    One serves every station: tasks and threads share its requests, and `threads` of them run at a time.

    Attributes:
        model_id: Id and version of the model, for logs and verdicts.
        labels: Class names in the network's order.
        input_size: Width and height of the network's input in pixels.
    """

    def __init__(
        self,
        compiled: openvino.CompiledModel,
        folder: DetectorFolder,
        input_size: tuple[int, int],
        *,
        min_score: float = MIN_SCORE,
        max_overlap: float = MAX_OVERLAP,
    ) -> None:
        self.model_id = folder.model_id
        self.labels = folder.labels
        self.input_size = input_size
        self._pool = RequestPool(compiled, _streams(compiled))
        self._min_score = min_score
        self._max_overlap = max_overlap

    @classmethod
    def load(
        cls,
        model_dir: Path,
        *,
        device: str = "CPU",
        threads: int = 1,
        min_score: float = MIN_SCORE,
        max_overlap: float = MAX_OVERLAP,
    ) -> Detector:
        """Load and compile a detector.

        Args:
            model_dir: Folder with an IR and `orderacc.json`, or a YOLO export's folder with `metadata.yaml`. Input
                [1, 3, H, W] RGB 0..1; output [1, 4 + classes, N] in the YOLO11 layout.
            device: `CPU`, `GPU`, `NPU`, one of several as `GPU.1`, or `AUTO`.
            threads: CPU threads it may use, which is also how many frames it works on at a time.
            min_score: Score under which a box is not reported, 0 to 1.
            max_overlap: IoU over which two boxes of one class are one thing, 0 to 1.

        Raises:
            ModelError: `model_missing`, `model_broken` or `device_missing` (with the devices there are).
        """
        folder = DetectorFolder.read(model_dir)
        device = choose_device(device)
        core = import_openvino().Core()
        try:
            network = core.read_model(folder.network)
            input_size = _check_shapes(network, folder)
            compiled = core.compile_model(_with_preprocessing(network), device, _settings(device, threads))
        except RuntimeError as error:
            raise ModelError(
                f"{folder.network} does not load on {device}: {_last_line(error)}", code="model_broken"
            ) from error
        return cls(compiled, folder, input_size, min_score=min_score, max_overlap=max_overlap)

    def detect_now(self, image: Image) -> tuple[Detection, ...]:
        """Detect in the calling thread; the interpreter is free while the network runs.

        Args:
            image: BGR uint8 [H, W, 3], any size.

        Returns:
            What was seen, strongest first, boxes in pixels of `image`.
        """
        placed = Letterbox.fit((image.shape[1], image.shape[0]), self.input_size)
        boxes, scores, classes = self._pool.infer(placed.apply(image)[np.newaxis], self._decode)
        return tuple(
            Detection(self.labels[number], float(score), Box(*map(float, box)))
            for box, score, number in zip(placed.to_frame(boxes), scores, classes, strict=True)
        )

    async def detect(self, image: Image) -> tuple[Detection, ...]:
        """Detect without holding up the event loop; see `detect_now`."""
        return await asyncio.to_thread(self.detect_now, image)

    def statistics(self) -> PoolStatistics:
        """How busy its device is."""
        return self._pool.statistics()

    def _decode(self, output: NDArray[np.float32]) -> Decoded:
        return decode(output[0], min_score=self._min_score, max_overlap=self._max_overlap, max_count=MAX_COUNT)


def _check_shapes(network: openvino.Model, folder: DetectorFolder) -> tuple[int, int]:
    """Refuse networks of another layout now rather than at the first frame; returns the input's width and height."""
    takes, gives = network.input(0).partial_shape, network.output(0).partial_shape
    if len(network.inputs) != 1 or takes.is_dynamic or len(takes) != 4 or takes[0] != 1 or takes[1] != 3:
        raise ModelError(f"{folder.network} takes {takes}, not one picture [1, 3, H, W]", code="model_broken")
    rows = 4 + len(folder.labels)
    if len(gives) != 3 or gives[1].is_dynamic or gives[1].get_length() != rows:
        raise ModelError(
            f"{folder.network} gives {gives}, not [1, {rows}, N] as its {len(folder.labels)} classes need",
            code="model_broken",
        )
    return takes[3].get_length(), takes[2].get_length()


def _with_preprocessing(network: openvino.Model) -> openvino.Model:
    """Build colour order, layout and scaling into the network: uint8 BGR NHWC in."""
    from openvino import Layout, Type
    from openvino.preprocess import ColorFormat, PrePostProcessor

    steps = PrePostProcessor(network)
    picture = steps.input(0)
    picture.tensor().set_element_type(Type.u8).set_layout(Layout("NHWC")).set_color_format(ColorFormat.BGR)
    picture.preprocess().convert_element_type(Type.f32).convert_color(ColorFormat.RGB).scale(255.0)
    picture.model().set_layout(Layout("NCHW"))
    return steps.build()


def _settings(device: str, threads: int) -> dict[str, Any]:
    """As many pictures at a time as there are threads, each on one.

    Both threads on one picture cost 9 % more processor time a picture. Batches of 4 would cost 14 % less, but pictures
    would wait for each other, and a batch that is not full costs as much as one that is.
    """
    if device != "CPU":
        # Batches that the runtime gathers by itself wait for pictures that may not come.
        return {"PERFORMANCE_HINT": "THROUGHPUT", "ALLOW_AUTO_BATCHING": False}
    return {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": threads, "ENABLE_CPU_PINNING": False}


def _streams(compiled: openvino.CompiledModel) -> int:
    """How many pictures the device works on at a time."""
    return max(1, int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")))


def _last_line(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
