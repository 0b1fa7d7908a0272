"""A second slip reader: EasyOCR's recogniser, behind the extra `[easyocr]`.

Only its recognition network is used: its text detector costs half a second a slip on a CPU, and lines are found without
it. The weights are the user's to fetch; nothing is downloaded here.
"""

from __future__ import annotations

import re
import warnings
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from orderacc.errors import ModelError
from orderacc.perception.slip import read_slip

if TYPE_CHECKING:
    from pathlib import Path

    from orderacc.domain.detections import SlipReading
    from orderacc.domain.frames import Image
    from orderacc.perception.paper import SlipView

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#.:-/&$ "
"""Characters a slip may hold; fewer choices, fewer confusions."""

STANDARD_NETWORK = "english_g2"

_MISSING_OPERATOR = re.compile(r"operator torchvision::(\w+) does not exist")

_declared: dict[str, Any] = {}
"""Operators declared here; torch forgets a declaration when its library object goes."""


class EasyOcrReader:
    """Reads slips with EasyOCR. Not thread safe: one per worker thread.

    Attributes:
        model_id: Engine, version and network, for logs and verdicts.
    """

    def __init__(self, weights: Path, *, network: str = STANDARD_NETWORK) -> None:
        """Load the recogniser.

        Args:
            weights: Folder with the network's files as EasyOCR names them: `english_g2.pth`, or `NAME.pth`, `NAME.yaml`
                and `NAME.py` for a network of your own. The `.pth` is a pickle: use files you trust.
            network: Name of the network in that folder.

        Raises:
            ModelError: `model_missing` when the extra or the weights are not there, `model_broken` when they do not
                load.
        """
        if not (weights / f"{network}.pth").is_file():
            raise ModelError(
                f"{weights / network}.pth does not exist: fetch EasyOCR's {network} weights into {weights}",
                code="model_missing",
            )
        easyocr = import_easyocr()
        # its loader asks for pinned memory whatever the device, and torch says so at every line
        warnings.filterwarnings("ignore", message="'pin_memory' argument is set as true", category=UserWarning)
        try:
            self._engine = easyocr.Reader(
                ["en"],
                gpu=False,
                detector=False,
                download_enabled=False,
                model_storage_directory=str(weights),
                user_network_directory=str(weights),
                recog_network=network,
                verbose=False,
            )
        except (OSError, RuntimeError, ValueError, KeyError, AttributeError) as error:
            raise ModelError(f"EasyOCR does not load {network} from {weights}: {error}", code="model_broken") from error
        self.model_id = f"easyocr@{version('easyocr')}/{network}"

    def read(self, slip: SlipView) -> SlipReading | None:
        """See `SlipReader.read`."""
        return read_slip(slip, self._recognise)

    def _recognise(self, line: Image) -> tuple[str, float]:
        import cv2

        grey = cv2.cvtColor(line, cv2.COLOR_BGR2GRAY)
        height, width = grey.shape
        results = self._engine.recognize(
            grey, horizontal_list=[[0, width, 0, height]], free_list=[], allowlist=ALPHABET, paragraph=False
        )
        if not results:
            return "", 0.0
        _, text, confidence = results[0]
        return str(text), float(confidence)


def import_easyocr() -> Any:  # noqa: ANN401  the module has no types of its own
    """Import EasyOCR beside a torch without CUDA.

    torchvision's registry wheel is built for CUDA and looks for compiled operators that it then lacks. EasyOCR calls
    none of them, so each one that the import asks for is declared.
    """
    while True:
        try:
            return import_module("easyocr")
        except ImportError as error:
            raise ModelError(
                f"the EasyOCR slip reader needs its extra: pip install 'orderacc[easyocr]' ({error})",
                code="model_missing",
            ) from error
        except RuntimeError as error:
            missing = _MISSING_OPERATOR.search(str(error))
            if missing is None or missing[1] in _declared:
                raise ModelError(f"EasyOCR cannot be imported: {error}", code="model_broken") from error
            _declare(missing[1])


def _declare(operator: str) -> None:
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    library.define(f"{operator}(Tensor boxes, Tensor scores, float threshold) -> Tensor")
    _declared[operator] = library
