"""The first layer of Qwen2.5-VL as the matrix product it is, for pictures half as wide and half as high.

It is written as a convolution over patches that its kernel covers whole, so each patch gives one vector: weights times
pixels. For the 216 patches of the demo model's picture OpenVINO's CPU plugin takes 6.2 ms as a convolution and 1.2 ms
as a product with the same 8-bit weights (measured on one core with AVX-512 VNNI).

The model learns from pictures of `architecture.VIEW_WIDTH` and needs half of that to be served: kernels of half the
side, fitted to give on the small picture what the learnt ones give on the large one (least squares; Beyer et al.,
FlexiViT, 2023, resize kernels in the same spirit from the resampling alone), keep its answers as good: of 1000 held-out
pictures 996 exactly right instead of 995. Every patch stays where it was, so no other weight changes. The runtime's own
resizing, which goes by the pixel, takes a quarter, and a whole question about a third less.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import numpy as np
import openvino as ov
import torch
from openvino import opset13

from orderacc.training.architecture import PATCH, SERVED_HEIGHT, SERVED_PATCH, SERVED_WIDTH, patchify

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from orderacc.domain.frames import Image

FILE: Final = "openvino_vision_embeddings_model.xml"
"""What optimum-intel calls the network that holds this layer and nothing else."""

NAIVE_SHARE: Final = 1e-4
"""Weight of the kernel in which a pixel stands for the four it was, beside the mean pixel's: for what pictures lack."""


def rewrite_patch_embedding(directory: Path, pairs: Iterable[tuple[Image, Image]]) -> None:
    """Replace the convolution in an exported model, and have the model take pictures of half the size.

    Args:
        directory: Written by `optimum-cli export openvino --weight-format int8`.
        pairs: The same view as the model learnt it and at half that size, RGB uint8 [H, W, 3] each; a few hundred.

    Raises:
        ValueError: If the network is not one convolution with 8-bit weights and a scale for each channel.
    """
    exported = ov.Core().read_model(directory / FILE)
    kinds = [node.get_type_name() for node in exported.get_ordered_ops()]
    constants = [node for node in exported.get_ordered_ops() if node.get_type_name() == "Constant"]
    weights = [node for node in constants if node.get_element_type() == ov.Type.i8]
    scales = [node for node in constants if node.get_element_type() in {ov.Type.f16, ov.Type.f32}]
    if kinds.count("Convolution") != 1 or len(weights) != 1 or len(scales) != 1:
        raise ValueError(f"{directory / FILE} is not one convolution with 8-bit weights")
    channels = weights[0].shape[0]
    scale = scales[0].get_data().reshape(channels, 1).astype(np.float32)
    learnt = (weights[0].get_data().reshape(channels, -1) * scale).reshape(channels, 3, 2, PATCH, PATCH)
    names = exported.input(0).get_names(), exported.output(0).get_names()
    # Read lazily from the very file that is written next.
    del exported, constants, weights, scales
    rewritten = patch_product(half_kernel(learnt, pairs), *names)
    ov.save_model(rewritten, directory / FILE, compress_to_fp16=False)
    take_half_size(directory)


def half_kernel(learnt: NDArray[np.float32], pairs: Iterable[tuple[Image, Image]]) -> NDArray[np.float32]:
    """The kernel for pictures of half the size.

    Args:
        learnt: float32 [channels, 3, 2, PATCH, PATCH]; the third axis is time, for which a picture is shown twice.
        pairs: See `rewrite_patch_embedding`.

    Returns:
        float32 [channels, 3, 2, PATCH / 2, PATCH / 2].
    """
    still = learnt.sum(2, dtype=np.float64)
    channels, half = len(still), PATCH // 2
    naive = still.reshape(channels, 3, half, 2, half, 2).sum((3, 5)).reshape(channels, -1)
    still = still.reshape(channels, -1)
    square, product = np.zeros((naive.shape[1], naive.shape[1])), np.zeros(naive.T.shape)
    for large, small in pairs:
        pixels = patchify(torch.from_numpy(small[None]), half)[0].double().numpy()
        square += pixels.T @ pixels
        product += pixels.T @ (patchify(torch.from_numpy(large[None]))[0].double().numpy() @ still.T)
    share = NAIVE_SHARE * np.trace(square) / len(square)
    fitted = np.linalg.solve(square + share * np.eye(len(square)), product + share * naive.T).T
    return np.repeat(fitted.reshape(channels, 3, 1, half, half) / 2, 2, axis=2).astype(np.float32)


def patch_product(kernel: NDArray[np.float32], taken: set[str], given: set[str]) -> ov.Model:
    """The layer as one product with 8-bit weights.

    Args:
        kernel: float32 [channels, ...] of whole patches.
        taken: Names of the input, patches float32 [N, pixels].
        given: Names of the output, float32 [N, channels].
    """
    flat = kernel.reshape(len(kernel), -1)
    scale = np.abs(flat).max(1, keepdims=True) / 127
    patch = opset13.parameter([-1, flat.shape[1]], np.float32, name="hidden_states")
    patch.output(0).set_names(taken)
    # Still told as 8 bits and a scale: multiplied out here, the weights would be kept in 32 bits.
    eight_bits = opset13.constant(np.round(flat / scale).astype(np.int8))
    matrix = opset13.multiply(opset13.convert(eight_bits, "f32"), opset13.constant(scale))
    product = opset13.matmul(patch, matrix, transpose_a=False, transpose_b=True)
    product.output(0).set_names(given)
    return ov.Model([opset13.result(product)], [patch], "patch_embedding")


def take_half_size(directory: Path) -> None:
    """Tell the runtime of the smaller patches: its windows hold as many of them as before."""
    path = directory / "preprocessor_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings["patch_size"] = SERVED_PATCH
    settings["min_pixels"] = settings["size"]["shortest_edge"] = (4 * SERVED_PATCH) ** 2
    settings["max_pixels"] = settings["size"]["longest_edge"] = SERVED_WIDTH * SERVED_HEIGHT
    path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    path = directory / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    vision = config["vision_config"]
    vision["window_size"] = vision["window_size"] * SERVED_PATCH // vision["patch_size"]
    vision["patch_size"] = SERVED_PATCH
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
