"""The language half alone: from ideal visual tokens, made a little wrong, to the answer. Needs no picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the name every torch programmer knows

from orderacc.training.architecture import CELLS, VIEW_HEIGHT, VIEW_WIDTH, positions
from orderacc.training.labels import centre_map, codebook, encode
from orderacc.training.optim import Clock, Optimizer, device, precision, save_state, schedule

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor
    from transformers import PreTrainedModel

    from orderacc.training.tokenizer import Script

MOST_ITEMS = 14


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A padded batch of questions and answers.

    Attributes:
        ids: int64 [B, L]; the picture's places hold zeros.
        picture: bool [B, L], true at the picture's tokens, CELLS of them in each row.
        position: int64 [3, B, L].
        target: int64 [B, L]: the token to say next, -100 where nothing is asked.
    """

    ids: Tensor
    picture: Tensor
    position: Tensor
    target: Tensor


def choose_menu(names: Sequence[str], counts: NDArray[np.int64], rng: np.random.Generator) -> list[str]:
    """The menu of one question: mostly the whole one, at times some of it, now and then in another order."""
    draw = rng.random()
    if draw < 0.85:
        return list(names)
    keep = [name for name, count in zip(names, counts, strict=True) if count or rng.random() < 0.6]
    if draw > 0.95:
        rng.shuffle(keep)
    return keep or list(names)


def build_dialogue(script: Script, counts: NDArray[np.int64], rng: np.random.Generator | None) -> Dialogue:
    """Questions and right answers for pictures.

    Args:
        script: The tokens.
        counts: int64 [B, menu] of what each picture shows.
        rng: Chooses menus; None asks with the whole menu always.
    """
    rows = []
    for row in counts:
        menu = list(script.names) if rng is None else choose_menu(script.names, row, rng)
        before, after = script.question(menu)
        rows.append((before, after, script.answer(row.tolist(), menu)))
    length = max(len(b) + CELLS + len(a) + len(t) for b, a, t in rows) - 1
    ids = torch.full((len(rows), length), script.pad)
    picture = torch.zeros(len(rows), length, dtype=torch.bool)
    target = torch.full((len(rows), length), -100)
    position = torch.empty(3, len(rows), length, dtype=torch.long)
    for index, (before, after, answer) in enumerate(rows):
        line = torch.tensor([*before, *[0] * CELLS, *after, *answer])
        asked = len(line) - len(answer)
        ids[index, : len(line) - 1] = line[:-1]
        picture[index, len(before) : len(before) + CELLS] = True
        target[index, asked - 1 : len(line) - 1] = line[asked:]
        position[:, index] = positions(len(before), length)
    where = device()
    return Dialogue(ids.to(where), picture.to(where), position.to(where), target.to(where))


def answer_loss(model: PreTrainedModel, seen: Tensor, dialogue: Dialogue) -> tuple[Tensor, Tensor]:
    """How well the model answers.

    Args:
        model: The Hugging Face model.
        seen: Visual tokens [B, CELLS, width].
        dialogue: The questions and answers.

    Returns:
        Mean cross-entropy over answer tokens, and bool [B]: whether greedy decoding gives exactly the answer (each
        token is the likeliest after the right ones before it, which is the same thing).
    """
    words = model.get_input_embeddings()(dialogue.ids)
    words = words.masked_scatter(dialogue.picture[..., None], seen.to(words.dtype))
    states = model.model.language_model(
        inputs_embeds=words, position_ids=dialogue.position, use_cache=False
    ).last_hidden_state
    asked = dialogue.target >= 0
    logits = model.lm_head(states[asked])
    wanted = dialogue.target[asked]
    wrong = torch.zeros_like(dialogue.target)
    wrong[asked] = (logits.detach().argmax(-1) != wanted).long()
    return F.cross_entropy(logits.float(), wanted), wrong.sum(1) == 0


