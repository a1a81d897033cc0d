"""The memory of the page: a budget for everything that it keeps."""

import gc
import os
import sys
import threading
import tracemalloc
from pathlib import Path
from weakref import ref

import numpy as np
import pytest
from live_page import serving

from minigpt import load_tokenizer, miniGPT, trace
from minigpt.core.sampling import Sampling
from minigpt.folders.pretrained import save_pretrained
from minigpt.web import memory
from minigpt.web.look import answers as looking
from minigpt.web.look.models import Models
from minigpt.web.problems import Problem


def test_a_trace_is_kept_for_its_other_pictures_within_the_budget(looker, monkeypatch):
    taken = []
    monkeypatch.setattr(looking, "trace", lambda *args: taken.append(1) or trace(*args))
    asked = looking.Question("my dear fox, my dear fox", (), ())
    looker.look(asked)
    looker.head(asked, 1, 1)
    looker.next(asked, None, Sampling())
    assert len(taken) == 1
    monkeypatch.setattr(memory, "BUDGET", 0)
    looker.look(looking.Question("lantern my fox", (), ()))
    assert len(looker.memory) == 0


def test_memory_of_models_without_heads_stays_within_the_budget(folder, monkeypatch):
    """Asked again and again with heads switched off, nothing else than traces is kept of a model.

    A trace that is looked at goes last.
    """
    monkeypatch.setattr(memory, "BUDGET", 2**20)
    looker, first = Models([str(folder)])[0], looking.Question("my", (), ((0, 0),))
    made = []
    without = looking.without_heads
    monkeypatch.setattr(
        looking, "without_heads", lambda *args: made.append(ref(twin := without(*args))) or twin
    )
    taken = []
    monkeypatch.setattr(looking, "trace", lambda *args: taken.append(1) or trace(*args))
    for i in range(300):
        looker.look(looking.Question("my dear", (i % 8, i % 7, i % 5), ((0, i % 3), (1, i % 2))))
        looker.look(first)
        assert looker.memory.n_bytes <= 2**20
    gc.collect()
    assert made
    assert not any(twin() for twin in made)
    assert len(looker.memory) < 200
    n = len(taken)
    looker.look(first)
    assert len(taken) == n


def test_memory_counts_the_base_arrays_of_views(looker):
    shares = []
    for text in ("my", *(5 * f"{word} my dear fox " for word in ("goose", "lantern", "tea"))):
        gc.collect()
        before = looker.memory.n_bytes
        tracemalloc.start()
        at_first = tracemalloc.get_traced_memory()[0]
        looker.next(looking.Question(text, (), ((1, 1),)), None, Sampling())
        gc.collect()  # with it, Python gives up what it keeps to make the next objects of
        taken = tracemalloc.get_traced_memory()[0] - at_first
        tracemalloc.stop()
        shares.append((looker.memory.n_bytes - before) / taken)
    assert 0.5 < max(shares) < 2  # at first, other things are made that stay
    whole = np.zeros((50, 100), np.float32)
    assert 0 < memory.bytes_of([whole[:1], whole[1:]]) - whole.nbytes < 1000


def test_the_server_gives_freed_memory_back(models, monkeypatch):
    given_back = threading.Event()
    monkeypatch.setattr(memory, "TRIM_SECONDS", 0)
    monkeypatch.setattr(memory, "trim", given_back.set)
    with serving(models):
        assert given_back.wait(10)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing need be given back")
def test_freed_memory_goes_back_to_the_system():
    """The C library keeps what threads have freed below something that is still used."""

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    memory.trim()
    before, pieces = resident(), [bytearray(b"x" * 50_000) for _ in range(2000)]  # 100 MB
    still_used = pieces[-1]
    del pieces
    memory.trim()
    assert resident() - before < 2**25
    assert still_used


def test_lessons_and_texts_being_written_count_too(monkeypatch):
    kept = memory.Memory()
    for i in range(10):
        kept.keep(i, str(i), 100)
    monkeypatch.setattr(memory, "BUDGET", 1000)
    kept.hold(450)
    assert (len(kept), kept.get(4), kept.get(5)) == (5, None, "5")
    with pytest.raises(Problem, match="memory is full") as refused:
        kept.hold(600)
    assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "1"})
    kept.release(450)
    kept.hold(5000)  # nobody else holds anything: it must do
    kept.release(5000)
    kept.others = lambda: 900
    kept.keep("new", "new", 80)
    assert (len(kept), kept.get("new")) == (1, "new")


def test_a_model_stays_in_its_file_and_is_warmed_up(folder, monkeypatch):
    taken = []
    monkeypatch.setattr(looking, "trace", lambda *args: taken.append(1) or trace(*args))
    models = Models([str(folder)])
    models.warm_up()
    assert taken == [1]
    model = models[0].model
    counted = models.describe(0)["n_parameters"]
    assert "flat" not in vars(model)  # laid flat, all of it would be copied
    assert counted == sum(param.size for param in model.params().values())


def test_warming_up_leaves_errors_to_the_first_request(folder, tmp_path):
    tokenizer = load_tokenizer(folder)
    model = miniGPT.from_pretrained(folder)
    model.params()["head.weight"][...] = np.nan
    save_pretrained(model, tmp_path / "damaged", tokenizer)
    models = Models([str(tmp_path / "damaged")])
    models.warm_up()
    with pytest.raises(Problem, match="damaged"):
        models[0].look(looking.Question("my", (), ()))
