"""A Qwen2.5-VL small enough to train on a desk, and a batched forward pass for pictures of one size.

The module is Hugging Face's own class, so export and serving see the real architecture. Only the forward pass used for
training is ours: all pictures have one size, so windows and rotary angles are computed once.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import torch
import torch.nn.functional as F  # noqa: N812  the name every torch programmer knows
from torch import Tensor, nn

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel, PreTrainedTokenizerFast

VIEW_WIDTH: Final = 252
VIEW_HEIGHT: Final = 168
PATCH: Final = 14
CELL: Final = 28
ROWS: Final = VIEW_HEIGHT // CELL
COLUMNS: Final = VIEW_WIDTH // CELL
CELLS: Final = ROWS * COLUMNS
PATCHES: Final = 4 * CELLS

SERVED_WIDTH: Final = VIEW_WIDTH // 2
SERVED_HEIGHT: Final = VIEW_HEIGHT // 2
SERVED_PATCH: Final = PATCH // 2
"""What the exported model takes: half of what it learns from, see `patch_embedding`."""

VISION_WIDTH: Final = 192
VISION_DEPTH: Final = 4
TEXT_WIDTH: Final = 192
TEXT_DEPTH: Final = 3

MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
STD: Final = (0.26862954, 0.26130258, 0.27577711)


def build_model(tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """A `Qwen2_5_VLForConditionalGeneration` with fresh weights (float32) for a tokenizer."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    token = tokenizer.convert_tokens_to_ids
    special = {
        "bos_token_id": token("<|endoftext|>"),
        "eos_token_id": token("<|im_end|>"),
        "pad_token_id": token("<|endoftext|>"),
    }
    text = {
        "vocab_size": (len(tokenizer) + 63) // 64 * 64,
        "hidden_size": TEXT_WIDTH,
        "intermediate_size": TEXT_WIDTH * 8 // 3,
        "num_hidden_layers": TEXT_DEPTH,
        "num_attention_heads": TEXT_WIDTH // 64,
        "num_key_value_heads": 1,
        "max_position_embeddings": 4096,
        "rope_theta": 10000.0,
        "rope_scaling": {"type": "mrope", "mrope_section": [8, 12, 12]},
        "tie_word_embeddings": True,
        "use_sliding_window": False,
        **special,
    }
    vision = {
        "depth": VISION_DEPTH,
        "hidden_size": VISION_WIDTH,
        "num_heads": VISION_WIDTH // 32,
        "intermediate_size": VISION_WIDTH * 8 // 3,
        "out_hidden_size": TEXT_WIDTH,
        "patch_size": PATCH,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "window_size": 112,
        "fullatt_block_indexes": list(range(1, VISION_DEPTH)),
        "in_channels": 3,
        "tokens_per_second": 2,
    }
    config = Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        vision_token_id=token("<|vision_pad|>"),
        tie_word_embeddings=True,
    )
    config._attn_implementation = "sdpa"  # noqa: SLF001  there is no public way to say it for a fresh config
    model = Qwen2_5_VLForConditionalGeneration(config)
    for name, value in special.items():
        setattr(model.generation_config, name, value)
    return model


