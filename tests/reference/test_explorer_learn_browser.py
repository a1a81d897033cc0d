"""The tab Learn in a real browser: train for ten seconds, pause, step, go back, look closely."""

import re
import shutil
import signal
import subprocess
import sys

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright
from schemathesis_run import run_schemathesis

pytestmark = pytest.mark.filterwarnings("default")

# Trains a small run until it is told to stop, so that its page has something to follow.
TRAINED = """
import sys, time
from pathlib import Path
from minigpt import Settings
from minigpt.runs import Run

changes = {"tokenizer": "char", "n_layers": 1, "n_heads": 2, "d_model": 16, "block_size": 16,
           "steps": 100_000, "batch_size": 4, "eval_every": 20, "eval_tokens": 64, "threads": 1,
           "sample_every": 20, "sample_tokens": 20, "keep": 10_000}
for step in Run.new(Settings().replace(changes), Path(sys.argv[1])).steps():
    time.sleep(0.05)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page") / "mine"
    with subprocess.Popen([sys.executable, "-c", TRAINED, str(folder)]) as process:
        while not (folder / "training.json").exists():
            assert process.poll() is None
        yield folder
        process.kill()


@pytest.fixture(scope="module")
def address(run):
    server = subprocess.Popen(
        [sys.executable, "-m", "minigpt", "explore", str(run), "--no-browser"],
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

    def open_page(hash_="#tab=learn", width=1280, **options):
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, **options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda request: check_host(request.url))
        page.goto(address + hash_)
        return page

    def check_host(url):
        if not url.startswith((address.split("?")[0], "data:", "blob:")):
            heard.append(f"asked {url}")

    yield open_page
    for context in contexts:
        for page in context.pages:
            leave = page.get_by_role("button", name="End the lesson")
            if leave.is_visible():
                leave.click()
                expect(button(page, "Start training")).to_be_visible()
        context.close()
    assert heard == []


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def start(page, **settings):
    """Begin a lesson, and wait for its first step."""
    for name, value in settings.items():
        field = page.locator(f"[name={name}]")
        (field.select_option if field.evaluate("f => f.tagName") == "SELECT" else field.fill)(value)
    button(page, "Start training").click()
    expect(fact(page, "Loss")).to_contain_text("nats")


def fact(page, name):
    return page.locator(".facts div").filter(has=page.get_by_text(name, exact=True)).locator("dd")


def pause(page):
    """Pause, and give the step."""
    button(page, "Pause").click()
    expect(page.locator(".controls .status")).to_have_text(re.compile("^Paused"))
    expect(page).to_have_url(re.compile("learn.step="))
    return int(re.search(r"learn.step=(\d+)", page.url)[1])


def at_step(page, number):
    expect(fact(page, "Step")).to_have_text(f"{number:,} of 2,000")
    expect(page).to_have_url(re.compile(rf"learn.step={number}\b"))


def drawn(page, name):
    """What Plotly has drawn."""
    return page.locator(f".{name} .plot").evaluate("p => p.data.map((d) => d.y)")


def test_learn_page_shows_ten_seconds_of_training(new_page):
    page = new_page()
    start(page)
    expect(button(page, "Pause")).to_be_visible()
    heads = page.locator(".head canvas").nth(3)
    before = heads.evaluate("c => c.toDataURL()"), drawn(page, "points")
    page.wait_for_timeout(10_000)
    losses, _, unseen = drawn(page, "curve")
    assert len(losses) > 100
    assert losses[-1] < losses[0] / 2
    assert unseen[-1] < unseen[0]
    assert heads.evaluate("c => c.toDataURL()") != before[0]
    assert drawn(page, "points") != before[1]
    expect(fact(page, "Floor")).to_contain_text("0.389")
    expect(fact(page, "Speed")).to_contain_text("tokens/s")
    expect(page.locator(".samples h3")).to_have_text(re.compile(r"After step \d+"))
    expect(page.locator(".samples > pre")).not_to_have_text("Nothing yet.")
    expect(page.locator(".layers tbody tr")).to_have_count(6)
    assert page.locator(".curve .plot").evaluate("p => p.layout.shapes[0].y0") == pytest.approx(
        0.389, abs=0.001
    )


def test_learn_page_pauses_steps_back_and_goes_to_any_step(new_page):
    page = new_page()
    start(page)
    expect(page.locator(".samples h3")).to_have_text(re.compile(r"After step \d\d"))
    number = pause(page)
    at_step(page, number)
    button(page, "Step").click()
    at_step(page, number + 1)
    loss = fact(page, "Loss").inner_text()
    button(page, "One step back").click()
    at_step(page, number)
    button(page, "Step").click()
    at_step(page, number + 1)
    assert fact(page, "Loss").inner_text() == loss  # the same step again
    place = page.get_by_role("slider", name="Step")
    place.fill("7")
    at_step(page, 7)
    expect(page.locator(".controls .status")).to_contain_text(f"back from step {number + 1}")
    expect(page.locator(".samples > pre")).to_have_text("Nothing yet.")
    place.focus()
    page.keyboard.press("ArrowLeft")
    at_step(page, 6)
    button(page, "Run").click()
    expect(button(page, "Pause")).to_be_visible()
    expect(page).not_to_have_url(re.compile("learn.step"))


def test_learn_page_shows_a_step_in_slow_motion(new_page):
    page = new_page()
    start(page, batch_size="3", block_size="16")
    button(page, "Slow motion").click()
    expect(page.locator(".slow h2")).to_have_text(re.compile(r"Step \d+ in slow motion"))
    expect(page.locator(".strip.plain").first.locator("li")).to_have_count(16)
    read, right = (strip.locator("li") for strip in page.locator(".strip.plain").all())
    assert read.all_text_contents()[1:] == right.all_text_contents()[:-1]
    page.get_by_role("combobox", name="Text of the batch").select_option("2")
    expect(page).to_have_url(re.compile("learn.slow=batch&learn.row=2"))
    stages = {
        "2 Forward": "through the layers",
        "3 Loss": "−ln of the probability",
        "4 Backward": "Now back",
        "5 Update": "On the same batch the loss goes",
    }
    for name, says in stages.items():
        button(page, name).click()
        expect(page.locator(".stage .explanation")).to_contain_text(says)
        expect(page.locator(".stage details.read")).to_have_count(1)
    expect(page.locator(".stage tbody tr")).to_have_count(20)
    number = int(page.locator(".slow h2").inner_text().split()[1])
    at_step(page, number - 1)
    loss = re.search(r"goes from (\S+)", page.locator(".stage .explanation").inner_text())[1]
    button(page, "Take this step").click()
    at_step(page, number)
    expect(fact(page, "Loss")).to_contain_text(loss)  # it was that step
    expect(page.locator(".slow h2")).to_have_text(f"Step {number + 1} in slow motion")
    button(page, "4 Backward").click()
    layers = page.locator(".stage tbody th").all_text_contents()
    assert (layers[0], layers[-1]) == ("head", "embedding")
    button(page, "Play").click()
    expect(button(page, "5 Update")).to_have_attribute("aria-pressed", "true")
    expect(button(page, "Play")).to_be_visible(timeout=10_000)


def test_address_holds_the_state_of_a_finished_lesson(new_page):
    page = new_page()
    start(page, d_model="32")
    page.get_by_role("button", name="block 1, head 2").click()
    number = pause(page)
    button(page, "Slow motion").click()
    button(page, "3 Loss").click()
    here = page.url
    assert "learn.d_model=32" in here
    assert "learn.head=1.2" in here
    said = page.locator(".stage .explanation").inner_text()
    sample = page.locator(".samples > pre").inner_text()

    def as_before():
        expect(page.locator(".stage .explanation")).to_have_text(said)
        expect(page.locator(".attention h3")).to_have_text("Block 1, head 2")
        expect(page.locator(".samples > pre")).to_have_text(sample)
        at_step(page, number)

    page.reload()
    as_before()
    assert page.url == here
    other = new_page()
    other.goto(here)
    button(other, "End the lesson").click()
    expect(page.locator(".begin .status")).to_have_text("This lesson was ended.")
    page.goto("about:blank")
    page.goto(here)
    expect(page.locator(".begin .status")).to_contain_text("There is no lesson")
    expect(page.locator("[name=d_model]")).to_have_value("32")
    button(page, "Start training").click()
    as_before()  # to the bit


def test_learn_page_accepts_an_own_text(new_page):
    page = new_page()
    page.get_by_role("combobox", name="Learn from").select_option("own")
    text = page.get_by_role("textbox", name="The text to learn from")
    said = page.locator(".begin .status.error")
    text.fill("far too short")
    button(page, "Start training").click()
    expect(said).to_contain_text("The text is too short")
    expect(text).to_have_attribute("aria-invalid", "true")
    expect(text).to_be_focused()
    text.fill("my dear goose, take this lantern. my dear fox, where is it?")
    button(page, "Start training").click()
    context = page.locator("[name=block_size]")
    expect(context).to_have_attribute("aria-invalid", "true")
    offer = said.get_by_role("button")
    number = re.fullmatch(r"Take (\d+)", offer.inner_text())[1]
    offer.click()
    expect(context).to_have_value(number)
    expect(page.locator("[aria-invalid=true]")).to_have_count(0)
    expect(said).to_have_count(0)
    start(page)
    button(page, "End the lesson").click()
    text.fill("my dear goose, take this lantern. my dear fox, where is it?\n" * 40)
    page.locator("[name=tokenizer]").select_option("char")
    start(page, block_size="16")
    expect(fact(page, "Floor")).to_have_text("not known")
    expect(page.locator(".samples > pre")).not_to_have_text("Nothing yet.")


def test_learn_page_says_that_a_text_is_too_long(new_page):
    page = new_page()
    page.get_by_role("combobox", name="Learn from").select_option("own")
    text = page.get_by_role("textbox", name="The text to learn from")
    text.fill("🦆" + "y" * 2_000_001)
    button(page, "Start training").click()
    expect(page.locator(".begin .status.error")).to_contain_text("has 2,000,002 characters")
    button(page, "Take the first 2,000,000").click()
    assert len(text.input_value()) == 2_000_000
    assert page.locator("[aria-invalid=true]").count() == 0


def test_learn_page_follows_a_run_of_another_process(new_page):
    page = new_page()
    button(page, "Follow mine").click()
    expect(page.locator(".controls h2")).to_have_text("A run of another process")
    before = int(fact(page, "Step").inner_text().split()[0].replace(",", ""))
    expect(fact(page, "Step")).not_to_have_text(re.compile(rf"^{before:,} of"))
    expect(button(page, "Run")).to_be_hidden()
    page.wait_for_function(
        "n => document.querySelector('.curve .plot').data[0].y.length > n", arg=before
    )
    checkpoint = page.get_by_role("slider", name="Step")
    page.wait_for_function("s => document.querySelector(s).max > 1", arg=".controls input")
    checkpoint.fill("1")
    expect(page.locator(".controls .status")).to_contain_text("You see the model after step 1")
    expect(page).to_have_url(re.compile("learn.lesson=run-0&learn.step=1"))
    button(page, "Slow motion").click()
    expect(page.locator(".slow h2")).to_have_text("Step 2 in slow motion")
    expect(button(page, "Take this step")).to_be_hidden()
    button(page, "Leave").click()
    expect(button(page, "Start training")).to_be_visible()


def test_learn_page_shows_what_others_do_and_look_keeps_its_state(new_page):
    page = new_page("#text=my+dear&layer=1")
    expect(page.locator(".token").first).to_be_visible()
    button(page, "Learn").click()
    start(page)
    other = new_page()
    other.get_by_role("button", name=re.compile("^Watch ")).click()
    number = pause(other)
    at_step(page, number)
    button(page, "Look").click()
    expect(page.get_by_role("textbox", name="Text")).to_have_value("my dear")
    button(page, "Learn").click()
    at_step(page, number)
    button(other, "Leave").click()
    expect(other.get_by_role("button", name=re.compile("^Watch "))).to_be_visible()


@pytest.mark.parametrize("width", [1280, 375])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_learn_page_is_accessible_and_fits(new_page, width, scheme):
    page = new_page(width=width, color_scheme=scheme)
    expect(page.locator("[name=n_layers]")).to_be_visible()

    def check():
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    check()
    start(page)
    expect(page.locator(".layers tbody tr")).to_have_count(6)
    pause(page)
    for summary in page.locator(".lesson summary").all():
        summary.click()
    expect(page.locator(".points table")).to_be_visible()
    check()
    button(page, "Slow motion").click()
    for name in ("1 Batch", "2 Forward", "3 Loss", "4 Backward", "5 Update"):
        button(page, name).click()
        for summary in page.locator(".stage summary").all():
            summary.click()
        page.wait_for_timeout(1500)  # the bars grow
        check()
    back = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", back)[:3])) < 200) == (scheme == "dark")


def test_learn_page_controls_are_reachable_by_tab(new_page):
    page = new_page()
    start(page)
    pause(page)
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.slice(0, 20)"))
    for name in ("Run", "Step", "One step back", "Slow motion", "End the lesson", "0.0"):
        assert name in reached
    button(page, "Run").focus()
    page.keyboard.press("Enter")
    expect(button(page, "Pause")).to_be_focused()


def test_learn_page_reports_a_lost_server(browser, run):
    command = [sys.executable, "-m", "minigpt", "explore", str(run), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as server:
        try:
            page = browser.new_page()
            page.goto(server.stdout.readline().strip() + "#tab=learn")
            start(page)
            server.send_signal(signal.SIGINT)
            lost = page.locator(".controls .error")
            expect(lost).to_contain_text("connection to the server is lost")
            assert server.wait(20) == 0
            page.close()
        finally:
            server.kill()


def test_lessons_api_passes_schemathesis(address, tmp_path):
    lessons = "^/api/lessons"
    run_schemathesis(address, tmp_path, "--max-examples", "15", "--include-path-regex", lessons)
