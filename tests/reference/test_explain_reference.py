"""The page of `minigpt explain` in a real browser: drawn without errors, and accessible."""

import shutil
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from minigpt import BPETokenizer, miniGPT
from minigpt.show.explain.walk import explain
from minigpt.text.corpus.author import plays

TEXT = "A windy tavern, at noon. Enter Agatha.\n  Agatha: My dear </script><b>"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    scenes = plays(20_000).train
    tokenizer = BPETokenizer().train(scenes, 400)
    model = miniGPT(tokenizer.vocab_size, 128, 32, 4, 3, seed=0)
    path = tmp_path_factory.mktemp("page") / "explain.html"
    path.write_text(explain(model, tokenizer, TEXT, scenes), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture(params=[(1280, "light"), (375, "dark")])
def opened(request, browser, path: Path):
    width, scheme = request.param
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.messages, page.urls = [], []
    page.on("console", lambda message: page.messages.append(message.text))
    page.on("pageerror", lambda error: page.messages.append(str(error)))
    page.on("request", lambda request: page.urls.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-drawn]", state="attached")
    yield page
    page.close()


def test_explain_page_in_a_browser(opened, path):
    assert opened.messages == []
    assert [url for url in opened.urls if not url.startswith(("data:", "blob:"))] == [path.as_uri()]
    figures = opened.locator("figure").count()
    assert figures > 8
    assert opened.locator("figure .plot > .plot-container").count() == figures
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert opened.evaluate(wide) == 0
    for details in opened.locator("main details").all():
        details.evaluate("each => each.open = true")
    assert opened.evaluate(wide) == 0

    narrow = opened.viewport_size["width"] < 500
    assert opened.locator("#contents").evaluate("each => each.open") is not narrow
    colour = "each => getComputedStyle(each).fill"
    ground = opened.locator("body").evaluate("each => getComputedStyle(each).backgroundColor")
    dark = opened.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert (_light(ground) < 60) == dark
    for text in opened.locator(".plot .xtick text, .plot .ytick text").all()[:20]:
        assert abs(_light(text.evaluate(colour)) - _light(ground)) > 90


def _light(colour: str) -> float:
    red, green, blue = (int(part) for part in colour[4:-1].split(",")[:3])
    return 0.3 * red + 0.6 * green + 0.1 * blue


def test_explain_page_passes_axe(opened):
    found = Axe().run(opened)
    assert found.violations_count == 0, found.generate_report()


def test_explain_page_is_reachable_by_keyboard(browser, path):
    page = browser.new_page()
    page.goto(path.as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the text"
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")
    page.close()
