"""From trained weights to the INT8 OpenVINO model that openvino-genai loads, with its manifest."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from orderacc.training.architecture import SERVED_HEIGHT, SERVED_WIDTH, save_processor
from orderacc.training.patch_embedding import rewrite_patch_embedding
from orderacc.training.pictures import WATCHED, examples
from orderacc.training.tokenizer import save_tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from orderacc.domain.frames import Image

MANIFEST = "orderacc.json"

FITTED_TO = 300
"""Pictures the smaller patches' kernel is fitted to, 64,800 patches; with more it changes little."""


def export(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, names: Sequence[str], target: Path) -> None:
    """Write the model as OpenVINO IR with INT8 weights.

    Args:
        model: The trained Hugging Face model, float32 on the CPU.
        tokenizer: Its tokenizer.
        names: The menu it knows.
        target: Directory to write; replaced when it exists.
    """
    with tempfile.TemporaryDirectory() as scratch:
        source, result = Path(scratch) / "torch", Path(scratch) / "openvino"
        model.save_pretrained(source)
        save_tokenizer(tokenizer, source)
        save_processor(source)
        command = [sys.executable, "-m", "optimum.commands.optimum_cli", "export", "openvino", "--model", str(source)]
        command += ["--task", "image-text-to-text", "--weight-format", "int8", str(result)]
        subprocess.run(command, check=True)  # noqa: S603  optimum's own command with our own paths
        # How it was exported, with the scratch folder's name in it; nothing reads it.
        (result / "openvino_config.json").unlink()
        rewrite_patch_embedding(result, learnt_and_served(names))
        write_manifest(result, names)
        if target.exists():
            shutil.rmtree(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(result, target)


def learnt_and_served(names: Sequence[str]) -> Iterator[tuple[Image, Image]]:
    """The same pictures as the model learns from and as it is served them; none of these measure it."""
    learnt = examples(WATCHED, names)
    served = examples(WATCHED, names, view=(SERVED_WIDTH, SERVED_HEIGHT))
    for _ in range(FITTED_TO):
        yield next(learnt).picture, next(served).picture


def write_manifest(directory: Path, names: Sequence[str]) -> None:
    """Say what the model is and which menu and view it was made for; the version is the weights' own hash."""
    digest = hashlib.sha256()
    for weights in sorted(directory.glob("*.bin")):
        digest.update(weights.read_bytes())
    manifest = {
        "schema": 1,
        "id": "demo-vlm",
        "kind": "vlm",
        "version": digest.hexdigest()[:12],
        "vocabulary": list(names),
        "view": {"width": SERVED_WIDTH, "height": SERVED_HEIGHT},
        "license": "Apache-2.0",
        "trained_on": "orderacc.simulator",
    }
    (directory / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
