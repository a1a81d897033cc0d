"""Results that are no arrays: texts, lists and dicts, True and False, and answers."""

import re

import pupil
import pytest

from minigpt.course.lesson_folder import find, lessons
from minigpt.course.marker import mark
from minigpt.course.plain_text import first_difference

ENCODE = "return [ids.get(piece, ids[UNKNOWN]) for piece in words(text)]"
PAIRS = "return dict(pairs)"
LEARN = "return merges"
RIGHT = "return bool(off <= allowed)"
FOUND = "return [\n        name\n"


@pytest.fixture
def said(tmp_path):
    def said(which, old, new):
        number = int(which[0])
        source = lessons()[number].solution
        assert source.count(old) == 1
        pupil.Pupil(tmp_path).write(number, source.replace(old, new))
        [(lesson, exercise)] = find(which, lessons())
        verdict = mark(tmp_path, lesson, exercise)
        return verdict.right, " ".join(str(verdict).split())

    return said


@pytest.mark.parametrize(("which", "old", "new"), [
    ("2.3", ENCODE, ENCODE.replace("[ids.get", "tuple(ids.get").replace("(text)]", "(text))")),
    ("2.3", ENCODE, "import numpy as np; " + ENCODE.replace("[ids.get", "[np.int64(ids.get")
     .replace("UNKNOWN])", "UNKNOWN]))")),
    ("2.4", PAIRS, "return pairs"),
    ("2.4", PAIRS, "from collections import defaultdict; return defaultdict(int, pairs)"),
    ("2.4", PAIRS, "from numpy import int64\n"
     "    return {(*map(int64, pair),): n for pair, n in pairs.items()}"),
    ("2.6", LEARN, "return [list(pair) for pair in merges]"),
    ("2.6", LEARN, "import numpy as np; return [np.array(pair) for pair in merges]"),
    ("0.3", RIGHT, "return off <= allowed"),
])  # fmt: skip
def test_same_result_of_another_type_is_right(said, which, old, new):
    right, text = said(which, old, new)
    assert right, text


@pytest.mark.parametrize(("which", "old", "new", "expected"), [
    ("2.3", ENCODE, "return text", "encoded must be a list, but is of the type str"),
    ("2.3", ENCODE, "import numpy as np; return np.array([1])", "but is of the type ndarray"),
    ("2.3", ENCODE, "return (1 for _ in words(text))", "encoded must not be of the type generator"),
    ("2.3", ENCODE, "return [object()]", r"encoded\[0\] is <of the type object>, expected 2"),
    ("2.3", ENCODE, "return [1]", r"encoded\[0\] is 1, expected 2"),
    ("2.3", ENCODE, "import numpy as np; return [np.zeros(2)]", r"encoded\[0\] is array"),
    ("2.4", PAIRS, "return list(pairs)", "pairs must be a dict, but is of the type list"),
    ("2.4", PAIRS, "return {}", r"pairs has no entry for \(101, 97\); expected 3"),
    ("2.4", PAIRS, "return {**pairs, 7: 1}", r"pairs\[7\] should not be there"),
    ("2.4", PAIRS, "return {**pairs, (101, 97): 4}", r"pairs\[\(101, 97\)\] is 4, expected 3"),
    ("2.4", PAIRS, "word_counts.clear(); return dict(pairs)",
     "your code changed its input word_counts. Make a new one instead"),
    ("2.5", "return tuple(joined)", "return joined", "expected kind = 'tuple' .*cannot be a key"),
    ("2.6", LEARN, "return merges[:-1]", "merges has 2 entries, expected 3"),
    ("0.3", RIGHT, "return 'yes'", "right must be a bool, but is of the type str"),
    ("0.4", FOUND, "return ['B', 'F'] or [\n        name\n", "you found 2 of the 3. Look at C"),
    ("0.4", FOUND, "return ['B', 'D'] or [\n        name\n", "the gradient of D is right"),
    ("0.4", FOUND, "return ['b'] or [\n        name\n", "'b' is not one of the names A to F"),
    ("0.4", FOUND, "return 3 or [\n        name\n", "wrong must be a list of names"),
])  # fmt: skip
def test_wrong_result_gets_a_sentence(said, which, old, new, expected):
    right, text = said(which, old, new)
    assert not right
    assert re.search(expected, text), text


@pytest.mark.parametrize(("got", "expected", "sentence"), [
    ("abc", "abd", "x[2] is 'c', expected 'd'."),
    ("ab", "abc", "x has 2 characters, expected 3."),
    ([1, (2, 3)], [1, [2, 4]], "x[1] is (2, 3), expected [2, 4]."),
    ({1: (2, 3), 4: 5}, {1: [2, 3]}, "x[4] should not be there."),
])  # fmt: skip
def test_first_difference_is_named(got, expected, sentence):
    assert first_difference("x", got, expected) == sentence
