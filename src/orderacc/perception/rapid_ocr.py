"""The default slip reader: RapidOCR's bundled PP-OCR recogniser on OpenVINO. No download, no network."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from orderacc.models.runtime import import_openvino
from orderacc.perception.slip import read_slip

if TYPE_CHECKING:
    from orderacc.domain.detections import SlipReading
    from orderacc.domain.frames import Image
    from orderacc.perception.paper import SlipView


class RapidOcrReader:
    """Reads slips with RapidOCR. Not thread safe: one per worker thread.

    Attributes:
        model_id: Engine and version, for logs and verdicts.
    """

    def __init__(self, *, threads: int = 1) -> None:
        """Load the recogniser.

        Args:
            threads: CPU threads one recognition may use.
        """
        import_openvino()
        from rapidocr import EngineType, RapidOCR

        self.model_id = f"rapidocr@{version('rapidocr')}"
        self._engine = RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.use_det": False,
                "Global.use_cls": False,
                "Global.text_score": 0.0,
                "Det.engine_type": EngineType.OPENVINO,
                "Cls.engine_type": EngineType.OPENVINO,
                "Rec.engine_type": EngineType.OPENVINO,
                "EngineConfig.openvino.inference_num_threads": threads,
                "EngineConfig.openvino.num_streams": 1,
                "EngineConfig.openvino.enable_cpu_pinning": False,
            }
        )

    def read(self, slip: SlipView) -> SlipReading | None:
        """See `SlipReader.read`."""
        return read_slip(slip, self._recognise)

    def _recognise(self, line: Image) -> tuple[str, float]:
        result = self._engine(line, use_det=False, use_cls=False, use_rec=True)
        if not result.txts:
            return "", 0.0
        return str(result.txts[0]), float(result.scores[0])
