"""Training the demo detector: a run is taken up with its own arguments only, and its card tells all of them."""

from __future__ import annotations

import re

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the `train` extra")

from orderacc.training import detector  # noqa: E402  only where torch is
from orderacc.training.detector_export import write_card  # noqa: E402
from orderacc.training.detector_measure import Measured  # noqa: E402
from orderacc.training.detector_pictures import INPUT_SIZE, Truth  # noqa: E402

ARGUMENTS = {"seed": 3, "pictures": 100, "steps": 1, "batch": 1}


class Grey:
    """Pictures of nothing."""

    def batch(self, seed, step, size):  # noqa: ARG002  all are alike
        nothing = Truth(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.bool_))
        return np.full((size, INPUT_SIZE[1], INPUT_SIZE[0], 3), 128, np.uint8), [nothing] * size


def options(out, **changes):
    return [
        "--out",
        str(out),
        *(word for name, value in {**ARGUMENTS, **changes}.items() for word in (f"--{name}", str(value))),
    ]


@pytest.mark.parametrize(("name", "value"), [("seed", 4), ("pictures", 200), ("steps", 2), ("batch", 2)])
def test_a_checkpoint_of_other_arguments_is_refused_before_anything_is_rendered(tmp_path, capsys, name, value):
    detector._train(Grey(), detector._options(options(tmp_path)))
    assert detector.main(options(tmp_path, **{name: value})) == 2
    err = capsys.readouterr().err
    assert "checkpoint.pt was made with --seed 3 --pictures 100 --steps 1 --batch 1: give the same" in err
    assert not (tmp_path / "pool").exists()


def test_a_checkpoint_of_the_same_arguments_is_taken_up(tmp_path, capsys):
    given = detector._options(options(tmp_path))
    first = detector._train(Grey(), given).state_dict()
    assert detector._other_run(given) == ""
    again = detector._train(Grey(), given).state_dict()
    assert "taken up at step 1" in capsys.readouterr().out
    assert all(torch.equal(first[key], again[key]) for key in first)


def test_a_checkpoint_that_does_not_tell_is_refused(tmp_path, capsys):
    torch.save({"step": 1}, tmp_path / "checkpoint.pt")
    assert detector.main(options(tmp_path)) == 2
    assert "made with options it does not tell" in capsys.readouterr().err


def test_the_card_tells_the_command_that_makes_the_model_again(tmp_path):
    for kind in ("xml", "bin"):
        (tmp_path / f"detector.{kind}").write_bytes(b"x")
    given = detector._options(options(tmp_path, seed=7))
    write_card(tmp_path, Measured(fits=[1.0]), 1.0, 10, {**vars(given), "parameters": 1})
    (command,) = re.findall(r"`(python -m [^`]+)`", (tmp_path / "MODEL_CARD.md").read_text())
    again = detector._options(command.split()[4:])
    assert {name: getattr(again, name) for name in ARGUMENTS} == {**ARGUMENTS, "seed": 7}
