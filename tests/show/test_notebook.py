"""The loss during training, in a notebook and elsewhere; and the notebook as it is shipped."""

import base64
import json
import math
import re
import sys
import types
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from minigpt.show import notebook
from minigpt.show.figures.loss_svg import loss_svg, round_numbers
from minigpt.show.notebook import watch
from minigpt.training.loop import Step

SVG = "{http://www.w3.org/2000/svg}"
STEPS = [
    Step(
        *(i, 5 / i**0.5, 1.0, 1e-3, 1234.5),
        *((4 / i**0.5, 2 / i**0.5) if i % 10 == 0 else ()),
        loss_bits=2.5 / i**0.5,
    )
    for i in range(1, 41)
]


def test_plot_training_passes_steps_and_prints_evaluations(capsys):
    assert list(watch(STEPS, floor=0.2)) == STEPS
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 4
    assert "step 40: training 0.395, validation 0.316 bits/char (floor 0.200, +58%)" in err


@pytest.fixture
def cell(monkeypatch):
    """Return the list of pictures that a notebook would show."""
    pictures = []
    handle = types.SimpleNamespace(update=pictures.append)

    def display(picture, display_id):
        assert display_id is True
        pictures.append(picture)
        return handle

    shell = types.SimpleNamespace(kernel=None)
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: shell
    shown = types.ModuleType("IPython.display")
    shown.HTML, shown.display = str, display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", shown)
    return pictures


def test_plot_training_redraws_one_picture_in_a_notebook(cell, monkeypatch):
    clock = iter(np.arange(0, 100, 0.25))  # each look at the clock takes a quarter of a second
    monkeypatch.setattr(notebook.time, "monotonic", lambda: next(clock))
    assert list(watch(STEPS)) == STEPS
    assert 2 < len(cell) < len(STEPS)
    assert cell[-1] == loss_svg(STEPS)
    assert cell[0] == loss_svg(STEPS[:1])


def test_plot_training_shows_the_last_step_of_an_interrupted_loop(cell):
    for step in (steps := watch(STEPS)):
        if step.number == 7:
            steps.close()
    assert cell[-1] == loss_svg(STEPS[:7])
    assert list(watch([])) == []


def test_plot_training_draws_no_picture_in_a_terminal(cell, monkeypatch, capsys):
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: None)
    list(watch(STEPS))
    assert cell == []
    assert "step 40" in capsys.readouterr().err


def points(line):
    return np.array([pair.split(",") for pair in line.get("points").split()], float)


def test_training_picture_places_the_losses_correctly():
    root = ElementTree.fromstring(loss_svg(STEPS, floor=0.2))
    assert root.get("aria-label").startswith("step 40: training 0.395, validation 0.316 bits/char")
    faint, _ = root.iter(f"{SVG}polyline")
    dots = [(float(c.get("cx")), float(c.get("cy"))) for c in root.iter(f"{SVG}circle")]
    bits = np.array([step.loss / 2 for step in STEPS])  # 2 nats a token are 1 bit a character
    drawn = points(faint)
    assert len(drawn) == 40
    # Heights are a linear function of the losses, also for the dots and the floor.
    slope, shift = np.polyfit(bits, drawn[:, 1], 1)
    assert slope < 0
    np.testing.assert_allclose(drawn[:, 1], slope * bits + shift, atol=0.1)
    for (x, y), step in zip(dots, STEPS[9::10], strict=True):
        assert x == pytest.approx(drawn[step.number - 1, 0], abs=0.1)
        assert y == pytest.approx(slope * step.val_bits + shift, abs=0.2)
    dashed = next(p for p in root.iter(f"{SVG}path") if p.get("stroke-dasharray"))
    height = float(re.match(r"M\d+ ([\d.]+)H", dashed.get("d"))[1])
    assert height == pytest.approx(slope * 0.2 + shift, abs=0.2)
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert "bits per character" in texts
    assert "floor 0.200" in texts


def test_training_picture_is_in_nats_before_an_evaluation():
    root = ElementTree.fromstring(loss_svg(STEPS[:1], floor=0.2))
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert "nats per token" in texts
    assert not any("floor" in text for text in texts)


def test_axis_ticks_are_round_numbers():
    assert round_numbers(0, 10, 5) == [0, 2, 4, 6, 8, 10]
    assert round_numbers(0.13, 0.61, 5) == [0.2, 0.3, 0.4, 0.5, 0.6]
    for low, high in ((1, 2), (1, 2600), (3.2, 3.2001), (-1, 1e6)):
        chosen = round_numbers(low, high, 6)
        assert 2 <= len(chosen) <= 7
        assert all(low <= value <= high for value in chosen)
        assert math.isclose(np.ptp(np.diff(chosen)), 0, abs_tol=1e-6 * (high - low))


def test_notebook_was_run_in_order_and_needs_no_scripts():
    path = Path(__file__).parents[2] / "notebooks" / "minigpt.ipynb"
    assert path.stat().st_size < 1_500_000
    cells = [c for c in json.loads(path.read_text("utf-8"))["cells"] if c["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} == {
        *("stream", "display_data", "execute_result")
    }
    shown = [output["data"] for output in outputs if "data" in output]
    pages = ["".join(data.get("text/html", "")) for data in shown]
    assert not any("<script" in page for page in pages)
    assert any("<svg" in page and "bits per character" in page for page in pages)  # the live plot
    figures = [data for data in shown if "application/vnd.plotly.v1+json" in data]
    assert len(figures) >= 5
    for data in figures:  # for viewers without Plotly, such as GitHub
        assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
