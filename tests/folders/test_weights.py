"""Files of weights as they occur in practice, and files that are refused."""

import json
import shutil
import sys
from functools import partial

import numpy as np
import pytest
from safetensors.numpy import load_file, save, save_file
from tiny import tiny_model

from minigpt import BPETokenizer, miniGPT
from minigpt.folders.pretrained import load_model_and_tokenizer
from minigpt.folders.weights import INDEX, SINGLE, open_file, write_tensors

IDS = np.array([[1, 2, 3, 4, 0]])


small = partial(tiny_model, vocab_size=9, tie_weights=True, noise=0.3)


@pytest.fixture
def saved(tmp_path):
    """A folder with a tied model, and its logits."""
    model = small()
    model.save_pretrained(tmp_path)
    return tmp_path, model.eval().forward(IDS)[0]


def rewrite(folder, change):
    """Replace the tensors stored in `folder` by `change(tensors)`."""
    tensors = change(load_file(folder / SINGLE))
    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, folder / SINGLE)


def without_prefix(tensors):
    return {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}


def with_masks(tensors):
    mask = np.tril(np.ones((1, 1, 8, 8), np.uint8))
    masks = {f"transformer.h.{i}.attn.bias": mask for i in range(2)}
    return tensors | masks | {"transformer.h.0.attn.masked_bias": np.float32([-1e4])}


def with_a_head(tensors):
    return tensors | {"lm_head.weight": tensors["transformer.wte.weight"]}


@pytest.mark.parametrize(
    "change",
    [
        without_prefix,
        with_masks,
        with_a_head,
        lambda tensors: without_prefix(with_masks(with_a_head(tensors))),
    ],
    ids=["no prefix", "masks", "head", "all three"],
)
def test_weights_with_every_naming_scheme_are_read(saved, change):
    folder, logits = saved
    rewrite(folder, change)
    np.testing.assert_array_equal(miniGPT.from_pretrained(folder).forward(IDS)[0], logits)


def with_another_head(tensors):
    head = np.random.default_rng(9).normal(size=tensors["transformer.wte.weight"].shape)
    return tensors | {"lm_head.weight": head.astype("f4")}


@pytest.mark.parametrize("in_several_files", [False, True])
@pytest.mark.parametrize("kind", ["<f4", "<f2"])
def test_separate_head_overrides_tying_in_config_json(saved, in_several_files, kind):
    folder, logits = saved
    rewrite(folder, lambda tensors: without_prefix(with_another_head(tensors)))
    rewrite(folder, lambda t: t | {"lm_head.weight": t["lm_head.weight"].astype(kind)})
    head = load_file(folder / "model.safetensors")["lm_head.weight"].astype("f4")
    if in_several_files:
        shard(folder)
    model = miniGPT.from_pretrained(folder)
    np.testing.assert_array_equal(model.head.weight.T, head)
    found = model.forward(IDS)[0]
    np.testing.assert_allclose(found, model.hidden(IDS) @ head.T, rtol=1e-5, atol=1e-5)
    assert not np.allclose(found, logits)
    model.save_pretrained(folder / "again")
    again = miniGPT.from_pretrained(folder / "again")
    assert (model.tie_weights, again.tie_weights) == (False, False)
    np.testing.assert_array_equal(again.forward(IDS)[0], found)


def test_tied_weights_may_be_stored_as_the_head_only(saved):
    folder, logits = saved
    rewrite(folder, lambda t: {n.replace("transformer.wte", "lm_head"): x for n, x in t.items()})
    model = miniGPT.from_pretrained(folder)
    assert model.tie_weights
    np.testing.assert_array_equal(model.forward(IDS)[0], logits)


def test_head_of_another_shape_is_refused(saved):
    folder, _ = saved
    rewrite(folder, lambda t: t | {"lm_head.weight": np.ones((3, 12), "f4")})
    with pytest.raises(ValueError, match=r"'lm_head.weight' has the shape \(3, 12\)"):
        miniGPT.from_pretrained(folder)


