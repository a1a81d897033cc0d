"""The page of `minigpt explain`: its numbers, its order, and that no text can break it."""

import base64
import hashlib
import itertools
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from tiny import tiny_model

from minigpt import CharTokenizer, trace
from minigpt.commands import explain as command
from minigpt.commands.cli import main
from minigpt.core.generation import generate
from minigpt.core.sampling import Sampling
from minigpt.inside import surprise
from minigpt.inside.pieces import visible
from minigpt.show.explain import page
from minigpt.show.explain.walk import explain
from minigpt.show.figures import style

TEXT = "my dear goose,\n take </script><b>&amp;"
STEPS = [
    *("tokens", "ids", "embedding", "positions"),
    *("norm-1", "qkv", "scores", "mask", "softmax", "gather", "heads", "projection", "residual-1"),
    *("norm-2", "up", "gelu", "down", "residual-2"),
    *("block-1", "all-heads", "found", "stream", "lens"),
    *("norm-final", "logits", "probabilities", "sampling", "writing"),
    *("loss", "gradient", "weight"),
]
EMPTY = {"meta", "wbr", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """A parsed page: its tags, tables, scripts and texts by step. All tags must be closed."""

    def __init__(self, content):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.steps, self.prose = [], [], [], {}
        self.tables, self.scripts, self.data, self.pieces = {}, [], [], {}
        self.feed(content)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        if tag not in EMPTY:
            self.open.append((tag, attrs))
        if tag == "h3":
            self.steps.append(attrs["id"])
        if tag == "table":
            self.tables.setdefault(self.steps[-1], []).append({"caption": "", "rows": []})
        if tag == "tr":
            self.table["rows"].append([])
        if tag in ("th", "td"):
            self.table["rows"][-1].append("")
        if tag == "script":
            (self.data if attrs.get("type") == "application/json" else self.scripts).append("")

    @property
    def table(self):
        return self.tables[self.steps[-1]][-1]

    def handle_endtag(self, tag):
        assert self.open, tag
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        if not self.open:
            assert not data.strip()
            return
        tag, attrs = self.open[-1]
        if tag == "title":
            self.title = data
        elif tag == "script":
            (self.data if "type" in attrs else self.scripts)[-1] += data
        elif tag in ("th", "td"):
            self.table["rows"][-1][-1] += data
        elif tag == "caption":
            self.table["caption"] += data
        elif tag == "p" and self.steps:
            self.prose.setdefault(self.steps[-1], []).append(data)
        elif attrs.get("class", "").startswith("token "):
            self.pieces.setdefault(self.steps[-1], []).append(data)

    def rows(self, step, number=0):
        """Return the rows of a table by their first cell, without the heading."""
        return {row[0]: row[1:] for row in self.tables[step][number]["rows"][1:]}


@pytest.fixture(scope="module")
def tokenizer():
    return CharTokenizer().train(TEXT)


@pytest.fixture(scope="module")
def model(tokenizer):
    return tiny_model(tokenizer.vocab_size, max_len=50, noise=0.3)


@pytest.fixture(scope="module")
def seen(model, tokenizer):
    return trace(model, TEXT, tokenizer)


@pytest.fixture(scope="module")
def content(model, tokenizer):
    return explain(model, tokenizer, TEXT)


@pytest.fixture(scope="module")
def made(content):
    return Page(content)


def shown(x, digits=2):
    return f"{round(float(x), digits) + 0.0:.{digits}f}".replace("-", "−").replace("inf", "∞")


def percent(p):
    return "<0.1%" if 0 < p < 0.0005 else f"{p:.1%}"


def first(vector):
    return [*map(shown, vector[:5]), "…"]


def test_explain_shows_every_step_in_order(made):
    assert made.steps == STEPS
    ids = [attrs["id"] for _, attrs in made.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = [attrs["href"] for tag, attrs in made.tags if tag == "a"]
    assert set(links) <= {f"#{id}" for id in ids}
    assert [link[1:] for link in links if link[1:] in STEPS] == STEPS
    assert made.title == "What comes after “my dear goose, take </script><b>&amp;”?"
    levels = [int(tag[1]) for tag, _ in made.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))


def test_explain_shows_tokens_and_vectors_of_the_trace(made, seen):
    assert made.pieces["tokens"] == [visible(piece) for piece in TEXT]
    table = made.tables["ids"][0]["rows"][1:]
    assert [int(row[2]) for row in table] == seen.ids[-8:].tolist()
    assert [int(row[1]) for row in table] == list(range(len(TEXT) - 8, len(TEXT)))
    vectors = list(made.rows("positions").values())
    expected = (seen.token_embedding[-1], seen.position_embedding[-1], seen.embedding[-1])
    assert vectors == [first(x) for x in expected]


def test_explain_shows_attention_of_the_trace(made, seen):
    block, T = seen.blocks[0], len(TEXT)
    h = int(re.search(r"follow head (\d)", "".join(made.prose["qkv"]))[1])
    assert h == block.weights[:, -1, :-1].max(axis=1).argmax()
    assert list(made.rows("qkv").values()) == [
        [*map(shown, x[h, -1])] for x in (block.q, block.k, block.v)
    ]
    for row, j in zip(made.tables["scores"][0]["rows"][1:], range(T - 8, T), strict=True):
        score = block.scores[h, -1, j]
        assert row[1:] == [str(j), shown(score * 2), shown(score)]  # √D = 2
    masked = [row[1:] for row in made.tables["mask"][0]["rows"][1:]]
    assert masked == [[*map(shown, row)] for row in block.scores[h, -6:, -6:]]
    assert masked[0][1:] == ["−∞"] * 5

    shares = made.tables["softmax"][0]["rows"][1:]
    order = np.argsort(-block.weights[h, -1], kind="stable")
    for row, j in zip(shares[:8], order, strict=False):
        assert (int(row[1]), row[4]) == (j, percent(block.weights[h, -1, j]))
    assert shares[-1][4] == "100.0%"
    powers = [float(row[3]) for row in shares]
    assert sum(powers[:-1]) == pytest.approx(powers[-1], abs=0.006)
    assert made.rows("gather")["sum o"] == [*map(shown, block.heads[h, -1])]
    written = made.rows("projection")
    assert written["head 1"] == first(block.head_writes[1, -1])
    assert written["sum"] == first(block.attention[-1])
    assert made.rows("residual-1")["sum h"][1:] == first(block.middle[-1])


def test_explain_shows_norms_neurons_and_stream_of_the_trace(made, seen):
    block, final = seen.blocks[0], seen.blocks[-1].output[-1]
    for step, before, after in (
        ("norm-1", block.input[-1], block.norm_1[-1]),
        ("norm-2", block.middle[-1], block.norm_2[-1]),
        ("norm-final", final, seen.final_norm[-1]),
    ):
        rows = list(made.rows(step).values())
        assert rows[0] == [shown(before.mean()), shown(before.std()), *first(before)]
        assert rows[1][:2] == ["0.00", "1.00"]
        assert rows[2][2:] == first(after)
    for name, (up, out) in made.rows("gelu").items():
        i = int(name.split()[1])
        assert up == shown(block.up[-1, i])
        assert out == shown(block.neurons[-1, i], 3)
    assert made.rows("residual-2")["sum y"] == [
        shown(np.linalg.norm(block.output[-1])),
        *first(block.output[-1]),
    ]
    lengths = [row[1] for row in made.rows("stream").values()]
    assert lengths == [shown(np.linalg.norm(x)) for x in seen.stream[:, -1]]


def test_explain_shows_the_answer_of_the_trace(made, model, seen):
    likeliest = made.tables["probabilities"][0]["rows"][1:9]
    for row, (i, _, p) in zip(likeliest, seen.top(8), strict=True):
        assert row[1:3] == [str(i), shown(seen.logits[-1, i])]
        assert row[4] == percent(p)
    drawn = Sampling(top_k=3).probabilities(seen.logits[-1:])[0]
    column = made.tables["sampling"][0]["rows"][0].index("top-k 3")
    for row, (i, _, _) in zip(made.tables["sampling"][0]["rows"][1:], seen.top(8), strict=True):
        assert row[column] == (percent(drawn[i]) if drawn[i] else "–")
    written = generate(model, seen.ids[None], 12, temperature=0.0)[0][-12:]
    assert made.pieces["writing"] == [visible(seen.vocabulary[i]) for i in written]
    parts = made.rows("logits")
    assert parts["the logit"] == [shown(seen.logits[-1].max())]
    total = sum(float(p.replace("−", "-")) for name, (p,) in parts.items() if name != "the logit")
    assert total == pytest.approx(float(seen.logits[-1].max()), abs=0.06)


def test_explain_computes_the_loss_of_the_actual_next_token(made, model, seen):
    nats = surprise(seen)
    rows = made.tables["loss"][0]["rows"][1:]
    assert [row[3] for row in rows] == [shown(x) for x in nats[-8:]]
    assert f"the loss is {shown(nats.mean())};" in " ".join(made.prose["loss"])
    at = int(nats.argmax())  # the largest surprise
    p = seen.probabilities(at)
    right = [row for row in made.tables["gradient"][0]["rows"][1:] if row[2] == "yes"]
    assert [row[3] for row in right] == [shown(p[seen.ids[at + 1]] - 1, 3)]
    # A step against the gradient must raise the logit of the right token.
    c, i = map(int, re.search(r"W\[(\d+), (\d+)\]", made.tables["weight"][0]["caption"]).groups())
    new = float(made.tables["weight"][0]["rows"][-1][1].replace("−", "-"))
    changed = seen.final_norm[at] @ model.head.weight
    assert np.allclose(changed, seen.logits[at])
    changed[i] += seen.final_norm[at, c] * (new - model.head.weight[c, i])
    assert changed[i] > seen.logits[at, i]
    assert i == seen.ids[at + 1]


class Tags(CharTokenizer):
    """A tokenizer whose tokens are whole HTML tags."""

    def _split(self, text):
        return re.findall(r"</script><b>|<!--|&lt;|\]\]>|.", text)


def test_explain_escapes_tokens_that_look_like_tags():
    text = "</script><b> & &lt; <!-- ]]> ' \" \u2028 </script><b>"
    tokenizer = Tags().train(text)
    model = tiny_model(tokenizer.vocab_size, max_len=20, noise=0.3)
    content = explain(model, tokenizer, text)
    made = Page(content)
    assert made.steps == STEPS
    assert made.pieces["tokens"][0] == made.pieces["tokens"][-1] == "</script><b>"
    assert made.tables["ids"][0]["rows"][-1][0] == "“</script><b>”"
    assert "</script><b>" not in content
    assert len(made.scripts) == 2
    in_figures = ""
    for data in made.data:
        figure = json.dumps(json.loads(data), ensure_ascii=False)
        assert "<b>" not in figure  # Plotly would read it as a tag
        in_figures += figure
    assert "&lt;/script&gt;&lt;b&gt;" in in_figures


def test_explain_escapes_script_ends_in_figures():
    figure = style.figure("</script>").add_bar(name="</script><!--", x=["</script>"], y=[1])
    picture = page.Picture(figure, "", page.Table("", [], []))
    assert "<" not in picture.data
    assert json.loads(picture.data)["data"][0]["name"] == "</script><!--"


def test_explain_page_needs_no_network_and_runs_only_its_own_scripts(content, made):
    outside = [
        (tag, name, value)
        for tag, attrs in made.tags
        for name, value in attrs.items()
        if name in ("src", "srcset", "action", "data", "poster") or (value or "").startswith("http")
    ]
    assert outside == []
    assert not any(tag in ("link", "iframe", "img", "object", "base") for tag, _ in made.tags)
    style = content[content.index("<style>") : content.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert not any(name.startswith("on") for _, attrs in made.tags for name in attrs)
    (policy,) = [attrs["content"] for _, attrs in made.tags if "http-equiv" in attrs]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    for script in made.scripts:
        digest = hashlib.sha256(script.encode()).digest()
        assert f"'sha256-{base64.b64encode(digest).decode()}'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]


def test_explain_page_is_accessible(made):
    html = dict(made.tags)["html"]
    assert html == {"lang": "en"}
    assert all(table["caption"] for tables in made.tables.values() for table in tables)
    assert all(attrs["scope"] in ("col", "row") for tag, attrs in made.tags if tag == "th")
    figures = sum(tag == "figure" for tag, _ in made.tags)
    assert figures == len(made.data) == sum(tag == "figcaption" for tag, _ in made.tags)
    assert figures == sum(attrs.get("class") == "plot" for _, attrs in made.tags)


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("m", {}),
        ("my", {"n_heads": 1, "n_layers": 1, "d_ff": 3}),
        (TEXT, {"bias": False, "activation": "relu", "tie_weights": True}),
        (TEXT * 9, {"n_layers": 7, "n_heads": 12, "max_len": 64}),
        ("my", {"max_len": 2}),
        ("m", {"max_len": 1}),
    ],
)
def test_explain_works_for_all_kinds_of_models_and_texts(tokenizer, text, changes):
    model = tiny_model(tokenizer.vocab_size, noise=0.3, **{"max_len": 50, **changes})
    content = explain(model, tokenizer, text)
    made = Page(content)
    dropped = len(text) - model.max_len
    assert (f"{dropped} tokens before these were left out" in content) == (dropped > 0)
    assert ("ReLU" in content) == (model.activation == "relu")
    blocks = [int(step[6:]) for step in made.steps if step.startswith("block-")]
    n = model.n_layers
    assert blocks == (list(range(1, n)) if n < 6 else [1, 2, 3, n - 1])
    assert "loss" in made.steps
    assert len(made.pieces["writing"]) == 12
    assert ("weight" in made.steps) == (len(text) > 1)
    assert ("found" in made.steps) == (model.max_len > 3)
    assert ("last 40 of 64 tokens are drawn" in content) == (model.max_len == 64)


