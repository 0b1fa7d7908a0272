"""Training the demo model: tokens, labels and views fit what is served. The halves are not trained here."""

from __future__ import annotations

import json
import re
from collections import Counter

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the `train` extra")
pytest.importorskip("transformers", reason="needs the `train` extra")

from orderacc.simulator.menu import NAMES  # noqa: E402  only where torch is
from orderacc.training import vlm  # noqa: E402
from orderacc.training.architecture import (  # noqa: E402
    CELLS,
    COLUMNS,
    ROWS,
    BatchedVision,
    build_model,
    patchify,
    positions,
    save_processor,
)
from orderacc.training.card import phases_of, write_card  # noqa: E402
from orderacc.training.evaluate import score  # noqa: E402
from orderacc.training.export import learnt_and_served  # noqa: E402
from orderacc.training.joint import Halves, train_joint  # noqa: E402
from orderacc.training.labels import centre_map, codebook, encode, patch_map, split_centres  # noqa: E402
from orderacc.training.language import build_dialogue, choose_menu, imagine, train_language  # noqa: E402
from orderacc.training.optim import Clock, Optimizer, device_name, orthogonal, save_state, schedule  # noqa: E402
from orderacc.training.patch_embedding import FILE, half_kernel, rewrite_patch_embedding  # noqa: E402
from orderacc.training.pictures import HELD_OUT, MOST, Batch, Pool, example, examples, stack, vary  # noqa: E402
from orderacc.training.tokenizer import Script, build_tokenizer  # noqa: E402
from orderacc.training.vision import train_vision  # noqa: E402
from orderacc.vlm.pictures import PictureRules  # noqa: E402
from orderacc.vlm.prompt import format_answer  # noqa: E402


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(NAMES)


@pytest.fixture(scope="module")
def model(tokenizer):
    torch.manual_seed(0)
    return build_model(tokenizer).eval()


def test_an_answer_is_four_tokens_a_line_and_round_trips(tokenizer):
    script = Script(tokenizer, NAMES)
    counts = [0] * len(NAMES)
    counts[3], counts[7], counts[12] = 2, 1, 9
    ids = script.answer(counts, NAMES)
    assert len(ids) == 4 * 3 + 2
    assert ids[-1] == script.end
    text = tokenizer.decode(ids[:-1])
    assert text == format_answer(dict(zip(NAMES, counts, strict=True)), NAMES)
    assert len(script.answer([0] * len(NAMES), NAMES)) == 2


