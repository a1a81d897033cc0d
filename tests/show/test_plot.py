"""Loss curves: the figure, the page and the text show exactly the numbers of the runs."""

import io
import re
import sys

import numpy as np
import pytest
from rich.console import Console
from written_runs import make_run, minigpt, row

from minigpt.runs.history import History
from minigpt.runs.metrics import moving_mean
from minigpt.show.figures.figure_file import page, save_figure
from minigpt.show.figures.loss_curves import BITS, NATS, curves, loss_curves, thin
from minigpt.show.figures.loss_in_terminal import loss_text
from minigpt.show.figures.style import GREY, PALETTE
from minigpt.show.run_table import show_runs


@pytest.fixture
def pair(tmp_path):
    """Return two runs with different tokenizers, so that a nat per token differs in bits."""

    def rows(ratio):
        evaluated = {1: {"val_loss": 6.0, "val_bits": 6 * ratio}}
        evaluated[8] = {"val_loss": 2.0, "val_bits": 2 * ratio}
        return [row(n, **evaluated.get(n, {})) for n in range(1, 11)]

    a = make_run(tmp_path / "runs/a", rows(0.5), floor=0.75)
    b = make_run(tmp_path / "runs/b", rows(0.25), floor=0.75)
    return [History.read(a), History.read(b)]


def test_curves_add_the_spelling_cost_once(tmp_path):
    """Spelling is added to the training loss in bits; it does not scale it."""
    evaluated = {1: 6.0, 8: 2.0}
    rows = [
        row(n, **({"val_loss": v, "val_bits": v / 2 + 0.75, "spelling_bits": 0.75} if v else {}))
        for n in range(1, 11)
        for v in [evaluated.get(n)]
    ]
    history = History.read(make_run(tmp_path / "runs/a", rows))
    (curve,), unit = curves([history])
    assert unit == BITS
    np.testing.assert_allclose(curve.loss, history.metrics.loss / 2 + 0.75)
    np.testing.assert_allclose(curve.validation[[0, 7]], [3.75, 1.75])
    said = "0.750 of it to spell unknown words"
    assert said in loss_curves([history]).layout.title.subtitle.text
    assert said in loss_text([history]).plain
    listed = io.StringIO()
    show_runs([history], {}, Console(file=listed, width=200))
    assert f"1.750 ({said})" in listed.getvalue()
    assert history.to_dict()["spelling_bits"] == 0.75
    unmeasured = History.read(make_run(tmp_path / "runs/b", [row(1)]))
    (curve, _), unit = curves([history, unmeasured])
    assert (unit, curve.unknown) == (NATS, "an unknown word counts as one token")


def traces(figure, **wanted):
    return [t for t in figure.data if all(t[name] == value for name, value in wanted.items())]


def test_loss_figure_shows_the_metrics_of_each_run(pair):
    figure = loss_curves(pair)
    assert figure.layout.yaxis.title.text == BITS
    for history, ratio, color in zip(pair, (0.5, 0.25), PALETTE, strict=False):
        name, metrics = history.folder.name, history.metrics
        raw, mean, validation = traces(figure, name=name, yaxis="y")
        np.testing.assert_allclose(raw.y, metrics.loss * ratio)
        np.testing.assert_array_equal(raw.x, metrics.number)
        np.testing.assert_allclose(mean.y, moving_mean(metrics.loss * ratio, 1))
        assert (validation.mode, list(validation.x)) == ("markers", [1, 8])
        np.testing.assert_allclose(validation.y, [6 * ratio, 2 * ratio])
        (rate,) = traces(figure, name=name, yaxis="y2")
        (norm,) = traces(figure, name=name, yaxis="y3")
        np.testing.assert_array_equal(rate.y, metrics.learning_rate)
        np.testing.assert_array_equal(norm.y, metrics.gradient_norm)
        assert {t.line.color or t.marker.color for t in traces(figure, name=name)} == {color}
        assert sum(t.showlegend for t in traces(figure, name=name)) == 1


def test_loss_figure_draws_one_line_at_a_shared_floor(pair):
    (floor,) = (trace for trace in loss_curves(pair).data if trace.line.dash == "dash")
    assert list(floor.y) == [0.75, 0.75]
    assert list(floor.x) == [1, 10]
    assert floor.line.color == GREY


