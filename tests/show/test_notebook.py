"""The loss during training, in a notebook and elsewhere; and the notebook as it is shipped."""

import base64
import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from minigpt.show import notebook
from minigpt.show.figures.loss_picture import loss_picture, loss_png
from minigpt.show.notebook import watch
from minigpt.training.loop import Step

STEPS = [
    Step(
        *(i, 5 / i**0.5, 1.0, 1e-3, 1234.5),
        *((4 / i**0.5, 2 / i**0.5) if i % 10 == 0 else ()),
        loss_bits=2.5 / i**0.5,
    )
    for i in range(1, 41)
]


def test_watch_passes_steps_and_prints_evaluations(capsys):
    assert list(watch(STEPS, floor=0.2)) == STEPS
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 4
    assert "step 40: training 0.395, validation 0.316 bits/char (floor 0.200, +58%)" in err


@pytest.fixture
def cell(monkeypatch):
    """Return the list of outputs that a notebook would show, one after the other."""
    outputs = []

    def update(output, raw, metadata):
        assert raw is True
        assert metadata["image/png"]["alt"] == output["text/plain"]
        outputs.append(output)

    def display(output, display_id, **how):
        assert display_id is True
        update(output, **how)
        return types.SimpleNamespace(update=update)

    shell = types.SimpleNamespace(kernel=None)
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: shell
    ipython.version_info = (9, 0)  # Matplotlib asks for it
    shown = types.ModuleType("IPython.display")
    shown.display = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", shown)
    return outputs


def shows(output, steps):
    """Return whether a notebook's output is the picture of `steps`."""
    return base64.b64decode(output["image/png"]) == loss_png(steps)


def test_watch_redraws_one_picture_in_a_notebook(cell, monkeypatch):
    clock = iter(np.arange(0, 1000, 0.02))  # each look at the clock takes 20 ms
    monkeypatch.setattr(notebook.time, "monotonic", lambda: next(clock))
    assert list(watch(STEPS)) == STEPS
    assert 2 < len(cell) < len(STEPS)
    assert shows(cell[-1], STEPS)
    assert shows(cell[0], STEPS[:1])
    assert cell[-1]["text/plain"].startswith("step 40: training 0.395, validation 0.316 bits/char")


def test_watch_limits_the_share_of_time_for_drawing(cell, monkeypatch):
    now = 0.0

    def draw(steps, floor):
        nonlocal now
        now += 0.2
        return b""

    monkeypatch.setattr(notebook.time, "monotonic", lambda: now)
    monkeypatch.setattr("minigpt.show.figures.loss_picture.loss_png", draw)
    for _ in watch(STEPS * 10):
        now += 0.1
    assert len(cell) * 0.2 <= notebook.MAX_DRAWING_SHARE * now + 2 * 0.2  # first and last


def test_watch_shows_the_last_step_of_an_interrupted_loop(cell):
    for step in (steps := watch(STEPS)):
        if step.number == 7:
            steps.close()
    assert shows(cell[-1], STEPS[:7])
    assert list(watch([])) == []


def test_watch_draws_no_picture_in_a_terminal(cell, monkeypatch, capsys):
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: None)
    list(watch(STEPS))
    assert cell == []
    assert "step 40" in capsys.readouterr().err


def test_watch_prints_lines_in_a_notebook_without_matplotlib(cell, monkeypatch, capsys):
    monkeypatch.setattr(notebook.importlib.util, "find_spec", lambda name: None)
    assert list(watch(STEPS)) == STEPS
    assert cell == []
    lines = capsys.readouterr().err.splitlines()
    assert "install matplotlib" in lines[0]
    assert len(lines) == 5
    assert "step 40" in lines[-1]


def drawn(steps, floor):
    """Return the axes of the picture, and its lines by their style."""
    (axes,) = loss_picture(steps, floor).axes
    return axes, list(axes.lines)


def test_loss_picture_places_the_losses_correctly():
    axes, (faint, strong, dots, dashed) = drawn(STEPS, 0.2)
    number = [step.number for step in STEPS]
    bits = np.array([step.loss / 2 for step in STEPS])  # 2 nats a token are 1 bit a character
    np.testing.assert_allclose(faint.get_xydata(), np.stack([number, bits], 1))
    np.testing.assert_allclose(strong.get_ydata(), bits)  # a mean over 1 step
    expected = [(step.number, step.val_bits) for step in STEPS[9::10]]
    np.testing.assert_allclose(dots.get_xydata(), expected)
    assert set(dashed.get_ydata()) == {0.2}
    assert dashed.get_linestyle() == "--"
    low, high = axes.get_ylim()
    assert low < 0.2 < bits.max() < high
    assert axes.get_title(loc="left").startswith(
        "step 40: training 0.395, validation 0.316 bits/char"
    )
    assert axes.get_ylabel() == "bits per character"
    assert [text.get_text() for text in axes.get_legend().texts] == ["floor 0.200"]
    assert loss_png(STEPS, 0.2).startswith(b"\x89PNG")


def test_loss_picture_is_in_nats_before_an_evaluation():
    axes, lines = drawn(STEPS[:1], 0.2)
    assert axes.get_ylabel() == "nats per token"
    assert len(lines) == 2
    assert axes.get_legend() is None


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
    live = [data for data in shown if "".join(data.get("text/plain", "")).startswith("step 2,600:")]
    assert len(live) == 1
    assert base64.b64decode(live[0]["image/png"]).startswith(b"\x89PNG")
    figures = [data for data in shown if "application/vnd.plotly.v1+json" in data]
    assert len(figures) >= 5
    for data in figures:  # for viewers without Plotly, such as GitHub
        assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
