"""Names from other libraries, and what to use instead in this one."""

from __future__ import annotations

from minigpt.core.checks import nearest

_OF_OPTIMIZERS = {
    "zero_grad": "nothing is needed: backward() writes gradients anew, it does not add to them",
    "lr": "step(learning_rate)",
    "learning_rate": "step(learning_rate)",
    "param_groups": "step(learning_rate)",
    "update": "step(learning_rate)",
    "apply_gradients": "step(learning_rate)",
    "minimize": "model.backward(), then step(learning_rate)",
}

HINTS: dict[str, dict[str, str]] = {
    "miniGPT": {
        "save": "save_pretrained(folder, tokenizer)",
        "save_weights": "save_pretrained(folder, tokenizer)",
        "push_to_hub": "save_pretrained(folder, tokenizer), which writes a Hugging Face folder",
        "load": "miniGPT.from_pretrained(folder)",
        "load_weights": "miniGPT.from_pretrained(folder)",
        "load_state_dict": "miniGPT.from_pretrained(folder)",
        "state_dict": "params()",
        "parameters": "params()",
        "named_parameters": "params()",
        "weights": "params()",
        "get_weights": "params()",
        "zero_grad": "nothing is needed: backward() writes gradients anew, it does not add to them",
        "fit": "minigpt.train(model, dataset, settings)",
        "train_on_batch": "minigpt.train(model, dataset, settings)",
        "train_step": "minigpt.train(model, dataset, settings)",
        "predict": "forward(ids) for scores, or generate([ids], n) for tokens",
        "call": "forward(ids)",
        "evaluate": "minigpt.evaluate(model, ids)",
        "score": "minigpt.evaluate(model, ids)",
        "sample": "generate([ids], n)",
        "num_parameters": "flat.params.size",
        "count_params": "flat.params.size",
        "summary": "print(model)",
        "config": "print(model)",
        "to": "miniGPT(…, dtype=…): there is no device but the CPU",
        "cuda": "nothing is needed: there is no device but the CPU",
        "cpu": "nothing is needed: it is there already",
        "modules": "blocks, token_embedding, final_norm and head",
        "encode": "tokenizer.encode(text)",
        "decode": "tokenizer.decode(ids)",
    },
    "Layer": {
        "parameters": "params()",
        "named_parameters": "params()",
        "state_dict": "params()",
        "weights": "params()",
        "zero_grad": "nothing is needed: backward() writes gradients anew, it does not add to them",
        "call": "forward(x)",
    },
    "Tokenizer": {
        "save_pretrained": "save(path)",
        "from_pretrained": "minigpt.load_tokenizer(path)",
        "from_file": "minigpt.load_tokenizer(path)",
        "fit": "train(text, vocab_size)",
        "fit_on_texts": "train(text, vocab_size)",
        "train_from_iterator": "train(texts, vocab_size)",
        "tokenize": "[tokenizer.decode([i]) for i in tokenizer.encode(text)]",
        "encode_ordinary": "encode(text)",
        "transform": "encode(text)",
        "texts_to_sequences": "encode(text)",
        "encode_batch": "[tokenizer.encode(text) for text in texts]",
        "decode_batch": "[tokenizer.decode(ids) for ids in rows]",
        "batch_decode": "[tokenizer.decode(ids) for ids in rows]",
        "get_vocab_size": "vocab_size",
        "n_vocab": "vocab_size",
        "eos_token_id": "end_of_text",
        "vocab": "vocabulary",
        "get_vocab": "vocabulary",
    },
    "SGD": _OF_OPTIMIZERS,
    "AdamW": _OF_OPTIMIZERS,
}
"""Class → name in other libraries → what to use here. Subclasses inherit the hints."""


def missing(thing: object, name: str, otherwise: str = "") -> str:
    """Return the message that `thing` has no attribute `name`, with a hint if possible."""
    said = f"{type(thing).__name__} has no {name!r}"
    if name.startswith("_"):  # Python asks for it, not a person
        return said
    for kind in type(thing).__mro__:
        hint = HINTS.get(kind.__name__, {}).get(name)
        if hint is not None:
            return f"{said}: {hint if hint.startswith('nothing') else 'use ' + hint}"
    names = [each for each in [*dir(type(thing)), *vars(thing)] if each[0] != "_"]
    guess = nearest(name, names, 0.75) if len(name) > 3 else None
    hint = f": did you mean {guess!r}?" if guess else otherwise
    return said + hint
