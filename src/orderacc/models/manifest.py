"""What a model folder says about itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from orderacc.errors import ModelError
from orderacc.models.vlm_files import looks_like_vlm, missing_vlm_files

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = "orderacc.json"
YOLO_METADATA = "metadata.yaml"
DEFAULT_VLM_VIEW = (756, 504)
"""Width and height of the picture a vision language model gets when its manifest names none: 27x18 visual tokens."""

Kind = Literal["vlm", "detector", "slip_reader"]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model on disk.

    Attributes:
        model_id: Its name, e.g. `demo-vlm`.
        kind: What it does.
        version: As its maker counts; empty when unknown.
        path: Its folder.
        vocabulary: Every item name it can say, or None when it knows words in general.
        view: Width and height in pixels of the picture it wants, or None when it takes whole frames.
        labels: A detector's class names in the network's order.
        missing: Required files that are not there.
    """

    model_id: str
    kind: Kind
    version: str
    path: Path
    vocabulary: tuple[str, ...] | None = None
    view: tuple[int, int] | None = None
    labels: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Id and version for logs and verdicts, e.g. `demo-vlm@1`."""
        return f"{self.model_id}@{self.version}" if self.version else self.model_id

    @classmethod
    def read(cls, folder: Path) -> ModelInfo:
        """Read a folder's `orderacc.json`, or infer what it holds when an exporter wrote it.

        Raises:
            ModelError: `model_missing` when it is no folder or holds no model, `model_broken` when its manifest is
                wrong.
        """
        if not folder.is_dir():
            raise ModelError(f"model folder {folder} does not exist", code="model_missing")
        if (folder / MANIFEST).is_file():
            return _from_manifest(folder)
        if looks_like_vlm(folder):
            missing = tuple(missing_vlm_files(folder))
            return cls(folder.name, "vlm", "", folder, view=DEFAULT_VLM_VIEW, missing=missing)
        if (folder / YOLO_METADATA).is_file() and any(folder.glob("*.xml")):
            return cls(folder.name, "detector", "", folder)
        raise ModelError(
            f"{folder} holds no model: neither {MANIFEST} nor what `optimum-cli export openvino` or YOLO exports write",
            code="model_missing",
        )


def _from_manifest(folder: Path) -> ModelInfo:
    path = folder / MANIFEST
    manifest = _load(path)
    kind = _kind(path, manifest.get("kind"))
    vocabulary = manifest.get("vocabulary")
    return ModelInfo(
        model_id=str(manifest.get("id") or folder.name),
        kind=kind,
        version=str(manifest.get("version", "")),
        path=folder,
        vocabulary=None if vocabulary is None else _names(path, "vocabulary", vocabulary),
        view=_view(path, manifest.get("view")) or (DEFAULT_VLM_VIEW if kind == "vlm" else None),
        labels=_names(path, "labels", manifest.get("labels", [])),
        missing=tuple(missing_vlm_files(folder)) if kind == "vlm" else _missing_network(folder),
    )


def _kind(path: Path, value: object) -> Kind:
    for kind in get_args(Kind):
        if value == kind:
            return cast("Kind", kind)
    raise _broken(path, f"kind must be one of {', '.join(get_args(Kind))}, not {value!r}")


def _load(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _broken(path, f"not readable as JSON ({error})") from error
    if not isinstance(manifest, dict):
        raise _broken(path, "must hold an object")
    if manifest.get("schema") != 1:
        raise _broken(path, f"schema must be 1, not {manifest.get('schema')!r}")
    return manifest


def _names(path: Path, key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
        raise _broken(path, f"{key} must be a list of names")
    return tuple(value)


def _view(path: Path, value: object) -> tuple[int, int] | None:
    if value is None:
        return None
    sides = (value.get("width"), value.get("height")) if isinstance(value, dict) else (None, None)
    width, height = sides
    if not isinstance(width, int) or not isinstance(height, int) or min(width, height) < 1:
        raise _broken(path, 'view must be {"width", "height"} in pixels')
    return width, height


def _missing_network(folder: Path) -> tuple[str, ...]:
    networks = list(folder.glob("*.xml"))
    absent = tuple(xml.with_suffix(".bin").name for xml in networks if not xml.with_suffix(".bin").is_file())
    return absent if networks else ("*.xml",)


def _broken(path: Path, what: str) -> ModelError:
    return ModelError(f"{path}: {what}", code="model_broken")
