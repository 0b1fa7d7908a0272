"""Reading a detector's folder: where its network is and what its classes are called."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from orderacc.domain.detections import BAG, HAND, SLIP
from orderacc.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = "orderacc.json"
YOLO_METADATA = "metadata.yaml"
MOST_NAMED: Final = 8
"""Classes that are named where the needed one is not among them."""


@dataclass(frozen=True, slots=True)
class DetectorFolder:
    """A detector on disk.

    Attributes:
        model_id: Id and version for logs and verdicts, e.g. `demo-detector@1`.
        network: The OpenVINO IR (`.xml`, its `.bin` beside it).
        labels: Class names in the network's order.
    """

    model_id: str
    network: Path
    labels: tuple[str, ...]

    @classmethod
    def read(cls, folder: Path) -> DetectorFolder:
        """Read a folder written by our training or by a YOLO export.

        Args:
            folder: Holds one IR and either `orderacc.json` (`{"schema": 1, "id", "version", "kind": "detector",
                "labels": [...]}`) or the `metadata.yaml` that YOLO exports write (`names:`).

        Raises:
            ModelError: `model_missing` when the folder or its IR is not there, `model_broken` when what is there does
                not describe a detector, or one that finds no slips.
        """
        if not folder.is_dir():
            raise ModelError(f"detector folder {folder} does not exist", code="model_missing")
        network = _find_network(folder)
        manifest_file, metadata_file = folder / MANIFEST, folder / YOLO_METADATA
        if manifest_file.is_file():
            manifest = _load_manifest(manifest_file)
            labels = _labels(manifest.get("labels"), manifest_file)
            model_id = str(manifest.get("id") or folder.name)
            version = manifest.get("version")
            return cls(f"{model_id}@{version}" if version is not None else model_id, network, labels)
        if metadata_file.is_file():
            return cls(folder.name, network, _labels(_load_metadata(metadata_file).get("names"), metadata_file))
        raise ModelError(
            f"{folder} holds a network but neither {MANIFEST} nor {YOLO_METADATA}, so its classes have no names",
            code="model_broken",
        )


def _find_network(folder: Path) -> Path:
    named = folder / "detector.xml"
    found = [named] if named.is_file() else sorted(folder.glob("*.xml"))
    if not found:
        raise ModelError(f"no OpenVINO network (.xml) in {folder}", code="model_missing")
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise ModelError(
            f"{folder} holds several networks ({names}): name one of them detector.xml", code="model_broken"
        )
    if not found[0].with_suffix(".bin").is_file():
        raise ModelError(f"{found[0].with_suffix('.bin')} is missing beside {found[0].name}", code="model_missing")
    return found[0]


def _load_manifest(file: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{file} is not JSON: {error}", code="model_broken") from error
    if not isinstance(manifest, dict) or manifest.get("kind") != "detector":
        raise ModelError(f'{file} does not say "kind": "detector"', code="model_broken")
    return manifest


def _load_metadata(file: Path) -> dict[str, Any]:
    import yaml

    try:
        metadata = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError) as error:
        raise ModelError(f"{file} is not YAML: {error}", code="model_broken") from error
    return metadata if isinstance(metadata, dict) else {}


def _labels(names: object, file: Path) -> tuple[str, ...]:
    """Take a list of names, or YOLO's mapping of class number to name."""
    if isinstance(names, dict) and names and set(names) == set(range(len(names))):
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise ModelError(f"{file} has no usable list of class names", code="model_broken")
    if SLIP not in names:
        shown = ", ".join(names[:MOST_NAMED]) + (", ..." if len(names) > MOST_NAMED else "")
        raise ModelError(
            f"{file} has no class {SLIP!r}, so no order would ever have a number; a detector needs {SLIP!r}, should "
            f"have {HAND!r} and {BAG!r}, and takes its other classes for food; this one has {shown}",
            code="model_broken",
        )
    return tuple(names)
