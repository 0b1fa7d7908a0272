"""Models that can be had but do not ship."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

FETCH_EXTRA: Final = "fetch"
"""The optional part of this package that brings the hub's client."""

EXPORT_EXTRA: Final = "train"
"""The optional part of this package that brings `optimum-cli`."""


def install_command(extra: str) -> str:
    """The command that brings an optional part of this package."""
    return f"pip install 'orderacc[{extra}]'"


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """A model someone else publishes.

    Attributes:
        model_id: Our name for it.
        source: The original weights on Hugging Face.
        weights: Bits of the compressed weights as `optimum-cli` names them.
        repository: Where a ready OpenVINO export is published, or None when it has to be made.
        size_gb: About how much there is to download or to write.
        summary: One line for people.
    """

    model_id: str
    source: str
    weights: str
    repository: str | None
    size_gb: float
    summary: str

    @property
    def extra(self) -> str:
        """The optional part of this package that brings what `way_to_get` needs."""
        return FETCH_EXTRA if self.repository else EXPORT_EXTRA

    def way_to_get(self, root: Path) -> str:
        """The one command that brings it here.

        Args:
            root: The folder of models it goes to.
        """
        return f"orderacc models fetch {self.model_id}" if self.repository else self.export_command(root)

    def export_command(self, root: Path) -> str:
        """The command that makes the export from the original weights; needs the extra `EXPORT_EXTRA`.

        Args:
            root: The folder of models the export is written into.
        """
        return (
            f"optimum-cli export openvino --model {self.source} --task image-text-to-text "
            f"--weight-format {self.weights} {shlex.quote(str(root / self.model_id))}"
        )


CATALOG = (
    RemoteModel(
        "qwen2.5-vl-7b-int8",
        "Qwen/Qwen2.5-VL-7B-Instruct",
        "int8",
        "OpenVINO/Qwen2.5-VL-7B-Instruct-int8-ov",
        8.9,
        "any menu; a GPU or a large CPU",
    ),
    RemoteModel(
        "qwen2.5-vl-7b-int4",
        "Qwen/Qwen2.5-VL-7B-Instruct",
        "int4",
        "OpenVINO/Qwen2.5-VL-7B-Instruct-int4-ov",
        5.5,
        "any menu; half the memory, slightly less exact",
    ),
    RemoteModel(
        "qwen2.5-vl-3b-int8",
        "Qwen/Qwen2.5-VL-3B-Instruct",
        "int8",
        None,
        4.2,
        "any menu; smaller machines",
    ),
)
"""In order of preference. The 3B weights are under Qwen's research licence, so nobody publishes them for us."""


def find_remote(model_id: str) -> RemoteModel | None:
    """The catalog's entry of that name."""
    return next((model for model in CATALOG if model.model_id == model_id), None)
