"""The demo model's own tokenizer: byte-level BPE whose only merges are the phrases this product writes.

Every menu name, every piece of JSON between names and numbers, and every fixed part of the question is one token, so an
answer costs four tokens a line. Other text still round-trips, byte by byte.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from orderacc.vlm.prompt import IMAGE_TAG, build_prompt, format_answer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from transformers import PreTrainedTokenizerFast

MAX_TAUGHT = 9
"""Most of one item in a taught answer: a digit is a token, and the demo model is taught one."""

END_OF_TEXT = "<|endoftext|>"
END_OF_TURN = "<|im_end|>"
IMAGE_PAD = "<|image_pad|>"
SPECIAL_TOKENS = (
    END_OF_TEXT,
    "<|im_start|>",
    END_OF_TURN,
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    IMAGE_PAD,
    "<|video_pad|>",
)
"""Qwen2.5-VL's special tokens, in its order; openvino-genai looks some of them up by text."""

CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% if m['content'] is string %}{{ m['content'] }}{% else %}"
    "{% for c in m['content'] %}{% if c['type'] == 'image' or 'image' in c %}"
    "<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif c['type'] == 'video' or 'video' in c %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif 'text' in c %}{{ c['text'] }}{% endif %}{% endfor %}"
    "{% endif %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Qwen2.5-VL's turns; a system turn only when one is given."""

_WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def phrases(names: Sequence[str]) -> tuple[str, ...]:
    """The texts that are one token each, longest first.

    Args:
        names: The menu's item names.
    """
    question_start, question_end = build_prompt(["\0"]).split(IMAGE_TAG)
    before, after = question_start.split("\0")
    between = build_prompt(["\0", "\0"]).split("\0")[1]
    pair = format_answer({"\0": 1, "\1": 1}, ["\0", "\1"]).replace("\\u0000", "\0").replace("\\u0001", "\1")
    opening, middle, rest = re.split("[\0\1]", pair)
    quantity, next_line = middle.split("1")
    closing = rest.split("1")[1]
    glue = [opening, quantity, next_line, closing, format_answer({}, [])]
    question = [before, between, after, question_end]
    return tuple(sorted({*names, *glue, *question, "user", "assistant", "system"}, key=lambda text: (-len(text), text)))


def build_tokenizer(names: Sequence[str]) -> PreTrainedTokenizerFast:
    """Make the tokenizer for a menu.

    Args:
        names: The menu's item names.

    Returns:
        The tokenizer, with the chat template set.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast as Fast

    whole = phrases(names)
    tokenizer = Tokenizer(models.BPE(byte_fallback=False))
    tokenizer.normalizer = normalizers.NFC()
    literal = "|".join(_literal(text) for text in whole)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(f"{literal}|{_WORDS}"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=4096, min_frequency=1, special_tokens=[], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(whole, trainer)
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL_TOKENS])
    fast = Fast(
        tokenizer_object=tokenizer,
        eos_token=END_OF_TURN,
        pad_token=END_OF_TEXT,
        additional_special_tokens=list(SPECIAL_TOKENS[1:]),
        model_max_length=4096,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def _literal(text: str) -> str:
    return "".join("\\" + char if char in r"\.^$|()[]{}*+?" else "\\n" if char == "\n" else char for char in text)


def save_tokenizer(tokenizer: PreTrainedTokenizerFast, directory: Path) -> None:
    """Write it as the class the real Qwen2.5-VL names, which optimum and openvino-genai expect."""
    tokenizer.save_pretrained(directory)
    path = directory / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings["tokenizer_class"] = "Qwen2Tokenizer"
    path.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


class Script:
    """Token ids of questions and answers, for training.

    Args:
        tokenizer: From `build_tokenizer`.
        names: The whole menu, in order.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.end = int(tokenizer.convert_tokens_to_ids(END_OF_TURN))
        self.pad = int(tokenizer.convert_tokens_to_ids(END_OF_TEXT))
        self._tokenizer = tokenizer
        self._cache: dict[tuple[str, ...], tuple[list[int], list[int]]] = {}
        self.longest_answer = 4 * len(self.names) + 2

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False))

    def question(self, names: Sequence[str]) -> tuple[list[int], list[int]]:
        """Ids before and after the visual tokens, ending where the answer starts."""
        key = tuple(names)
        if key not in self._cache:
            before, after = build_prompt(key).split(IMAGE_TAG)
            start = self._encode(f"<|im_start|>user\n{before}<|vision_start|>")
            rest = self._encode(f"<|vision_end|>{after}<|im_end|>\n<|im_start|>assistant\n")
            if len(self._cache) > 4096:
                self._cache.clear()
            self._cache[key] = (start, rest)
        return self._cache[key]

    def answer(self, counts: Sequence[int], names: Sequence[str]) -> list[int]:
        """Ids of the right answer with the end token.

        Args:
            counts: How many of each, in the order of the whole menu.
            names: The names in the order the question gave them.
        """
        known = {name: min(int(count), MAX_TAUGHT) for name, count in zip(self.names, counts, strict=True)}
        return [*self._encode(format_answer(known, names)), self.end]