def imagine(batch: int, menu: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], Tensor]:
    """Counts and visual tokens as a vision tower in training gives them: soft, noisy, at times doubtful.

    Returns:
        Counts int64 [batch, menu] and tokens float32 [batch, CELLS, width].
    """
    classes = np.full((batch, MOST_ITEMS), -1)
    centres = rng.uniform((8, 8), (VIEW_WIDTH - 8, VIEW_HEIGHT - 8), (batch, MOST_ITEMS, 2)).astype(np.float32)
    for row in range(batch):
        total = int(rng.choice(MOST_ITEMS - 2)) if rng.random() > 0.03 else 0
        few = rng.choice(menu, rng.integers(1, 6), replace=False)
        same = rng.choice(few, total)
        classes[row, :total] = np.where(rng.random(total) < 0.8, same, rng.integers(0, menu, total))
        for index in range(total):
            for _ in range(8):
                gaps = np.abs(centres[row, :index] - centres[row, index])
                if not index or gaps.max(1).min() > 30:
                    break
                centres[row, index] = rng.uniform((8, 8), (VIEW_WIDTH - 8, VIEW_HEIGHT - 8))
    counts = np.zeros((batch, menu), np.int64)
    picture, slot = np.nonzero(classes >= 0)
    np.add.at(counts, (picture, classes[picture, slot]), 1)
    # What the tower sees differs from what is there: centres off by some pixels, part of the belief on another item.
    noise = rng.uniform(0, 1, (batch, 1, 1)).astype(np.float32)
    ideal = centre_map(classes, centres + rng.normal(0, 2.5, centres.shape).astype(np.float32) * noise, menu)
    doubt = (rng.random((batch, CELLS, 1)) < 0.12) * rng.uniform(0, 0.4, (batch, CELLS, 1)) * noise
    other = np.take(ideal, rng.permutation(menu), axis=2)
    strength = 1 + rng.normal(0, 0.08, ideal.shape) * noise
    haze = (rng.random(ideal.shape) < 0.01) * rng.uniform(0, 0.2, ideal.shape) * noise
    soft = ((1 - doubt) * ideal + doubt * other) * strength + haze
    tokens = encode(torch.from_numpy(soft.astype(np.float32)), codebook(menu))
    return counts, tokens + torch.randn_like(tokens) * 0.1 * torch.from_numpy(noise)


def train_language(
    model: PreTrainedModel, script: Script, path: Path, minutes: float, *, seed: int, batch: int = 48
) -> None:
    """Teach the language half; resumes from `path` when it is there.

    Args:
        model: The whole model; only its language half is trained.
        script: The tokens.
        path: Checkpoint to write.
        minutes: Wall time.
        seed: Of the imagined pictures.
        batch: Pictures a step.
    """
    half = model.model.language_model
    optimizer = Optimizer(half.named_parameters())
    used, step = 0.0, 0
    if path.exists():
        state = torch.load(path, weights_only=True)
        optimizer.load_state_dict(state["optimizer"])
        used, step = state["used"], state["step"]
    clock = Clock(minutes, used)
    rng = np.random.default_rng([seed, 77, step])
    losses, hits = [], []
    share = used / clock.seconds

    def checkpoint() -> dict[str, Any]:
        optimizer.swap()
        weights = {name: value.clone() for name, value in half.state_dict().items()}
        optimizer.swap()
        return {"weights": weights, "optimizer": optimizer.state_dict(), "used": clock.used, "step": step}

    while share < 1:
        counts, tokens = imagine(batch, len(script.names), rng)
        with precision():
            loss, exact = answer_loss(model, tokens.to(device()), build_dialogue(script, counts, rng))
        share = optimizer.step(loss, 2e-3 * schedule(share, step), clock.share)
        step += 1
        losses.append(loss.item())
        hits.append(exact.float().mean().item())
        if clock.due("print", 30):
            rate = batch * step / clock.used
            print(
                f"language {clock.used / 60:5.1f} min step {step} {rate:.0f}/s loss {np.mean(losses[-100:]):.4f} "
                f"exact {np.mean(hits[-100:]):.3f}",
                flush=True,
            )
        if clock.due("save", 120):
            save_state(path, checkpoint)
    save_state(path, checkpoint)
    if hits:
        print(f"language done: step {step} exact {np.mean(hits[-100:]):.3f}", flush=True)
