import json
import os
import stat
from functools import partial

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tiny import tiny_model

from minigpt import BPETokenizer, CharTokenizer, WordTokenizer, load_tokenizer, miniGPT
from minigpt.folders.gpt2 import to_gpt2
from minigpt.support.files import replacing, write_text

TEXT = "my dear goose, my dear fox! " * 9
IDS = np.array([[1, 2, 3, 4, 0]])


small = partial(tiny_model, 9, noise=0.3)


@pytest.mark.parametrize("tie_weights", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
@pytest.mark.parametrize("d_ff", [None, 20])
def test_saved_model_loads_to_the_bit(tmp_path, tie_weights, bias, activation, d_ff):
    model = small(tie_weights=tie_weights, bias=bias, activation=activation, d_ff=d_ff, dropout=0.1)
    model.save_pretrained(tmp_path / "new" / "folder")
    back = miniGPT.from_pretrained(tmp_path / "new" / "folder")
    assert back.params().keys() == model.params().keys()
    np.testing.assert_array_equal(back.flat.params, model.flat.params)
    np.testing.assert_array_equal(back.forward(IDS)[0], model.eval().forward(IDS)[0])
    assert (back.dropout.p, back.training) == (0.1, False)


def test_saved_float64_model_loads_to_the_bit(tmp_path):
    model = small(dtype="float64")
    model.save_pretrained(tmp_path)
    back = miniGPT.from_pretrained(tmp_path, dtype="float64")
    np.testing.assert_array_equal(back.flat.params, model.flat.params)


@pytest.mark.parametrize(
    "tokenizer",
    [
        BPETokenizer().train(TEXT, vocab_size=260),
        WordTokenizer().train(TEXT),
        CharTokenizer().train(TEXT),
    ],
    ids=["bpe", "word", "char"],
)
def test_saved_model_includes_the_tokenizer(tmp_path, tokenizer):
    model = tiny_model(tokenizer.vocab_size)
    model.save_pretrained(tmp_path, tokenizer)
    back = load_tokenizer(tmp_path)
    assert type(back) is type(tokenizer)
    assert back.encode(TEXT) == tokenizer.encode(TEXT)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert config["model_max_length"] == 8


def test_weights_file_has_the_names_and_shapes_of_gpt2(tmp_path):
    model = small(bias=False)
    model.save_pretrained(tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    assert stored["transformer.wte.weight"].shape == (9, 12)
    assert stored["transformer.wpe.weight"].shape == (8, 12)
    assert stored["transformer.h.1.attn.c_attn.weight"].shape == (12, 36)
    assert stored["lm_head.weight"].shape == (9, 12)
    biases = {name: tensor for name, tensor in stored.items() if name.endswith(".bias")}
    assert {name.removeprefix("transformer.h.0."): t.shape for name, t in biases.items()} == {
        **{"ln_1.bias": (12,), "attn.c_attn.bias": (36,), "attn.c_proj.bias": (12,)},
        **{"ln_2.bias": (12,), "mlp.c_fc.bias": (48,), "mlp.c_proj.bias": (12,)},
        **{name: t.shape for name, t in biases.items() if ".h.0." not in name},
    }
    assert not any(tensor.any() for tensor in biases.values())
    assert "lm_head.weight" not in to_gpt2(small(tie_weights=True))


def test_saving_again_replaces_whole_files(tmp_path):
    small(seed=1).save_pretrained(tmp_path)
    second = small(seed=2)
    second.save_pretrained(tmp_path)
    np.testing.assert_array_equal(miniGPT.from_pretrained(tmp_path).flat.params, second.flat.params)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("config.json", "model.safetensors", "generation_config.json"),
    }


def test_failed_save_keeps_the_old_file(tmp_path):
    file = tmp_path / "a.txt"
    write_text(file, "old")

    def fail_half_way():
        with replacing(file) as temporary:
            temporary.write_text("ne", encoding="utf-8")
            raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        fail_half_way()
    assert file.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(os.name != "posix", reason="only there files have such permissions")
@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_saved_file_has_the_permissions_of_a_new_file(tmp_path, monkeypatch, mask):
    before = os.umask(mask)
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("another thread may meet this one"))
    try:
        write_text(tmp_path / "a.txt", "new")
        (tmp_path / "b.txt").touch()
    finally:
        monkeypatch.undo()
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(["a.txt", "b.txt"], 0o666 & ~mask)


