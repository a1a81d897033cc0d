"""The benchmarks as a process, with tiny sizes: every table is there, with every figure in it."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.page import fill

ROOT = Path(__file__).resolve().parents[2]
TABLES = {
    "training": 4,
    "profile": 1,
    "memory": 1,
    "scaling": 1,
    "processes": 1,
    "generation": 4,
    "tokenizers": 4,
    "startup": 1,
}


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmarks")
    command = [sys.executable, "-m", "benchmarks", "all", "--quick", "--out", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    (folder / "stdout.txt").write_text(done.stdout, encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", TABLES)
def test_benchmark_tables_have_their_figures(out, name):
    saved = json.loads((out / f"{name}.json").read_text(encoding="utf-8"))
    assert saved["quick"] is True
    assert saved["machine"]["threads"] >= 1
    assert {"numpy", "torch"} <= saved["machine"]["versions"].keys()
    assert len(saved["tables"]) == TABLES[name]
    printed = (out / "stdout.txt").read_text(encoding="utf-8")
    for table in saved["tables"]:
        assert table["title"] in printed
        assert table["rows"]
        for row in table["rows"]:
            assert "does not work" not in row["note"], row
            figures = [row["ours"], row["peer"] or 1, *(row["ratio"] or {}).values()]
            assert all(math.isfinite(figure) and figure > 0 for figure in figures), row


def test_benchmark_verdict_follows_from_the_figures(out):
    tables = json.loads((out / "startup.json").read_text(encoding="utf-8"))["tables"]
    rows = {row["what"]: row for row in tables[0]["rows"]}
    start = rows["minigpt --help"]
    assert start["reached"] is (start["ours"] <= start["target"])
    imported = rows["import minigpt, numpy"]
    assert imported["reached"] is (imported["ratio"]["median"] <= imported["target"])


def test_benchmark_page_receives_tables_and_keeps_its_prose(out, tmp_path):
    page = tmp_path / "performance.md"
    page.write_text(
        "Why.\n<!-- startup -->\nold\n<!-- end -->\n"
        "More.\n<!-- nothing -->\nas it was\n<!-- end -->\n"
    )
    fill(page, out)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("Why.\n<!-- startup -->\n")
    assert "old" not in text
    assert "\n| minigpt --help | " in text
    assert text.endswith("<!-- end -->\nMore.\n<!-- nothing -->\nas it was\n<!-- end -->\n")
