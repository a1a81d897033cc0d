"""Numbers in messages."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.show.display import against_floor
from minigpt.show.explain.page_words import last_of, last_pieces, n_shown
from minigpt.support.wording import counted, decimal, percent


def test_count_uses_singular_and_plural():
    said = [counted(n, "step") for n in (0, 1, 2, 1234)]
    assert said == ["0 steps", "1 step", "2 steps", "1,234 steps"]


@given(st.floats(0, 1), st.integers(0, 3))
def test_percentage_is_0_or_100_only_if_exact(share, digits):
    said = percent(share, digits)
    number = float(said.strip("<>%"))
    least = 10.0**-digits
    if said[0] == "<":
        assert 0 < share * 100 < least
        assert number == pytest.approx(least)
    elif said[0] == ">":
        assert 100 - least < share * 100 < 100
        assert number == pytest.approx(100 - least)
    else:
        assert number == pytest.approx(share * 100, abs=least / 2 * 1.01)
        assert (number == 0) == (share == 0)
        assert (number == 100) == (share == 1)


def test_percentages():
    assert [percent(p) for p in (0, 0.001, 0.25, 0.999, 1)] == ["0%", "<1%", "25%", ">99%", "100%"]
    assert percent(0.99996, 1) == ">99.9%"
    assert percent(0.00002, 1) == "<0.1%"
    assert percent(float("nan")) == "nan%"


@given(st.floats(-1e300, 1e300) | st.sampled_from([float("inf"), float("nan")]), st.integers(0, 4))
def test_number_of_any_size_is_short_and_right(number, digits):
    said = decimal(number, digits)
    assert len(said) <= 12
    value = float(said.replace(",", ""))
    assert value == pytest.approx(number, rel=0.005, abs=0.5 * 10.0**-digits, nan_ok=True)
    assert (value == 0) == (number == 0)


def test_numbers():
    numbers = [0, 1234.567, 1e99, 3.21e-12, float("inf"), -0.001]
    said = ["0.00", "1,234.57", "1e+99", "3.21e-12", "inf", "-0.001"]
    assert [decimal(n) for n in numbers] == said


def test_loss_is_compared_with_its_floor():
    assert against_floor(1.5, None) == "1.500 bits/char"
    assert against_floor(1.5, 1.25) == "1.500 bits/char (floor 1.250, +20%)"
    assert against_floor(1e30, 1.25, unit="") == "1e+30 (floor 1.250, 8e+29 times it)"


@pytest.mark.parametrize("n", range(1, 40))
def test_table_never_omits_a_single_row(n):
    rows = list(last_pieces(["x"] * n))
    assert [position for position, _ in rows] == list(range(n - n_shown(n), n))
    assert n - len(rows) != 1
    numbers = [int(number) for number in re.findall(r"\d+", last_of(n, "token"))]
    assert numbers == ([] if n == 1 else [n] if len(rows) == n else [len(rows), n])