@pytest.mark.parametrize("text", ['{"items": []}', "What is in the bag?\n  \u00e9\u2615", "Diet Cola, Cola and Colas"])
def test_other_text_round_trips(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


def test_a_question_in_another_order_asks_for_the_answer_in_that_order(tokenizer):
    script = Script(tokenizer, NAMES)
    counts = np.eye(len(NAMES), dtype=np.int64)[0] + np.eye(len(NAMES), dtype=np.int64)[5]
    answer = tokenizer.decode(script.answer(counts, NAMES[::-1])[:-1])
    assert [line["name"] for line in json.loads(answer)["items"]] == [NAMES[5], NAMES[0]]


def test_a_chosen_menu_covers_what_is_there():
    rng = np.random.default_rng(0)
    counts = np.zeros(len(NAMES), np.int64)
    counts[[1, 4]] = 1
    for _ in range(100):
        menu = choose_menu(NAMES, counts, rng)
        assert {NAMES[1], NAMES[4]} <= set(menu) <= set(NAMES)


def test_rotary_positions_are_those_of_the_real_model(model, tokenizer):
    before, after = Script(tokenizer, NAMES).question(NAMES)
    ids = torch.tensor([[*before, *[model.config.image_token_id] * CELLS, *after]])
    wanted, _ = model.model.get_rope_index(ids, torch.tensor([[1, 2 * ROWS, 2 * COLUMNS]]))
    assert torch.equal(wanted[:, 0], positions(len(before), ids.shape[1]))


@torch.no_grad()
def test_the_batched_vision_pass_equals_the_real_one(model):
    pictures = torch.randint(0, 256, (2, 14 * 2 * ROWS, 14 * 2 * COLUMNS, 3), dtype=torch.uint8)
    patches = patchify(pictures).view(-1, 3, 1, 196).expand(-1, -1, 2, -1).reshape(8 * CELLS, -1)
    wanted = model.model.visual(patches, torch.tensor([[1, 2 * ROWS, 2 * COLUMNS]] * 2)).view(2, CELLS, -1)
    tower = BatchedVision(model.model.visual)
    assert torch.allclose(tower(pictures)[0], wanted, atol=1e-4)
    assert sorted(tower.patch_place.tolist()) == list(range(4 * CELLS))


def doubled(picture):
    """Every pixel as four: a large picture that the small one tells all of."""
    return picture.repeat(2, 0).repeat(2, 1)


def patches_of(picture, side):
    return patchify(torch.from_numpy(picture[None]), side)[0].numpy()


def test_kernels_of_half_the_side_give_what_the_learnt_ones_give():
    rng = np.random.default_rng(0)
    learnt = rng.normal(size=(8, 3, 2, 14, 14)).astype(np.float32)
    small = rng.integers(0, 256, (4, 28, 42, 3), np.uint8)
    fitted = half_kernel(learnt, [(doubled(one), one) for one in small])
    assert fitted.shape == (8, 3, 2, 7, 7)
    picture = rng.integers(0, 256, (28, 42, 3), np.uint8)
    wanted = patches_of(doubled(picture), 14) @ learnt.sum(2).reshape(8, -1).T
    given = patches_of(picture, 7) @ fitted.sum(2).reshape(8, -1).T
    assert np.abs(given - wanted).max() < 0.01 * np.abs(wanted).max()


def test_an_exported_model_takes_half_the_size_with_the_same_vectors(tmp_path):
    import openvino as ov
    from openvino import opset13

    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (8, 3, 2, 14, 14)).astype(np.int8)
    taken = opset13.parameter([-1, 1176], np.float32, name="hidden_states")
    blocks = opset13.reshape(taken, opset13.constant(np.array([-1, 3, 2, 14, 14])), special_zero=False)
    kernel = opset13.multiply(opset13.convert(weights, "f32"), np.full((8, 1, 1, 1, 1), 0.01, np.float32))
    strides = [2, 14, 14]
    vectors = opset13.convolution(blocks, kernel, strides, [0] * 3, [0] * 3, [1] * 3)
    given = opset13.reshape(vectors, opset13.constant(np.array([-1, 8])), special_zero=False)
    taken.output(0).set_names({"hidden_states"})
    given.output(0).set_names({"last_hidden_state"})
    ov.save_model(ov.Model([opset13.result(given)], [taken]), tmp_path / FILE, compress_to_fp16=False)
    (tmp_path / "config.json").write_text('{"vision_config": {"patch_size": 14, "window_size": 112}}')
    save_processor(tmp_path)

    def run(picture, side):
        still = patches_of(picture, side).reshape(-1, 3, 1, side * side)
        pixels = still.repeat(2, 2).reshape(len(still), -1).astype(np.float32)
        return ov.Core().compile_model(tmp_path / FILE, "CPU")(pixels)["last_hidden_state"]

    small = rng.integers(0, 256, (4, 84, 126, 3), np.uint8)
    wanted = run(doubled(small[0]), 14)
    rewrite_patch_embedding(tmp_path, [(doubled(one), one) for one in small])
    assert np.abs(run(small[0], 7) - wanted).max() < 0.03 * np.abs(wanted).max()
    rules = PictureRules.read(tmp_path / "preprocessor_config.json")
    assert (rules.side, rules.visual_tokens(126, 84), rules.visual_tokens(252, 168)) == (14, CELLS, CELLS)
    vision = json.loads((tmp_path / "config.json").read_text())["vision_config"]
    assert vision == {"patch_size": 7, "window_size": 56}
    with pytest.raises(ValueError, match="not one convolution"):
        rewrite_patch_embedding(tmp_path, [])


def test_a_picture_as_served_shows_what_the_learnt_one_shows():
    learnt, served = next(learnt_and_served(NAMES))
    assert (learnt.shape, served.shape) == ((168, 252, 3), (84, 126, 3))
    assert np.abs(learnt.reshape(84, 2, 126, 2, 3).mean((1, 3)) - served).mean() < 4


def test_centres_are_shared_out_between_cells_and_sum_to_the_counts():
    classes = np.array([[0, 0, 5, -1]])
    centres = np.array([[[14, 14], [28, 14], [250, 167], [60, 60]]], np.float32)
    shown = centre_map(classes, centres, 14)
    assert shown.sum((0, 1))[[0, 5]] == pytest.approx([2, 1])
    assert shown.sum() == pytest.approx(3)
    assert shown[0, 0, 0] == pytest.approx(1.5)
    cells, shares = split_centres(centres)
    assert cells.max() < CELLS
    assert shares.sum(-1) == pytest.approx(1)


def test_ideal_tokens_say_none_where_nothing_is():
    book = codebook(14)
    tokens = encode(torch.zeros(1, CELLS, 14), book)
    assert torch.allclose(tokens[0, 0], book[-1])


def test_a_patch_knows_its_item_and_the_way_to_its_centre():
    kinds, offsets = patch_map(np.array([[3, -1]]), np.array([[[0, 0, 56, 28], [0, 0, 252, 168]]], np.float32), 14)
    assert (kinds[0, :4] == 3).all()
    assert (kinds[0, 5:18] == 14).all()
    assert offsets[0, 0] == pytest.approx([21 / 28, 7 / 28])


def test_examples_follow_the_view_and_vary_with_their_boxes():
    source = examples(HELD_OUT - 100, NAMES)
    batch = stack([next(source) for _ in range(3)])
    moved = vary(batch, np.random.default_rng(1))
    assert moved.pictures.shape == (3, 168, 252, 3)
    assert moved.boxes.shape == (3, MOST, 4)
    real = batch.classes >= 0
    assert np.abs(moved.boxes - batch.boxes)[real].max() < 30
    assert (batch.counts(len(NAMES)).sum(1) == real.sum(1)).all()
    again = example(HELD_OUT - 100, NAMES)
    first = next(examples(HELD_OUT - 100, NAMES))
    assert again is None or np.array_equal(again.picture, first.picture)


