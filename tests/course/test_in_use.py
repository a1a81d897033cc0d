"""Models that are built of a learner's layers."""

import subprocess
import sys

import numpy as np
import pupil
import pytest

from minigpt.core.kernels import plain
from minigpt.core.model import miniGPT
from minigpt.course.joined import join
from minigpt.course.lesson_folder import lessons
from minigpt.inside import Target, trace


@pytest.fixture
def learner(tmp_path):
    folder = tmp_path / "my gpt"
    folder.mkdir()
    learner = pupil.Pupil(folder)
    learner.solve()
    return learner


def train(learner, *flags):
    text = learner.folder.parent / "text.txt"
    text.write_text("my dear goose, where is my lantern?\n" * 40, "utf-8")
    small = (
        "--tokenizer char --d-model 16 --n-layers 1 --n-heads 2 --block-size 16 --batch-size 2 "
        "--steps 3 --out run"
    )
    command = [sys.executable, "-m", "minigpt", "train", "--data", str(text), *small.split()]
    done = subprocess.run(
        [*command, *flags],
        cwd=learner.folder.parent, capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip
    return done.returncode, done.stderr


def test_train_makes_a_model_of_the_learners_layers(learner):
    code, said = train(learner, "--with", str(learner.folder))
    assert code == 0
    [line] = [line for line in said.splitlines() if line.startswith("yours: ")]
    assert "MyAttention" in line.split(".  ours")[0]
    assert "cross_entropy" in line.split(".  ours")[0]
    assert "MyAdamW" in line.split(".  ours")[0]


def test_layer_that_is_wrong_is_not_used(learner):
    source = lessons()[7].solution
    learner.write(7, source.replace("from_q + from_k + from_v", "from_q + from_k - from_v"))
    learner.write(6, lessons()[6].stub)
    code, said = train(learner, "--with", str(learner.folder))
    assert code == 0
    [line] = [line for line in said.splitlines() if line.startswith("yours: ")]
    assert "MyAttention" in line.split(".  ours")[1]


def test_folder_without_anything_right_is_refused(learner):
    for number, lesson in lessons().items():
        learner.write(number, lesson.stub)
    code, said = train(learner, "--with", str(learner.folder))
    assert code == 1
    assert "can be used in a model yet" in said
    code, said = train(learner, "--with", str(learner.folder.parent))
    assert code == 1
    assert "has no lessons" in said


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"tie_weights": True}], ids=str)
def test_model_with_a_learners_layer_learns_the_same(options):
    ids = np.arange(24).reshape(2, 12) % 7
    flat = []
    for theirs in (False, True):
        model = miniGPT(7, 12, 8, 2, 2, seed=0, dtype="float64", **options)
        if theirs:
            join(model, "MyAttention", lessons()[7].module().MyAttention)
        with plain():
            model.learn(ids[:, :-1], ids[:, 1:])
        flat.append(np.concatenate([grad.reshape(-1) for grad in model.grads().values()]))
    np.testing.assert_allclose(flat[1], flat[0], rtol=1e-12, atol=1e-14)


def test_model_with_a_learners_layer_refuses_dropout():
    model = miniGPT(7, 12, 8, 2, 1, seed=0, dropout=0.1)
    join(model, "MyAttention", lessons()[7].module().MyAttention)
    with pytest.raises(ValueError, match="MyAttention has no dropout"):
        model.forward([[1, 2, 3]])
    model.eval().forward([[1, 2, 3]])


def test_model_with_learners_layers_is_traced():
    ids, seen = [1, 2, 3], []
    for theirs in (False, True):
        model = miniGPT(7, 12, 8, 2, 2, seed=0, dtype="float64")
        if theirs:
            join(model, "MyAttention", lessons()[7].module().MyAttention)
            join(model, "MyLayerNorm", lessons()[5].module().MyLayerNorm)
        seen.append(trace(model, ids, target=Target(4, 2, "logit")))
    np.testing.assert_allclose(seen[1].blocks[0].weights, seen[0].blocks[0].weights)
    np.testing.assert_allclose(seen[1].logits, seen[0].logits)