def test_loss_figure_draws_no_floor_for_different_texts(pair, tmp_path):
    rows = [row(1, val_loss=6.0, val_bits=3.0), row(2)]
    other = History.read(make_run(tmp_path / "other", rows, floor=None))
    third = History.read(make_run(tmp_path / "third", rows, floor=0.5))
    for histories in ([*pair, other], [other, pair[0]], [pair[0], third]):
        figure = loss_curves(histories)
        assert not [trace for trace in figure.data if trace.line.dash == "dash"]
        assert "Lowest possible: a 0.750" in figure.layout.title.subtitle.text
        text = loss_text(histories, 60, 16).plain
        assert "╌" not in text
        (line,) = (line for line in text.splitlines() if "  a  training" in line)
        assert line.endswith(", lowest possible 0.750")
        assert ("lowest possible 0.500" in text) == (third in histories)


def test_loss_figure_draws_a_huge_loss_in_its_margin(tmp_path):
    rows = [row(n, loss=10.0**n) for n in range(1, 29)]
    lines = loss_text([History.read(make_run(tmp_path / "a", rows))], 60, 16).plain.splitlines()
    assert {line.index("│") for line in lines[1:17]} == {7}
    assert max(map(len, lines)) <= 60


def test_loss_figure_uses_nats_if_a_run_has_no_bits(pair, tmp_path):
    pair.append(History.read(make_run(tmp_path / "c", [row(1), row(2)])))
    pair.append(History.read(make_run(tmp_path / "not-begun")))
    figure = loss_curves(pair)
    assert figure.layout.yaxis.title.text == NATS
    raw = traces(figure, name="a", yaxis="y")[0]
    np.testing.assert_allclose(raw.y, pair[0].metrics.loss)
    assert not [trace for trace in figure.data if trace.line.dash]  # a floor is known in bits only
    assert not traces(figure, name="not-begun")


def test_loss_figure_without_data_is_an_error(tmp_path):
    histories = [History.read(make_run(tmp_path / "a"))]
    for draw in (loss_curves, loss_text):
        with pytest.raises(ValueError, match="nothing to draw yet"):
            draw(histories)


def test_moving_mean_averages_the_values_around():
    values = np.array([1.0, np.nan, 3.0, 8.0, 4.0, np.nan, np.nan, np.nan])
    expected = [1, 2, 5.5, 5, 6, 4, np.nan, np.nan]
    np.testing.assert_allclose(moving_mean(values, 3), expected)
    np.testing.assert_allclose(moving_mean(values, 1), values)
    ramp = np.arange(50.0)
    np.testing.assert_allclose(moving_mean(ramp, 11)[5:-5], ramp[5:-5])


def test_thin_keeps_the_spikes_of_a_long_line():
    x, y = np.arange(100_000), np.random.default_rng(0).normal(size=100_000)
    y[[5, 77_777]] = 50, -50
    y[1000:3000] = y[50_000] = np.nan
    y[50_001] = 40  # among the same points as a gap
    fewer, values = thin(x, y, 1000)
    assert 900 < len(fewer) <= 1000
    assert (np.diff(fewer) > 0).all()
    np.testing.assert_array_equal(values, y[fewer])
    assert {5, 50_001, 77_777} <= set(fewer)
    assert np.isnan(values).any()
    np.testing.assert_array_equal(thin(x[:1000], y[:1000], 1000)[0], x[:1000])


def test_figure_page_needs_no_network(pair):
    text = page(loss_curves(pair), "a <b> & c")
    assert "<title>a &lt;b&gt; &amp; c</title>" in text
    tags = re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", text)
    assert tags
    assert not [tag for tag in tags if re.search(r"\b(src|href)=", tag)]
    assert "prefers-color-scheme: dark" in text
    assert len(text) > 1_000_000  # Plotly itself is inside


def _contrast(a, b):
    def luminance(color):
        parts = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_figure_colours_have_contrast_in_light_and_dark():
    for background in ("#ffffff", "#121212"):
        assert _contrast(GREY, background) > 4
        assert all(_contrast(color, background) > 2 for color in PALETTE)
        assert all(_contrast(color, background) > 3 for color in PALETTE[:3])


def test_text_curves_show_floor_and_names(pair):
    text = loss_text(pair, 60, 16)
    lines = text.plain.splitlines()
    assert lines[0] == BITS
    assert all(len(line) <= 60 for line in lines)
    picture = [line.partition("│")[2] for line in lines[1:17]]
    assert lines[1].startswith("  3.50 │")  # the highest: a's first step, 7 nats
    highest, lowest = 7 * 0.5, 0.7 * 0.25  # a's first step, b's last: in the first and last row
    for mark, column, bits in (
        *(("a", 0, 3.0), ("a", 40, 1.0), ("b", 0, 1.5), ("b", 40, 0.5), ("╌", 51, 0.75)),
    ):
        place = round((highest - bits) / (highest - lowest) * 15)
        assert picture[place][column] == mark
    assert any("a  a  training 0.350, validation 1.000" in line for line in lines)
    assert any("b  b  training 0.175, validation 0.500" in line for line in lines)
    assert "lowest possible loss: 0.750" in lines[-1]
    assert {str(span.style) for span in text.spans} >= set(PALETTE[:2])