def change_config(folder, **changes):
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= changes
    config = {key: value for key, value in config.items() if value != "remove"}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda f: (f / "config.json").unlink(), FileNotFoundError, "no config.json"),
        (lambda f: (f / "model.safetensors").unlink(), FileNotFoundError, "no weights at"),
        (lambda f: (f / "config.json").write_text("{"), ValueError, "is not JSON"),
        (lambda f: (f / "config.json").write_text("[]"), ValueError, "must hold a JSON object"),
        (lambda f: change_config(f, model_type="llama"), ValueError, "got 'llama'"),
        (lambda f: change_config(f, n_embd="remove"), ValueError, "has no 'n_embd'"),
        (
            lambda f: change_config(f, activation_function="silu"),
            ValueError,
            "unknown activation_function 'silu'",
        ),
        (lambda f: change_config(f, n_embd=13), ValueError, "'wte.weight' has the shape"),
        (lambda f: change_config(f, n_head=5), ValueError, "d_model=12, n_heads=5"),
        (lambda f: change_config(f, vocab_size=10), ValueError, "'wte.weight' has the shape"),
        (lambda f: change_config(f, n_layer=3), ValueError, "no tensor 'h.2.attn.c_attn.bias'"),
    ],
)
def test_folders_without_a_model_are_refused(tmp_path, damage, error, message):
    small().save_pretrained(tmp_path)
    damage(tmp_path)
    with pytest.raises(error, match=message):
        miniGPT.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("scale_attn_weights", False),
        ("scale_attn_by_inverse_layer_idx", True),
        ("add_cross_attention", True),
        ("quantization_config", {"bits": 8}),
        ("activation_function", "gelu"),  # the exact form; GPT-2 uses the tanh form
        ("pruned_heads", {"0": [1]}),
        ("num_attention_heads", 2),
        ("model_type", "gpt_neo"),
    ],
)
def test_config_of_another_architecture_is_refused_by_key(tmp_path, key, value):
    small().save_pretrained(tmp_path)
    change_config(tmp_path, **{key: value})
    with pytest.raises(ValueError, match=key):
        miniGPT.from_pretrained(tmp_path)


@pytest.mark.parametrize("name", ["gelu", "gelu_python", "quick_gelu", "silu", "gelu_10", "rellu"])
def test_config_of_another_activation_is_refused_without_a_hint(tmp_path, name):
    small().save_pretrained(tmp_path)
    change_config(tmp_path, activation_function=name)
    with pytest.raises(ValueError, match=f"unknown activation_function '{name}'") as caught:
        miniGPT.from_pretrained(tmp_path)
    assert "did you mean" not in str(caught.value)
    assert ("x · Φ(x)" in str(caught.value)) == (name in ("gelu", "gelu_python"))


def test_config_may_use_alternative_names_of_sizes(tmp_path):
    model = small(seed=1)
    model.save_pretrained(tmp_path)
    others = {"hidden_size": 12, "num_attention_heads": 3, "num_hidden_layers": 2}
    names = dict.fromkeys(["n_embd", "n_head", "n_layer"], "remove")
    change_config(tmp_path, **others, **names)
    back = miniGPT.from_pretrained(tmp_path)
    np.testing.assert_array_equal(back.forward(IDS)[0], model.eval().forward(IDS)[0])


def test_config_without_bias_refuses_weights_with_biases(tmp_path):
    small(seed=1).save_pretrained(tmp_path)
    change_config(tmp_path, minigpt={"bias": False})
    with pytest.raises(ValueError, match=r"minigpt\.bias false .*but biases that are not 0"):
        miniGPT.from_pretrained(tmp_path)


def test_config_values_per_layer_are_kept(tmp_path):
    model = small(seed=1)
    model.save_pretrained(tmp_path)
    change_config(tmp_path, layer_norm_epsilon=0.1, embd_pdrop=0.2, attn_pdrop=0.3, resid_pdrop=0.4)
    back = miniGPT.from_pretrained(tmp_path)
    block = back.blocks[1]
    assert {back.final_norm.eps, block.norm_1.eps, block.norm_2.eps} == {0.1}
    assert (back.dropout.p, block.attention.attention_dropout.p) == (0.2, 0.3)
    assert block.attention.residual_dropout.p == block.feed_forward.dropout.p == 0.4
    assert (back.forward(IDS)[0] != model.eval().forward(IDS)[0]).any()
    back.save_pretrained(tmp_path / "again")
    config = json.loads((tmp_path / "again" / "config.json").read_text(encoding="utf-8"))
    assert [config[f"{k}_pdrop"] for k in ("embd", "attn", "resid")] == [0.2, 0.3, 0.4]
    assert config["layer_norm_epsilon"] == 0.1


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_truncated_weights_are_refused(tmp_path, kept):
    small().save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(ValueError, match="damaged or not a safetensors"):
        miniGPT.from_pretrained(tmp_path)


def test_missing_tensor_is_named(tmp_path):
    small().save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["transformer.h.0.mlp.c_fc.weight"]
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"no tensor 'h\.0\.mlp\.c_fc\.weight'"):
        miniGPT.from_pretrained(tmp_path)


def test_missing_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a model folder: it does not exist"):
        miniGPT.from_pretrained(tmp_path / "nothing")