def test_explain_names_a_previous_token_head(tokenizer):
    model = tiny_model(tokenizer.vocab_size, max_len=24, d_model=48, n_heads=1, n_layers=1)
    for param in model.params().values():
        param[...] = 0
    block = model.blocks[0]
    block.norm_1.scale[...] = model.final_norm.scale[...] = 1
    model.position_embedding.weight[:, :24] = 9 * np.eye(24)
    weight = block.attention.qkv.weight
    weight[1:24, 0:23] = 9 * np.eye(23)  # the query of position t is like …
    weight[:24, 48:72] = 9 * np.eye(24)  # … the key of position t − 1
    made = Page(explain(model, tokenizer, "my dear"))
    assert made.tables["found"][0]["rows"][1][:2] == ["block 0, head 0", "previous token"]
    assert "Head 0 of block 0 looks at the token just before" in " ".join(made.prose["found"])
    model.params()["blocks.0.attention.qkv.weight"][...] = 0
    made = Page(explain(model, tokenizer, "my dear"))
    assert "No head of this model" in " ".join(made.prose["found"])


def test_explain_refuses_invalid_arguments(model, tokenizer):
    with pytest.raises(ValueError, match="no text to explain: give at least one"):
        explain(model, tokenizer, "")
    broken = tiny_model(tokenizer.vocab_size, n_layers=1)
    broken.head.weight[...] = np.nan
    with pytest.raises(ValueError, match="not all numbers: the weights"):
        explain(broken, tokenizer, "my")


