"""The first layer of Qwen2.5-VL as the matrix product it is.

It is written as a convolution over patches that its kernel covers whole, so each patch gives one vector: weights times
pixels. For the 216 patches of the demo model's picture OpenVINO's CPU plugin takes 6.2 ms as a convolution and 1.2 ms
as a product with the same 8-bit weights (measured on one core with AVX-512 VNNI).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import openvino as ov
from openvino import opset13

if TYPE_CHECKING:
    from pathlib import Path

FILE = "openvino_vision_embeddings_model.xml"
"""What optimum-intel calls the network that holds this layer and nothing else."""


def rewrite_patch_embedding(directory: Path) -> None:
    """Replace the convolution in an exported model; the answers stay the same.

    Args:
        directory: Written by `optimum-cli export openvino --weight-format int8`.

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
    kernel = weights[0].get_data().reshape(channels, -1)
    scale = scales[0].get_data().reshape(channels, 1).astype(np.float32)

    patches = opset13.parameter([-1, kernel.shape[1]], np.float32, name="hidden_states")
    patches.output(0).set_names(exported.input(0).get_names())
    # Still told as 8 bits and a scale: multiplied out here, the weights would be kept in 32 bits.
    matrix = opset13.multiply(opset13.convert(opset13.constant(kernel), "f32"), opset13.constant(scale))
    product = opset13.matmul(patches, matrix, transpose_a=False, transpose_b=True)
    product.output(0).set_names(exported.output(0).get_names())
    rewritten = ov.Model([opset13.result(product)], [patches], exported.get_friendly_name())
    # Read lazily from the very file that is written next.
    del exported, constants, weights, scales
    ov.save_model(rewritten, directory / FILE, compress_to_fp16=False)
