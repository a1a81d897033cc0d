"""The live page in a real browser: Debian's Chromium, driven by Playwright, checked by axe-core."""

import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright
from schemathesis_run import run_schemathesis

from minigpt import BPETokenizer, miniGPT
from minigpt.folders.pretrained import save_pretrained
from minigpt.text.corpus import plays

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page") / "small"
    text = plays(30_000).text
    tokenizer = BPETokenizer().train(text, 400)
    for place, seed in ((folder, 0), (folder / "checkpoint-20", 1)):
        model = miniGPT(tokenizer.vocab_size, 64, 32, n_heads=4, n_layers=3, seed=seed)
        rng = np.random.default_rng(seed)
        for param in model.params().values():
            param += rng.normal(0, 0.1, param.shape)
        save_pretrained(model, place, tokenizer)
    server = subprocess.Popen(
        [sys.executable, "-m", "minigpt", "explore", str(folder), "--no-browser"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    yield server.stdout.readline().strip()
    server.send_signal(signal.SIGINT)
    _, said = server.communicate(timeout=20)
    assert server.returncode == 0
    assert "Traceback" not in said


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        path = shutil.which("chromium")
        yield playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])


@pytest.fixture
def new_page(browser, address):
    """Open pages that may say nothing on the console, and ask nobody but the server."""
    heard, contexts = [], []

    def open_page(width=1280, hash_="", **options):
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, **options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda request: check_host(request.url))
        page.goto(address + hash_)
        ready(page)
        return page

    def check_host(url):
        if not url.startswith((address.split("?")[0], "data:", "blob:")):
            heard.append(f"asked {url}")

    yield open_page
    for context in contexts:
        context.close()
    assert heard == []


def ready(page):
    expect(page.locator(".head").first).to_be_visible()
    page.wait_for_load_state("networkidle")


def text_of(page):
    return page.get_by_role("textbox", name="Text").first


def tokens(page):
    return page.locator(".token").all_text_contents()


def test_pictures_follow_the_typing(new_page):
    page = new_page()
    assert "token=" not in page.url
    text_of(page).fill("")
    expect(page.locator(".status")).to_contain_text("No text yet")
    text_of(page).press_sequentially("my dear goose")
    expect(page.locator(".strip")).to_have_text(re.compile("m.*y·dear·g.*s.*e$"))
    n = len(tokens(page))
    expect(page.locator(".status")).to_have_text(f"{n} tokens")
    expect(page.locator(".bar")).to_have_count(12)
    expect(page.locator(".head")).to_have_count(12)
    expect(page.locator(".lens tbody tr")).to_have_count(4)
    expect(page.locator(".lens thead th")).to_have_count(min(n, 12) + 1)
    page.wait_for_function("n => document.querySelector('.matrix').data[0].z.length === n", arg=n)


def test_initial_text_suits_the_model_and_no_text_is_cut(new_page):
    page = new_page()
    expect(text_of(page)).not_to_have_value("")
    assert "tavern" not in text_of(page).input_value()  # of the plays, which no run says it learned
    text_of(page).fill("my dear")
    expect(page.locator(".status")).to_contain_text("tokens")
    expect(text_of(page)).to_have_attribute("aria-invalid", "false")
    assert text_of(page).get_attribute("maxlength") is None


def test_tab_left_while_loading_draws_no_more(new_page):
    page = new_page()
    held = []
    page.route("**/api/models", lambda route: held.append(route))
    page.reload()
    page.wait_for_function("() => document.querySelector('#tabs button')")
    page.get_by_role("button", name="Learn").click()
    expect(page.get_by_role("button", name="Start training")).to_be_visible()
    held[0].continue_()
    page.wait_for_load_state("networkidle")
    expect(page.locator(".panel")).to_have_count(0)
    assert "tab=learn" in page.url


