"""The long runs of `fuzz` and `odd_texts`, on files and texts that the ordinary tests do not try.

Ten minutes; more can be tried in pieces, as each file has a number: see `fuzz.fuzz`.
"""

from fuzz import fuzz
from odd_texts import try_texts


def test_fuzzing_of_a_hundred_thousand_files(tmp_path):
    found = fuzz(tmp_path, 100_000, first=2000)
    for name, counts in found.items():
        assert min(counts.values()) > 0, f"{name}: {counts}"


def test_tokenizers_on_a_million_odd_texts():
    assert try_texts(1_000_000, first=2000) > 100_000
