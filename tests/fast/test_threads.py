import threading

import numpy as np
import pytest

from minigpt.fast import threads
from minigpt.fast.threads import Threads, in_pieces, product, share_out


@pytest.fixture(autouse=True)
def share_small_work(monkeypatch):
    """Share out even the small work of these tests."""
    monkeypatch.setattr(threads, "MIN_NUMBERS_TO_SHARE", 1)
    monkeypatch.setattr(threads, "MAX_ROWS_LEFT_TO_BLAS", 1)
    monkeypatch.setattr(threads, "MULTIPLY_ADDS_PER_ELEMENT", 1)


def test_threads_run_one_part_each_and_the_caller_the_first():
    together = threading.Barrier(3, timeout=20)

    def thread_of(part: slice) -> int:
        together.wait()  # for all three threads
        return threading.get_ident()

    with Threads(3):
        found = share_out(thread_of, 3)
    assert len(set(found)) == 3
    assert found[0] == threading.get_ident()


def test_share_out_does_not_nest():
    with Threads(2) as two:
        inner = share_out(lambda part: share_out(lambda part: part, 8), 8)
        assert inner == [[slice(0, 8)]] * 2
        assert len(share_out(lambda part: part, 8)) == two.n


def test_threads_raise_an_error_after_all_parts_are_done():
    others_done = []
    failed = threading.Event()

    def work(part: slice) -> None:
        if part.start == 0:
            failed.set()
            raise KeyError("the first part")
        failed.wait(20)
        others_done.append(part.start)

    with Threads(3):
        with pytest.raises(KeyError, match="the first part"):
            share_out(work, 6)
        assert sorted(others_done) == [2, 4]
        assert share_out(lambda part: part, 2) == [slice(0, 1), slice(1, 2)]


def test_numpy_settings_hold_on_all_threads():
    with Threads(3), np.errstate(over="raise"), pytest.raises(FloatingPointError):
        share_out(lambda part: part.start and np.exp(np.float32(100)), 3)
    with Threads(3), np.errstate(over="ignore"):
        share_out(lambda part: np.exp(np.full(9, 100, np.float32)), 3)  # warnings are errors here


@pytest.mark.parametrize(("n", "k", "m"), [(1, 4, 5), (7, 3, 5), (5, 3, 7), (2, 6, 2)])
@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("order", ["C", "F"])
def test_matrix_product_is_the_same_on_threads(n, k, m, n_threads, order):
    rng = np.random.default_rng(0)
    a, b = rng.integers(-9, 9, (n, k)) * 1.0, rng.integers(-9, 9, (m, k)).T * 1.0
    out = np.full((n, m), np.nan, order=order)
    with Threads(n_threads):
        np.testing.assert_array_equal(product(a, b), a @ b)
        assert product(a, b, out) is out
    np.testing.assert_array_equal(out, a @ b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_matrix_product_keeps_the_dtype(dtype):
    with Threads(2):
        assert product(np.ones((3, 2), dtype), np.ones((2, 3), dtype)).dtype == dtype


def test_pieces_are_each_processed_once(monkeypatch):
    monkeypatch.setattr(threads, "PIECE_SIZE", 4)
    parts, y = [], np.zeros(24)

    def work(part: slice) -> None:
        parts.append(part.stop - part.start)
        y[part] += 1

    with Threads(3):
        in_pieces(work, 24)
    assert parts == [4] * 6
    assert (y == 1).all()


def test_blas_threads_are_restored_after_the_last_user(monkeypatch):
    class Library:
        threads = 8

        def limit(self, limits, user_api):
            self.before, self.threads = self.threads, limits
            return self

        def restore_original_limits(self):
            self.threads = self.before

    library = Library()
    monkeypatch.setattr(threads, "blas", lambda: library)
    first, second = threads.one_thread_of_blas(), threads.one_thread_of_blas()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert library.threads == 1
    second.__exit__(None, None, None)
    assert library.threads == 8
    with pytest.raises(KeyError), threads.one_thread_of_blas():
        raise KeyError
    assert library.threads == 8