def shard(folder):
    """Distribute the tensors over three files with an index."""
    tensors = load_file(folder / SINGLE)
    (folder / SINGLE).unlink()
    places = {}
    for i in range(3):
        part = dict(sorted(tensors.items())[i::3])
        save_file(part, folder / f"model-{i}.safetensors")
        places |= dict.fromkeys(part, f"model-{i}.safetensors")
    index = {"metadata": {}, "weight_map": places}
    (folder / INDEX).write_text(json.dumps(index), encoding="utf-8")


def test_sharded_weights_are_read(saved):
    folder, logits = saved
    shard(folder)
    np.testing.assert_array_equal(miniGPT.from_pretrained(folder).forward(IDS)[0], logits)
    (folder / "model-1.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"no weights at .*model-1\.safetensors"):
        miniGPT.from_pretrained(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"index\.json is not JSON"),
        ("[]", "must hold a JSON object, got a list"),
        ("{}", r"index\.json is damaged"),
        ('{"weight_map": 3}', r"index\.json is damaged"),
        ('{"weight_map": {"wte.weight": 3}}', r"index\.json is damaged"),
    ],
)
def test_invalid_index_is_refused(saved, content, message):
    folder, _ = saved
    (folder / SINGLE).rename(folder / "model-0.safetensors")
    (folder / INDEX).write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        miniGPT.from_pretrained(folder)


def test_index_cannot_name_files_outside_the_folder(saved):
    folder, _ = saved
    (folder / SINGLE).rename(folder.parent / "elsewhere.safetensors")
    index = {"weight_map": {"wte.weight": "../elsewhere.safetensors"}}
    (folder / INDEX).write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(ValueError, match="must name files beside it"):
        miniGPT.from_pretrained(folder)


def test_float16_weights_are_read(saved):
    folder, _ = saved
    rewrite(folder, lambda tensors: {k: v.astype(np.float16) for k, v in tensors.items()})
    stored = load_file(folder / SINGLE)
    params = miniGPT.from_pretrained(folder).params()
    assert params["token_embedding.weight"].dtype == np.float32
    np.testing.assert_array_equal(
        params["token_embedding.weight"], stored["transformer.wte.weight"]
    )