def save_processor(directory: Path) -> None:
    """Write `preprocessor_config.json`: pictures come in the size they are learnt from and are used as they are."""
    pixels = {"shortest_edge": 56 * 56, "longest_edge": VIEW_WIDTH * VIEW_HEIGHT}
    settings = {
        "min_pixels": pixels["shortest_edge"],
        "max_pixels": pixels["longest_edge"],
        "size": pixels,
        "patch_size": PATCH,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": MEAN,
        "image_std": STD,
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen2_5_VLProcessor",
        "do_resize": True,
        "do_rescale": True,
        "do_normalize": True,
        "do_convert_rgb": True,
        "resample": 3,
        "rescale_factor": 1 / 255,
    }
    (directory / "preprocessor_config.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


def patchify(pictures: Tensor, side: int = PATCH) -> Tensor:
    """Cut pictures into normalised patches in Qwen's order: 2x2 blocks row by row.

    Args:
        pictures: uint8 or float 0..255 [B, height, width, 3], RGB; both in whole blocks.
        side: Of a patch, pixels.

    Returns:
        float32 [B, patches, 3 * side * side].
    """
    mean = torch.tensor(MEAN, device=pictures.device) * 255
    std = torch.tensor(STD, device=pictures.device) * 255
    scaled = (pictures.float() - mean) / std
    rows, columns = (length // (2 * side) for length in pictures.shape[1:3])
    blocks = scaled.view(len(pictures), rows, 2, side, columns, 2, side, 3).permute(0, 1, 4, 2, 5, 7, 3, 6)
    return blocks.reshape(len(pictures), 4 * rows * columns, 3 * side * side)


class BatchedVision(nn.Module):  # type: ignore[misc]  # torch is not followed
    """The vision tower's forward pass for a batch of pictures of the view's size.

    Shares its weights with the Hugging Face module; `tests` hold the two equal.
    """

    wanted: Tensor
    back: Tensor
    window_mask: Tensor
    cos: Tensor
    sin: Tensor
    patch_place: Tensor

    def __init__(self, visual: nn.Module) -> None:
        super().__init__()
        self.visual = visual
        grid = torch.tensor([[1, 2 * ROWS, 2 * COLUMNS]])
        order, bounds = visual.get_window_index(grid)
        order = torch.as_tensor(order)
        edges = torch.unique_consecutive(torch.tensor(bounds))
        window = torch.bucketize(torch.arange(PATCHES), edges, right=True)
        angles = visual.rot_pos_emb(grid).reshape(CELLS, 4, -1)[order].reshape(PATCHES, -1)
        angles = torch.cat((angles, angles), -1)
        row, column = torch.meshgrid(torch.arange(2 * ROWS), torch.arange(2 * COLUMNS), indexing="ij")
        place = (row * 2 * COLUMNS + column).view(ROWS, 2, COLUMNS, 2).permute(0, 2, 1, 3).reshape(CELLS, 4)
        self.register_buffer("wanted", order, persistent=False)
        self.register_buffer("back", torch.argsort(order), persistent=False)
        self.register_buffer("window_mask", window[:, None] == window[None], persistent=False)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        self.register_buffer("patch_place", place[order].reshape(-1), persistent=False)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Encode pictures.

        Args:
            pictures: uint8 or float 0..255 [B, VIEW_HEIGHT, VIEW_WIDTH, 3], RGB.

        Returns:
            Visual tokens [B, CELLS, TEXT_WIDTH] row by row, and the last block's patch states
            [B, PATCHES, VISION_WIDTH] in the order of `patch_place` (index row * 18 + column of each).
        """
        visual = self.visual
        batch = len(pictures)
        # A still picture fills both temporal slices of a patch, so their kernels add up.
        kernel = visual.patch_embed.proj.weight.sum(2).flatten(1)
        x = F.linear(patchify(pictures), kernel)
        width = x.shape[2]
        x = x.view(batch, CELLS, 4, width)[:, self.wanted].reshape(batch, PATCHES, width)
        for index, block in enumerate(visual.blocks):
            mask = None if index in visual.fullatt_block_indexes else self.window_mask
            x = x + self._attend(block.attn, _norm(block.norm1, x), mask)
            x = x + block.mlp(_norm(block.norm2, x))
        merger = visual.merger
        cells = merger.mlp(_norm(merger.ln_q, x).view(batch, CELLS, 4 * width))
        return cells[:, self.back], x

    def _attend(self, attention: nn.Module, x: Tensor, mask: Tensor | None) -> Tensor:
        batch, count, width = x.shape
        heads = attention.num_heads
        query, key, value = attention.qkv(x).view(batch, count, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(self._rotate(query), self._rotate(key), value, attn_mask=mask)
        rotated: Tensor = attention.proj(mixed.transpose(1, 2).reshape(batch, count, width))
        return rotated

    def _rotate(self, x: Tensor) -> Tensor:
        half = x.shape[-1] // 2
        return x * self.cos + torch.cat((-x[..., half:], x[..., :half]), -1) * self.sin


def _norm(layer: nn.Module, x: Tensor) -> Tensor:
    return F.rms_norm(x, (x.shape[-1],), layer.weight, layer.variance_epsilon)


def positions(before: int, total: int) -> Tensor:
    """Rotary positions of one sequence with one picture, as Qwen2.5-VL counts them.

    Args:
        before: Tokens before the picture's.
        total: Length of the whole sequence.

    Returns:
        int64 [3, total]: time, row, column.
    """
    text = torch.arange(before).expand(3, -1)
    cell = torch.arange(CELLS)
    picture = before + torch.stack([torch.zeros(CELLS, dtype=torch.long), cell // COLUMNS, cell % COLUMNS])
    after = before + max(ROWS, COLUMNS) + torch.arange(total - before - CELLS)
    return torch.cat([text, picture, after.expand(3, -1)], 1)