def test_text_curves_fall_from_left_to_right(tmp_path):
    rows = [row(n, loss=10.0 - 0.01 * n) for n in range(1, 801)]
    drawn = loss_text([History.read(make_run(tmp_path / "a", rows))], 58, 10).plain
    picture = np.array([list(line.partition("│")[2]) for line in drawn.splitlines()[1:11]])
    columns = [np.flatnonzero(column != " ") for column in picture.T]
    assert all(filled.size for filled in columns)  # a line without holes
    middles = np.array([filled.mean() for filled in columns])
    np.testing.assert_allclose(middles, np.linspace(0, 9, 50), atol=0.6)


def test_text_curves_have_no_holes_in_a_steep_line(tmp_path):
    for name, losses in (("down", (9.0, 1.0)), ("up", (1.0, 9.0))):
        rows = [row(n, loss=loss) for n, loss in enumerate(losses, 1)]
        history = History.read(make_run(tmp_path / name, rows))
        drawn = loss_text([history], 30, 60).plain.splitlines()[1:61]
        assert all(line.partition("│")[2].strip() for line in drawn)


@pytest.mark.parametrize("losses", [[1.0], [2.0, 2.0], [None, None], [0.0, 1e29], [-3.0]])
def test_loss_figures_draw_odd_losses(tmp_path, losses):
    rows = [row(n, loss=loss) for n, loss in enumerate(losses, 1)]
    history = History.read(make_run(tmp_path / "a", rows, floor=None))
    drawn, unit = curves([history])
    assert unit == NATS
    known = [math_loss for math_loss in losses if math_loss is not None]
    assert drawn[0].loss[np.isfinite(drawn[0].loss)].tolist() == known
    assert "1 steps" in loss_text([history]).plain or "2 steps" in loss_text([history]).plain
    assert loss_curves([history]).data


def test_plot_without_plotly_says_what_to_install(pair, monkeypatch):
    figure = loss_curves(pair)
    for name in ("plotly.subplots", "kaleido"):
        monkeypatch.setitem(sys.modules, name, None)  # which makes its import fail
    assert loss_text(pair).plain
    with pytest.raises(ImportError, match=r"pip install 'minigpt-numpy\[plot\]'"):
        loss_curves(pair)
    with pytest.raises(ImportError, match=r"kaleido: pip install 'minigpt-numpy\[plot\]'"):
        save_figure(figure, pair[0].folder / "curves.png")
    assert not (pair[0].folder / "curves.png").exists()


def test_plot_command(pair, tmp_path):
    done = minigpt("plot", "runs/a", "runs/b", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "curves.html\n", "")
    written = (tmp_path / "curves.html").read_text(encoding="utf-8")
    for text in ("bits per character", '"name":"a"', '"name":"b"', '"name":"floor 0.750"'):
        assert text in written
    text = minigpt("plot", "runs/a", "runs/b", "--text", cwd=tmp_path, COLUMNS="60")
    assert text.returncode == 0, text.stderr
    assert text.stdout == loss_text(pair, 60).plain
    assert "\x1b" not in text.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "RUN"),
        (["nowhere"], 1, "nowhere is not a run folder"),
        (["runs/a", "-o", "curves.pdf"], 1, "an .html or .png file, got 'curves.pdf'"),
        (["runs/a", "-o", "no/such/curves.html"], 1, "No such file or directory"),
        (["runs/a", "-o", "x.html", "--text"], 2, "not allowed with"),
    ],
)
def test_plot_command_refuses_invalid_arguments(pair, tmp_path, arguments, code, message):
    done = minigpt("plot", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr


def test_train_without_tensorboard_writer_begins_no_run(tmp_path, monkeypatch, capsys):
    from minigpt.commands.cli import main

    monkeypatch.setitem(sys.modules, "tensorboardX", None)  # which makes its import fail
    monkeypatch.chdir(tmp_path)
    for command in ("demo", "train"):
        assert main([command, "--steps", "1", "--tensorboard"]) == 1
        assert "pip install 'minigpt-numpy[tensorboard]'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