def test_bfloat16_weights_are_read(saved):
    folder, _ = saved
    exact = miniGPT.from_pretrained(folder).params()
    content = (folder / SINGLE).read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    halves = np.frombuffer(content[8 + length :], "<u2")[1::2]  # the upper half of each float32
    for about in header.values():
        if "dtype" in about:
            about["dtype"] = "BF16"
            about["data_offsets"] = [place // 2 for place in about["data_offsets"]]
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (folder / SINGLE).write_bytes(len(text).to_bytes(8, "little") + text + halves.tobytes())
    params = miniGPT.from_pretrained(folder).params()
    for name, param in params.items():
        np.testing.assert_allclose(param, exact[name], rtol=2**-7)
        assert (param.view(np.uint32) & 0xFFFF == 0).all()


def test_weights_of_another_dtype_are_refused(saved):
    folder, _ = saved
    rewrite(folder, lambda tensors: tensors | {"transformer.ln_f.bias": np.zeros(12, np.int8)})
    with pytest.raises(ValueError, match=r"'ln_f\.bias' is stored as I8, but miniGPT reads"):
        miniGPT.from_pretrained(folder)


def test_weights_are_mapped_without_a_copy(saved):
    folder, logits = saved
    before = (folder / SINGLE).read_bytes()
    model = miniGPT.from_pretrained(folder)
    assert np.shares_memory(model.head.weight, model.token_embedding.weight)
    assert not model.token_embedding.weight.flags.owndata
    model.token_embedding.weight[...] = 0
    assert (model.forward(IDS)[0] != logits).any()
    model.params()["final_norm.shift"][...] = 1
    assert (folder / SINGLE).read_bytes() == before


def test_model_can_be_saved_over_its_own_folder(saved):
    folder, _ = saved
    model = miniGPT.from_pretrained(folder)
    model.params()["final_norm.shift"][...] = 1
    model.save_pretrained(folder)
    assert (miniGPT.from_pretrained(folder).params()["final_norm.shift"] == 1).all()


def test_unaligned_weights_are_read(saved):
    folder, logits = saved
    content = (folder / SINGLE).read_bytes()
    length = int.from_bytes(content[:8], "little")
    padded = content[8 : 8 + length] + b" "
    longer = len(padded).to_bytes(8, "little") + padded + content[8 + length :]
    (folder / SINGLE).write_bytes(longer)
    model = miniGPT.from_pretrained(folder)
    assert all(tensor.stored.flags.aligned for tensor in open_file(folder / SINGLE).values())
    np.testing.assert_array_equal(model.forward(IDS)[0], logits)


def test_tensors_of_another_architecture_are_named(saved):
    folder, _ = saved
    extra = {f"transformer.h.0.crossattention.{i}.weight": np.zeros(2) for i in range(7)}
    rewrite(folder, lambda tensors: tensors | extra)
    with pytest.raises(ValueError, match=r"no place for: 'h\.0\.crossattention\.0.* and 2 more"):
        miniGPT.from_pretrained(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt"])
def test_pickled_weights_are_never_opened(saved, name):
    folder, _ = saved
    shutil.copy(folder / SINGLE, folder / name)
    (folder / SINGLE).unlink()
    with pytest.raises(ValueError, match=f"(?s)only as {name}, which is a pickle.*save_pretrained"):
        miniGPT.from_pretrained(folder)


def test_tokenizer_of_another_model_is_refused(tmp_path):
    tokenizer = BPETokenizer().train("my dear", vocab_size=258)
    message = "tokenizer has 258 tokens, but the model knows only 257: it has no row for '<|endoft"
    with pytest.raises(ValueError, match=message.replace("|", r"\|")):
        small(vocab_size=257).save_pretrained(tmp_path, tokenizer)
    small(vocab_size=257).save_pretrained(tmp_path)
    tokenizer.save(tmp_path)
    with pytest.raises(ValueError, match=message.replace("|", r"\|")):
        load_model_and_tokenizer(tmp_path)
    small(vocab_size=320).save_pretrained(tmp_path, tokenizer)  # unused rows do no harm
    assert load_model_and_tokenizer(tmp_path)[0].vocab_size == 320


def test_written_weights_equal_those_of_safetensors(tmp_path):
    rng = np.random.default_rng(0)
    tensors = {
        "b": rng.normal(size=(3, 5)).astype(np.float32).T,
        "a": rng.normal(size=(2, 1, 2)),
        "t": np.array([7]),
        "half": np.ones(3, np.float16),
        "none": np.empty((0, 4), np.float32),
        "zero": np.array(1.5),
        "bytes": np.arange(5, dtype=np.uint8),
        "big": np.arange(4, dtype=">f4"),
    }
    write_tensors(tmp_path / SINGLE, tensors)
    read = load_file(tmp_path / SINGLE)
    assert read.keys() == tensors.keys()
    for name, array in tensors.items():
        assert read[name].dtype == array.dtype.newbyteorder("<")
        np.testing.assert_array_equal(read[name], array, strict=name != "big")
    of_a_kind = {name: read[name] for name in ("b", "none", "big")}
    write_tensors(tmp_path / SINGLE, of_a_kind)
    assert (tmp_path / SINGLE).read_bytes() == save(of_a_kind, metadata={"format": "pt"})
    assert [p.name for p in tmp_path.iterdir()] == [SINGLE]


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are of Unix")
def test_saved_model_has_the_permissions_of_the_umask(saved):
    folder, _ = saved
    (folder / "new").touch()
    allowed = (folder / "new").stat().st_mode
    assert {
        path.name: path.stat().st_mode
        for path in folder.iterdir()
        if path.stat().st_mode != allowed
    } == {}
