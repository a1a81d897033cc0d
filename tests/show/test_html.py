"""Notebook displays: what they show, escaped and without scripts."""

import re
from html.parser import HTMLParser

import pytest
from tiny import tiny_model

from minigpt import BPETokenizer, CharTokenizer, trace
from minigpt.training.loop import Step

TEXT = "my <b>dear</b> goose,\n</pre><script>&amp;"


class Text(HTMLParser):
    """The texts and tags of a piece of HTML, whose tags must be closed."""

    def __init__(self, content):
        super().__init__()
        self.open, self.tags, self.texts = [], set(), []
        self.feed(content)
        self.close()
        assert self.open == []
        assert self.tags <= {"div", "span", "wbr", "table", "caption", "thead", "tbody", "tr"} | {
            *("th", "td", "code", "details", "summary", "b", "pre")
        }

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        assert {name for name, _ in attrs} <= {"style"}
        if tag != "wbr":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def tokenizer():
    return CharTokenizer().train(TEXT)


@pytest.fixture(scope="module")
def model(tokenizer):
    return tiny_model(tokenizer.vocab_size, max_len=30)


def test_html_of_a_model_shows_its_parameters(model):
    texts = Text(model._repr_html_()).texts
    assert texts[0] == str(model).split("\n")[0]
    cells = [cell for line in str(model).split("\n")[2:] for cell in re.split(r"\s{2,}", line)]
    assert [cell for cell in texts[1:] if cell] == [c for c in cells if c and "─" not in c]


def test_html_of_a_tokenizer_shows_tokens():
    assert Text(BPETokenizer()._repr_html_()).texts == ["BPETokenizer(untrained)"]
    tokenizer = CharTokenizer().train("<&>")
    assert Text(tokenizer._repr_html_()).texts[-4:] == ["<unk>", "<", "&", ">"]
    many = BPETokenizer().train("my dear goose " * 9)._repr_html_()
    assert 40 <= many.count("<span") < 60
    assert "every 6th" in many


def test_html_of_a_trace_shows_tokens_answers_and_shapes(model, tokenizer):
    seen = trace(model, TEXT, tokenizer)
    texts = Text(seen._repr_html_()).texts
    assert f"… {len(TEXT) - 30} before" in texts
    assert [t for t in texts if len(t) == 1] == [
        c.replace(" ", "·").replace("\n", "⏎") for c in TEXT[-30:]
    ]
    _, piece, p = next(seen.top(1))
    at = texts.index(f"{p:.1%}")
    assert piece.strip() in texts[at - 1]
    assert texts[texts.index("blocks[i].weights") + 1] == "(3, 30, 30)"
    assert texts[texts.index("logits") + 1] == str(seen.logits.shape)


def test_html_of_a_step_is_one_line():
    step = Step(7, 1.23456, 0.5, 1e-3, 2345.6)
    bare = "step 7 · training 1.2346 nats per token · 2,346 tokens/s"
    assert "".join(Text(step._repr_html_()).texts) == bare
    whole = Step(7, 1.23456, 0.5, 1e-3, 2345.6, 1.5, 0.75, TEXT, None, 0.625)._repr_html_()
    assert Text(whole).texts[-1] == TEXT
    assert "training 1.2346, validation 1.5000 nats per token" in whole
    assert "training 0.625, validation 0.750 bits per character" in whole
    assert "unknown" not in whole
    spelled = Step(7, 1.2, 0.5, 1e-3, 2.0, 1.5, 0.75, None, 0.25, 0.625)._repr_html_()
    assert "0.250 of it to spell unknown words" in spelled
