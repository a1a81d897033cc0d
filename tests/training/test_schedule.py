import itertools

import numpy as np
import pytest

from minigpt import warmup_cosine


def test_schedule_is_a_warm_up_then_a_cosine():
    rates = [warmup_cosine(i, 100, 10, 1e-3, 1e-4) for i in range(101)]
    np.testing.assert_allclose(np.diff(rates[:11]), 1e-3 / 11)
    assert rates[10] == max(rates) == pytest.approx(1e-3)
    assert rates[55] == pytest.approx((1e-3 + 1e-4) / 2)
    assert rates[100] == pytest.approx(1e-4)
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))
