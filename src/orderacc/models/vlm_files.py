"""The files a Qwen2.5-VL export for OpenVINO must hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NETWORKS = (
    "openvino_language_model",
    "openvino_text_embeddings_model",
    "openvino_vision_embeddings_model",
    "openvino_vision_embeddings_merger_model",
    "openvino_tokenizer",
    "openvino_detokenizer",
)
SETTINGS = ("config.json", "preprocessor_config.json")
REQUIRED = (*SETTINGS, *(f"{name}{suffix}" for name in NETWORKS for suffix in (".xml", ".bin")))


def missing_vlm_files(folder: Path) -> list[str]:
    """Names of required files that are absent or empty.

    A missing `preprocessor_config.json` is the worst of them: the runtime loads without it and cuts pictures wrongly.
    """
    return [name for name in REQUIRED if not _has_content(folder / name)]


def looks_like_vlm(folder: Path) -> bool:
    """Whether the folder holds at least the two networks that make an export a vision language model."""
    return (folder / "openvino_language_model.xml").is_file() and any(
        folder.glob("openvino_vision_embeddings*_model.xml")
    )


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0
