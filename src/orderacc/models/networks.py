"""Whether the networks of a model folder are whole, told from their files alone: loading takes minutes and memory."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.parsers import expat

from orderacc.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path


def check_networks(folder: Path) -> None:
    """Refuse a folder with a network that was cut off or is none.

    Args:
        folder: Holds OpenVINO networks (`.xml`), each with its weights (`.bin`) beside it.

    Raises:
        ModelError: `model_broken`, with the file.
    """
    for network in sorted(folder.glob("*.xml")):
        weights = network.with_suffix(".bin")
        try:
            needed = _bytes_of_weights(network)
            there = weights.stat().st_size
        except OSError as error:
            raise ModelError(f"{error.filename}: {error.strerror}", code="model_broken") from error
        if there < needed:
            raise ModelError(
                f"{weights} is cut off: it has {there} of {needed} bytes; fetch or export it again", code="model_broken"
            )


def _bytes_of_weights(network: Path) -> int:
    """Where the last of a network's constants ends in its weights, in bytes."""
    tags: list[str] = []
    ends = [0]

    def begin(tag: str, attributes: dict[str, str]) -> None:
        if not tags:
            tags.append(tag)
        offset, size = attributes.get("offset", ""), attributes.get("size", "")
        if tag == "data" and offset.isdecimal() and size.isdecimal():
            ends.append(int(offset) + int(size))

    parser = expat.ParserCreate()
    parser.StartElementHandler = begin
    try:
        with network.open("rb") as file:
            parser.ParseFile(file)
    except expat.ExpatError as error:
        raise ModelError(f"{network} is no whole network: {error}", code="model_broken") from error
    if tags != ["net"]:
        raise ModelError(f"{network} is no OpenVINO network", code="model_broken")
    return max(ends)
