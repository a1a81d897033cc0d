"""Draw README's picture from a run: its loss beside the floor, and three of its samples.

Run `minigpt demo --out runs/demo`, then, with the extra `notebook` installed,
`python docs/pictures.py runs/demo docs/demo.svg`.
"""

import json
import re
import sys
import textwrap
from pathlib import Path

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "minigpt", "font.size": 10}
import matplotlib.pyplot as plt  # noqa: E402  the backend is chosen first


def main(run: Path, picture: Path) -> None:
    """Draw `run` into `picture`."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    floor = json.loads((run / "training.json").read_text("utf-8"))["floor_bits_per_character"]
    evaluations = [row for row in rows if "val_bits" in row]
    bits_per_nat = evaluations[0]["val_bits"] / evaluations[0]["val_loss"]  # BPE spells everything

    figure, axes = plt.subplots(figsize=(10, 6.2))
    figure.subplots_adjust(left=0.07, right=0.98, top=0.93, bottom=0.46)
    steps = [row["number"] for row in rows]
    axes.plot(
        steps,
        [row["loss"] * bits_per_nat for row in rows],
        color="#9ecae1",
        lw=1,
        label="on each batch",
    )
    axes.plot(
        [row["number"] for row in evaluations],
        [row["val_bits"] for row in evaluations],
        "o-",
        color="#08519c",
        ms=4,
        label="on text it never saw",
    )
    axes.axhline(floor, color="#d94801", ls="--", label=f"the floor: {floor:.3f}")
    axes.set(xlabel="training step", ylabel="bits per character", yscale="log")
    axes.set_yticks([0.5, 1, 2, 4], ["0.5", "1", "2", "4"])
    axes.minorticks_off()
    axes.set_title("A GPT learns to write comic scenes", loc="left", fontsize=13)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)

    samples = re.findall(
        r"──── step (\d+) ────\n(.*?)\n\n(?=────|\Z)",
        (run / "samples.txt").read_text("utf-8"),
        re.S,
    )
    for i, (step, text) in enumerate([samples[0], samples[len(samples) // 3], samples[-1]]):
        lines = [
            part for line in text.strip().split("\n") for part in textwrap.wrap(line, 46) or [""]
        ]
        figure.text(0.03 + i * 0.33, 0.345, f"after {step} steps", fontsize=10, weight="bold")
        shown = "\n".join(lines[:12])
        figure.text(0.03 + i * 0.33, 0.325, shown, family="monospace", fontsize=7.6, va="top")
    figure.savefig(picture, metadata={"Date": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