def test_head_token_and_layer_are_chosen_by_click_and_by_key(new_page):
    page = new_page()
    page.get_by_role("button", name="block 1, head 2").click()
    expect(page.locator(".head-title h3")).to_have_text("Block 1, head 2")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".head-title h3")).to_have_text("Block 2, head 3")
    expect(page.locator(".head:focus")).to_have_attribute("data-key", "2.3")
    page.locator(".token").nth(3).click()
    expect(page.locator(".token[aria-pressed=true]")).to_have_attribute("data-key", "3")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".token[aria-pressed=true]")).to_have_attribute("data-key", "2")
    expect(page.locator(".token:focus")).to_have_attribute("data-key", "2")
    piece = page.locator(".token").nth(2).inner_text()
    expect(page.locator(".after")).to_contain_text(f"after “{piece}”")
    page.locator(".lens tbody tr").nth(1).get_by_role("button").last.click()
    expect(page.locator(".head-title h3")).to_have_text("Block 1, head 3")
    assert "layer=1&head=3" in page.url


def test_sliders_act_on_the_bars(new_page):
    page = new_page()
    before = page.locator(".number").all_text_contents()
    page.get_by_role("slider", name="Top-k").fill("3")
    expect(page.locator(".after")).to_contain_text(", 3 of")
    assert page.locator(".number").all_text_contents()[3:] == ["cut"] * 9
    page.get_by_role("slider", name="Top-k").fill("0")
    page.get_by_role("slider", name="Temperature").fill("0")
    expect(page.locator(".number").first).to_have_text("100 %")
    page.get_by_role("slider", name="Temperature").fill("1")
    expect(page.locator(".number").first).to_have_text(before[0])
    page.get_by_role("slider", name="Top-p").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("output").last).to_have_text("0.99")


def test_writing_can_step_branch_go_back_and_run_on(new_page):
    page = new_page(hash_="#text=my+dear+goose,+take+it")
    at_first = tokens(page)
    best = page.locator(".bar .piece").first.inner_text()
    page.get_by_role("button", name="Step").click()
    expect(page.locator(".token")).to_have_count(len(at_first) + 1)
    assert tokens(page) == [*at_first, best]
    page.locator(".token").nth(4).click()
    expect(page.locator(".after")).to_contain_text(f"after “{at_first[4]}”")
    page.wait_for_load_state("networkidle")
    other = page.locator(".bar .piece").nth(2).inner_text()
    page.locator(".bar").nth(2).click()
    expect(page.locator(".token")).to_have_count(6)
    assert tokens(page) == [*at_first[:5], other]
    page.get_by_role("button", name="Back").click()
    expect(page.locator(".token")).to_have_count(5)
    page.get_by_role("slider", name="Temperature").fill("0")  # chance may end a text at once
    page.get_by_role("button", name="Write", exact=True).click()
    expect(page.locator(".token").nth(20)).to_be_visible()
    page.get_by_role("button", name="Back").click()  # stops it too
    expect(page.get_by_role("button", name="Write", exact=True)).to_be_visible()


def test_switching_a_head_off_changes_the_answers(new_page):
    page = new_page()
    expect(page.locator(".changes table")).to_have_count(0)
    page.get_by_role("button", name="Switch this head off").click()
    expect(page.locator(".changes tbody tr")).to_have_count(6)
    expect(page.locator(".head.off")).to_have_count(1)
    page.get_by_role("button", name="All heads on").click()
    expect(page.locator(".changes table")).to_have_count(0)


def test_two_texts_or_checkpoints_are_compared_side_by_side(new_page):
    page = new_page()
    page.get_by_role("button", name="Compare two").click()
    expect(page.locator(".panel")).to_have_count(2)
    expect(page.locator(".panel").nth(1).locator("select")).to_have_value("1")
    expect(page.locator(".bar")).to_have_count(24)
    first, second = page.locator("textarea").all()
    first.fill("my dear fox")
    expect(second).to_have_value("my dear fox")  # both read one text
    expect(page).to_have_url(re.compile("compare=same.*text2=my[+]dear[+]fox"))
    page.get_by_role("button", name="Step").first.click()
    expect(page.locator(".panel").first.locator(".token").nth(5)).to_be_visible()
    expect(second).to_have_value(re.compile("^my dear fox."))
    page.get_by_role("button", name="One text for both").click()
    second.fill("a goose")
    expect(page.locator(".panel").nth(1).locator(".after")).to_contain_text("can be drawn")
    expect(page).to_have_url(re.compile("text2=a[+]goose"))
    page.reload()
    expect(second).to_have_value("a goose")
    expect(first).to_have_value(re.compile("^my dear fox."))
    page.get_by_role("button", name="Show only one").click()
    expect(page.locator(".panel")).to_have_count(1)


