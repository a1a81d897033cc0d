"""The numbers of an example on a page are those that our solution computes."""

import re

import numpy as np
import pytest

from minigpt.course.lesson_folder import find, lessons

SHOWN = {
    "0.1": "dx", "0.5": "da db", "0.6": "dx", "0.7": "dx db",
    "1.1": "y", "1.2": "dx", "1.3": "L", "1.4": "dlogits", "1.5": "counts", "1.6": "L",
    "2.3": "encoded", "2.5": "joined", "2.6": "merges", "2.7": "ids",
    "3.1": "X", "3.2": "y", "3.3": "d_weight", "3.5": "y d_weight",
    "4.1": "y", "4.2": "dx d_weight d_bias", "4.4": "weight", "4.5": "y", "4.6": "dx",
    "4.7": "y dx d_w_down",
    "6.1": "weights", "6.3": "weights", "6.4": "parts", "6.5": "joined", "6.7": "without with_root",
    "7.1": "dv", "7.2": "dA", "7.3": "dS", "7.4": "dq dk",
}  # fmt: skip


@pytest.mark.parametrize(("which", "outputs"), SHOWN.items())
def test_numbers_of_the_example_are_on_the_page(which, outputs):
    [(lesson, exercise)] = find(which, lessons())
    name, inputs = next(exercise.cases(0))
    assert name == "the example of the page"
    sections = re.split(r"^## ", lesson.page, flags=re.MULTILINE)
    heading = re.compile(rf"{re.escape(exercise.place)}(\n|\. )")
    [section] = [each for each in sections if heading.match(each)]
    on_page = {round(float(n), 4) for n in re.findall(r"\d+\.\d+|\d+", section)}
    results = exercise.run(lesson.module(), inputs)
    for output in outputs.split():
        computed = {round(abs(float(n)), 4) for n in np.ravel(results[output])}
        assert computed <= on_page, output
