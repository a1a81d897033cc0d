"""Draw the pictures of README's "See inside" and of docs/see-inside.md from a run.

Run `minigpt train --preset demo --keep 20 --out runs/learned`, which is the demo with more of its
checkpoints kept. Then, with the extra `reference` and a Chromium installed,
`python docs/inside.py runs/learned docs/inside`.
"""

import io
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from minigpt import CharTokenizer, Sampling, WordTokenizer, get_batch, load_corpus, trace
from minigpt.core.optim import AdamW
from minigpt.folders.pretrained import load_model_and_tokenizer
from minigpt.inside.plays import play_scores
from minigpt.inside.slow_step import slow_step
from minigpt.runs.history import History
from minigpt.runs.layer_metrics import read_layers
from minigpt.runs.stages import stages
from minigpt.show.figures.attention_maps import attention_arcs, attention_heads, attention_matrix
from minigpt.show.figures.attribution_bars import attribution
from minigpt.show.figures.embedding_map import embeddings, positions
from minigpt.show.figures.figure_file import png
from minigpt.show.figures.head_table import heads
from minigpt.show.figures.layer_curves import gradient_norms, update_ratios
from minigpt.show.figures.lens_table import lens
from minigpt.show.figures.loss_curves import loss_curves
from minigpt.show.figures.neuron_texts import neurons
from minigpt.show.figures.next_token import next_token
from minigpt.show.figures.over_time import embeddings_over_time, head_over_time
from minigpt.show.figures.residual_stream import stream
from minigpt.show.figures.slow_motion import slow_step as slow_step_figure
from minigpt.show.figures.surprise_text import surprise
from minigpt.show.figures.token_cells import showdown, tokens

TEXT = (
    "An old kitchen, at noon. Enter Agatha, a duke, and Hugo, a brewer.\n"
    "  Agatha: Alas! I have salted the royal tea.\n"
    "  Hugo: Mercy! I must sing it: Agatha has"
)
SHORT = " Agatha: I have salted the royal tea.\n  Hugo: I must sing it: Agatha has"
WIDTH = 900
COLOURS = 96
"""Few colours are enough, and keep the files small."""


def main(run: Path, folder: Path) -> None:
    """Draw all pictures of `run` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in (*of_a_text(run), *of_a_run(run)):
        height = figure.layout.height or 500
        write(folder / f"{name}.png", png(figure, WIDTH, height), 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        explorer(browser, run, folder)
        explanation(browser, run, folder)


def of_a_text(run: Path) -> Iterator[tuple[str, Any]]:
    """Draw each view of a trace, and of a model."""
    model, tokenizer = load_model_and_tokenizer(run)
    seen = trace(model, TEXT, tokenizer)
    corpus = load_corpus(["plays"])
    last = len(seen.ids) - 1
    line_end = max(t for t, piece in enumerate(seen.pieces) if "\n" in piece)

    yield "tokens", tokens(seen)
    words, characters = WordTokenizer().train(corpus.train), CharTokenizer().train(corpus.train)
    three = {"bpe": tokenizer, "word": words, "char": characters}
    yield "showdown", showdown(three, "My dear umbrella, whither art thou gone?")
    scores = play_scores(model, tokenizer, corpus.val)
    yield "heads-named", heads(scores)
    for layer, head, what, score in scores.found():
        print(f"head {layer}.{head}: {what}, {score:.0%}")
        query = last if "confessed" in what else line_end
        yield f"head-{layer}-{head}", attention_arcs(seen, layer, head, query)
    layer, head, *_ = max(scores.found(), key=lambda found: found[-1])
    yield "attention", attention_matrix(seen, layer, head)
    yield "heads-all", attention_heads(seen)
    yield "next", next_token(seen)
    yield "next-cut", next_token(seen, Sampling(temperature=1.5, top_k=8), position=last - 2)
    yield "lens", lens(model, seen, 10)
    yield "stream", stream(seen)
    yield "surprise", surprise(seen)
    rival = tokenizer.encode(" eaten")[0]
    yield "attribution", attribution(model, seen, against=rival)
    yield "embeddings", embeddings(model, tokenizer)
    yield "positions", positions(model)
    yield "neurons", neurons(model, tokenizer, corpus.val[:20_000], model.n_layers - 1)


def of_a_run(run: Path) -> Iterator[tuple[str, Any]]:
    """Draw each view of training."""
    history = History.read(run)
    yield "loss", loss_curves([history])
    layers = read_layers(run / "layers.jsonl")
    yield "gradients", gradient_norms(layers)
    yield "updates", update_ratios(layers)
    kept = list(stages(run))
    yield "head-learns", head_over_time(kept, TEXT, kept[0].tokenizer, 2, 2)
    yield "embeddings-learn", embeddings_over_time(kept, kept[0].tokenizer)
    first = kept[0]
    ids = np.array(first.tokenizer.encode(load_corpus(["plays"]).val))
    x, y = get_batch(ids, 24, 4, np.random.default_rng(0))
    rate = history.settings.learning_rate
    step = slow_step(first.model, x, y, AdamW(first.model), rate, history.settings.clip)
    yield "slow-step", slow_step_figure(step, first.tokenizer)


def explorer(browser: Browser, run: Path, folder: Path) -> None:
    """Photograph the live page: wide in light and in dark, narrow, and two side by side."""
    server = subprocess.Popen(
        [sys.executable, "-m", "minigpt", "explore", str(run), "--no-browser"],
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        address = server.stdout.readline().strip()  # type: ignore[union-attr]
        lesson(browser, address, folder)
        at = f"#text={quote(SHORT)}&layer=2&head=2"
        off = f"{at}&compare=1&text2={quote(SHORT)}&layer2=2&head2=2&off2=2.2"
        for name, state, width, scheme in (
            ("explore", at, 1280, "light"),
            ("explore-dark", at, 1280, "dark"),
            ("explore-narrow", at, 375, "light"),
            ("explore-compare", off, 1280, "light"),
        ):
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page.goto(address + state)
            page.locator(".head").first.wait_for()
            page.wait_for_load_state("networkidle")
            page.wait_for_timeout(300)  # until the bars stop moving
            write(folder / f"{name}.png", page.screenshot())
            page.close()
    finally:
        server.terminate()
        server.wait(20)


def lesson(browser: Browser, address: str, folder: Path) -> None:
    """Photograph a model that has learned on the page for a while, and a step in slow motion."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.goto(f"{address}#tab=learn")
    page.get_by_role("button", name="Start training", exact=True).click()
    page.wait_for_timeout(15_000)
    page.get_by_role("button", name="Pause", exact=True).click()
    page.wait_for_timeout(2000)  # until the last pictures are drawn
    write(folder / "learn.png", page.screenshot(full_page=True))
    page.close()


def explanation(browser: Browser, run: Path, folder: Path) -> None:
    """Photograph the beginning of the page that explains a model, and one of its steps."""
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "page.html"
        command = [sys.executable, "-m", "minigpt", "explain", str(run), TEXT, "-o", str(path)]
        subprocess.run(command, check=True)
        page = browser.new_page(viewport={"width": 1000, "height": 900})
        page.goto(path.as_uri())
        page.wait_for_load_state("networkidle")
        write(folder / "explain.png", page.screenshot())
        page.locator("#softmax").scroll_into_view_if_needed()
        page.wait_for_timeout(500)
        write(folder / "explain-step.png", page.screenshot())
        page.close()


def write(path: Path, picture: bytes, width: int | None = None) -> None:
    """Write a PNG with few colours, which takes a quarter of the bytes."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    if width is not None:
        image = image.resize((width, round(image.height * width / image.width)))
    few = image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, 2, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