def test_address_holds_the_state_of_the_page(new_page):
    page = new_page(hash_="#text=my+dear&layer=2&head=1&topK=3&off=1.2&position=1&more=5.6")
    here = page.url
    shown = [page.locator(f).all_text_contents() for f in (".token", ".number", "h3")]
    expect(text_of(page)).to_have_value(re.compile("^my dear"))
    expect(page.locator("h3")).to_have_text("Block 2, head 1")
    expect(page.locator(".head.off")).to_have_attribute("data-key", "1.2")
    page.reload()
    ready(page)
    assert page.url == here
    assert [page.locator(f).all_text_contents() for f in (".token", ".number", "h3")] == shown


def test_invalid_address_falls_back_to_defaults(new_page):
    page = new_page(hash_="#text=my&layer=99&head=77&position=50&topK=x&temperature=abc&off=9.9")
    expect(page.locator("h3")).to_have_text("Block 2, head 3")
    expect(page.locator(".bar")).to_have_count(12)


def test_wrong_token_gets_an_explanation(browser, address):
    page = browser.new_context().new_page()
    answer = page.goto(address.split("?")[0] + "?token=wrong")
    assert answer.status == 403
    expect(page.get_by_role("heading")).to_have_text("This page needs its token")


def test_huge_text_and_markup_are_shown_safely(new_page):
    page = new_page()
    text_of(page).fill("my dear goose, " * 600)
    expect(page.locator(".status")).to_contain_text("before them are dropped")
    expect(page.locator(".token")).to_have_count(64)
    text_of(page).fill("<img src=x onerror=alert(1)> 🦆 &lt;b&gt;")
    expect(page.locator(".status")).to_have_text(re.compile(r"^\d+ tokens$"))
    assert page.locator("main img").count() == 0


def test_source_links_to_its_file(new_page):
    page = new_page()
    page.get_by_text("Read the source").first.click()
    link = page.get_by_role("link", name="minigpt/text/tokenizers/base.py").first
    line = re.search(r"line (\d+)", link.inner_text())[1]
    with page.context.expect_page() as opened:
        link.click()
    expect(opened.value.locator(f"#L{line}")).to_contain_text("def encode")
    expect(opened.value.locator(f"#L{line}")).to_be_in_viewport()
    found = Axe().run(opened.value)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("width", [1280, 375])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_look_page_is_accessible_and_fits(new_page, width, scheme):
    page = new_page(width, "#text=my+dear+goose&off=0.0", color_scheme=scheme)
    page.get_by_text("The numbers as a table").click()
    for summary in page.get_by_text("Read the source").all():
        summary.click()
    expect(page.locator(".numbers table")).to_be_visible()
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    back = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    dark = sum(map(int, re.findall(r"\d+", back)[:3])) < 200
    assert dark == (scheme == "dark")
    assert page.evaluate("document.querySelector('.matrix').layout.font.color") != ""


def test_look_page_controls_are_reachable_by_tab(new_page):
    page = new_page(hash_="#text=my+dear")
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("document.activeElement.className || document.activeElement.tagName")
        )
    names = {"TEXTAREA", "SELECT", "INPUT", "SUMMARY", "bar", "head"}
    assert names <= {name.split()[0] for name in reached}
    assert any(name.startswith("token ") for name in reached)


def test_look_api_passes_schemathesis(address, tmp_path):
    other_room = "^/api/lessons"  # see test_explorer_learn_browser.py
    run_schemathesis(address, tmp_path, "--max-examples", "30", "--exclude-path-regex", other_room)