def test_a_pool_is_taken_up_again(tmp_path):
    pool = Pool(tmp_path / "pool", NAMES, 1, size=8, reuse=4)
    assert len(pool.draw(2).pictures) == 2
    rendered = pool.rendered
    del pool
    assert Pool(tmp_path / "pool", NAMES, 1, size=8, reuse=4).rendered == rendered


def test_dialogues_ask_for_tokens_only_where_the_answer_is(tokenizer):
    counts, tokens = imagine(4, len(NAMES), np.random.default_rng(2))
    script = Script(tokenizer, NAMES)
    dialogue = build_dialogue(script, counts, None)
    assert (dialogue.picture.sum(1) == CELLS).all()
    assert tokens.shape[:2] == (4, CELLS)
    for row, line in zip(counts.tolist(), dialogue.target, strict=True):
        assert line[line >= 0].tolist() == script.answer(row, NAMES)


def test_muon_makes_matrices_nearly_orthogonal():
    values = torch.linalg.svdvals(orthogonal(torch.randn(3, 24, 64)))
    assert values.min() > 0.3
    assert values.max() < 1.7


def test_the_optimizer_learns_resumes_and_swaps():
    torch.manual_seed(0)
    layer = torch.nn.ModuleDict({"blocks": torch.nn.Linear(8, 4), "head": torch.nn.Linear(4, 1)})
    named = [(name.replace("blocks", "blocks.0"), p) for name, p in layer.named_parameters()]
    optimizer = Optimizer(named)
    x, y = torch.randn(64, 8), torch.randn(64, 1)
    losses = []
    for _ in range(60):
        loss = (layer["head"](layer["blocks"](x).relu()) - y).pow(2).mean()
        optimizer.step(loss, 0.01, 0.0)
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    live = layer["blocks"].weight.detach().clone()
    optimizer.swap()
    assert not torch.equal(layer["blocks"].weight, live)
    optimizer.swap()
    assert torch.equal(layer["blocks"].weight, live)
    optimizer.load_state_dict(optimizer.state_dict())
    assert optimizer.steps == 60


def test_the_rate_rises_holds_and_falls_and_the_clock_resumes():
    assert schedule(0.0, 0) < schedule(0.0, 49) == 1.0
    assert schedule(1.0, 999) == pytest.approx(0.01)
    assert Clock(1.0, used=30.0).share >= 0.5


def test_batches_count_repeated_items():
    classes = np.full((1, MOST), -1)
    classes[0, :3] = [2, 2, 4]
    batch = Batch(np.zeros((1, 1, 1, 3), np.uint8), classes, np.zeros((1, MOST, 4), np.float32))
    assert batch.counts(14)[0, [2, 4]].tolist() == [2, 1]


def test_every_phase_trains_leaves_a_checkpoint_and_takes_it_up(tmp_path, tokenizer, capsys):
    model = build_model(tokenizer)
    script = Script(tokenizer, NAMES)
    halves = Halves(tmp_path / "vision.pt", tmp_path / "language.pt", tmp_path / "joint.pt")
    pool = Pool(tmp_path / "pool", NAMES, 1, size=8, reuse=4)
    for minutes in (0.005, 0.005, 0.05):
        train_language(model, script, halves.language, minutes, seed=1, batch=2)
        train_vision(model, pool, None, halves.vision, minutes, menu=len(NAMES), batch=2)
        train_joint(model, script, pool, None, halves, minutes=minutes, batch=2)
    for path in (halves.vision, halves.language, halves.joint):
        state = torch.load(path, weights_only=True)
        assert state["step"] >= 1
        assert state["used"] >= 3.0
    assert "language done" in capsys.readouterr().out


def test_the_card_tells_the_whole_command_and_what_was_done_of_each_phase(tmp_path):
    for name, step in (("language", 1200), ("joint", 340)):
        save_state(tmp_path / f"{name}.pt", lambda step=step: {"used": 630.0, "step": step})
    options = ["--minutes", "37.5", "--seed", "4", "--batch", "8", "--workers", "1", "--reuse", "3", "--pictures", "9"]
    given = vlm.parser().parse_args(["--out", "x", *options])
    nothing = Counter()
    write_card(tmp_path, score([(nothing, nothing)], NAMES), vlm.command_of(given), phases_of(tmp_path))
    card = (tmp_path / "MODEL_CARD.md").read_text()
    (command,) = re.findall(r"`python -m orderacc\.training vlm ([^`]+)`", card)
    again = vlm.parser().parse_args(command.split())
    assert {**vars(again), "out": given.out} == vars(given)
    assert f"| language | {device_name()} | 1 | 1,200 | 10 |\n| joint | {device_name()} | 1 | 340 | 10 |" in card
    assert "vision |" not in card