def test_explain_command(model, tokenizer, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "model"
    model.save_pretrained(folder, tokenizer)
    monkeypatch.chdir(tmp_path)

    def minigpt(*arguments):
        code = main(["explain", *map(str, arguments)])
        return code, *capsys.readouterr()

    code, out, err = minigpt(folder, "my dear")
    assert (code, out) == (0, "explain.html\n")
    assert "MB" in err
    assert Page((tmp_path / "explain.html").read_text(encoding="utf-8")).steps == STEPS
    before = (tmp_path / "explain.html").read_bytes()
    for arguments, message in {
        (folder, ""): "there is no text to explain",
        (folder, "a", "-o", "page.pdf"): "must be an .html file, got 'page.pdf'",
        (folder, "a", "-o", "no/page.html"): "the folder no, for the page, does not exist",
        (tmp_path, "my"): "config.json",
    }.items():
        code, out, err = minigpt(*arguments)
        assert (code, out) == (1, "")
        assert message in err
        assert err.count("\n") == 1
    (folder / "tokenizer.json").unlink()
    code, _, err = minigpt(folder, "my")
    assert code == 1
    assert "tokenizer" in err
    monkeypatch.setattr(page, "find_spec", lambda name: None)
    code, _, err = minigpt(folder, "my")
    assert (code, err.count("\n")) == (1, 1)
    assert "pip install 'minigpt-numpy[plot]'" in err
    assert (tmp_path / "explain.html").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["explain.html", "model"]


def test_explain_analyses_plays_only_for_models_trained_on_them(tmp_path):
    assert command._scenes(tmp_path) == ""
    for data, any_scenes in ((["plays"], True), (["other.txt"], False)):
        record = {"step": 1, "settings": {"data": data}}
        (tmp_path / "training.json").write_text(json.dumps(record), encoding="utf-8")
        assert bool(command._scenes(tmp_path)) == any_scenes


@pytest.mark.parametrize("n", [1, 2, 5, 8, 9, 10, 20])
def test_explain_tables_count_omitted_rows(model, tokenizer, n):
    page = Page(explain(model, tokenizer, TEXT[:n]))
    (ids,) = page.tables["ids"]
    kept = n if n <= 9 else 8
    assert len(ids["rows"]) - 1 == kept
    said = "The only token" if n == 1 else f"All {n} tokens" if n <= 9 else f"The last 8 of {n}"
    assert ids["caption"].startswith(said)
    cells = [row[0] for tables in page.tables.values() for t in tables for row in t["rows"]]
    for cell in cells:
        if cell.endswith(" others"):
            assert int(cell.removesuffix(" others")) > 1


def test_explain_never_shows_a_probability_of_100_percent(tokenizer):
    sure = tiny_model(tokenizer.vocab_size, max_len=50, noise=40)
    content = explain(sure, tokenizer, "my dear")
    assert "and is &gt;99.9% sure" in content
    assert Page(content).rows("softmax")["sum"][-1] == "100.0%"
