import dataclasses

import pytest
from tiny import tiny_model

from minigpt import PRESETS, Settings, preset
from minigpt.core.layers import ACTIVATIONS
from minigpt.training.optimizers import optimizer_of
from minigpt.training.settings import CHOICES, read_toml


def test_presets_are_valid_settings():
    for name in PRESETS:
        assert isinstance(preset(name), Settings)


def test_shakespeare_preset_is_the_published_recipe():
    s = preset("shakespeare-char")
    assert (s.n_layers, s.n_heads, s.d_model, s.block_size, s.batch_size) == (4, 4, 128, 64, 12)
    assert (s.steps, s.warmup, s.learning_rate, s.final_learning_rate) == (2000, 100, 1e-3, 1e-4)
    assert (s.beta1, s.beta2, s.weight_decay, s.clip) == (0.9, 0.99, 0.1, 1.0)
    assert (s.tokenizer, s.dropout, s.bias, s.optimizer) == ("char", 0.0, False, "adamw")
    assert s.data == ("shakespeare",)


def test_settings_suggest_the_nearest_name():
    with pytest.raises(ValueError, match="unknown preset 'shakespear-char': did you mean"):
        preset("shakespear-char")
    with pytest.raises(ValueError, match="unknown setting 'n_layer': did you mean 'n_layers'"):
        Settings().replace({"n_layer": 3})


def test_settings_replace_changes_only_what_is_given():
    changed = Settings().replace({"steps": 7, "data": ["a.txt", "b.txt"]})
    assert changed.steps == 7
    assert changed.data == ("a.txt", "b.txt")
    assert dataclasses.replace(changed, steps=2000, data=("plays",)) == Settings(steps=2000)


def test_settings_survive_json_and_back():
    changed = Settings(d_ff=64, vocab_size=None)
    assert Settings().replace(changed.to_dict()) == changed


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"steps": 0}, ValueError, "steps must be at least 1, got 0"),
        ({"steps": 2.5}, TypeError, "steps must be int, got 2.5"),
        ({"steps": True}, TypeError, "steps must be int, got True"),
        ({"bias": 1}, TypeError, "bias must be bool, got 1"),
        ({"d_ff": "big"}, TypeError, "d_ff must be int or none, got 'big'"),
        ({"learning_rate": 0}, ValueError, "learning_rate must be more than 0"),
        ({"learning_rate": float("nan")}, ValueError, "learning_rate must be more than 0"),
        ({"learning_rate": "fast"}, TypeError, "learning_rate must be float"),
        ({"beta2": 1.0}, ValueError, r"beta2 must be in \[0, 1\), got 1.0"),
        ({"weight_decay": -1}, ValueError, "weight_decay must be 0 or more"),
        ({"seed": -1}, ValueError, "seed must be 0 or more"),
        ({"data": "plays"}, TypeError, "data must be a list of texts, got 'plays'"),
        ({"data": []}, TypeError, "data must be a list of texts"),
        ({"optimizer": "adam"}, ValueError, "unknown optimizer 'adam': did you mean 'adamw'"),
        ({"activation": "gleu"}, ValueError, "unknown activation 'gleu': did you mean 'gelu'"),
        (
            {"d_model": 130},
            ValueError,
            "multiple of n_heads, got d_model=130, .* choose 128 or 132",
        ),
        ({"d_model": 2}, ValueError, "d_model=2, n_heads=4: choose 4"),
    ],
)
def test_settings_refuse_invalid_values(changes, error, message):
    with pytest.raises(error, match=message):
        Settings().replace(changes)


def test_settings_choices_are_those_that_work():
    assert set(CHOICES["activation"]) == set(ACTIVATIONS)
    model = tiny_model()
    for name in CHOICES["optimizer"]:
        assert optimizer_of(Settings(optimizer=name), model)


def test_settings_from_toml(tmp_path):
    file = tmp_path / "my.toml"
    file.write_text('data = ["a.txt"]\nsteps = 5\nlearning_rate = 1e-2\n', encoding="utf-8")
    assert Settings().replace(read_toml(file)) == Settings(("a.txt",), steps=5, learning_rate=0.01)
    file.write_text("steps: 5", encoding="utf-8")
    with pytest.raises(ValueError, match=r"my.toml is not a TOML file"):
        read_toml(file)
