"""Open model folders as anybody would, without miniGPT, and tell what is in them, as JSON.

It is run by `test_run_folders_reference.py`, in a process of its own:

    python open_with_transformers.py TEXT NEW_TOKENS FOLDER...
"""

import json
import logging
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

PROMPT = 5  # tokens of the text that are continued


def look_into(folder: str, text: str, new_tokens: int) -> dict:
    model, report = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(text)["input_ids"]
    prompt = tokenizer(tokenizer.decode(ids[:PROMPT]), return_tensors="pt")
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    continued = model.generate(**prompt, max_new_tokens=new_tokens, do_sample=False)
    return {
        "report": {key: sorted(map(str, value)) for key, value in report.items()},
        "ids": ids,
        "text": tokenizer.decode(ids),
        "model_max_length": tokenizer.model_max_length,
        "logits": logits.tolist(),
        "continued": continued[0].tolist(),
    }


class Warnings(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(f"{record.name}: {record.getMessage()}")


def main(text: str, new_tokens: str, *folders: str) -> None:
    torch.set_num_threads(1)
    transformers_logging.enable_propagation()
    warnings = Warnings()
    logging.getLogger().addHandler(warnings)
    found = [look_into(folder, text, int(new_tokens)) for folder in folders]
    ours = sorted(name for name in sys.modules if name.partition(".")[0] == "minigpt")
    print(json.dumps({"folders": found, "warnings": warnings.messages, "our_modules": ours}))


if __name__ == "__main__":
    main(*sys.argv[1:])
