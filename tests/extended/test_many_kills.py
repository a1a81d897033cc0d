"""kill -9, a hundred times."""

from crashes import survive


def test_run_killed_a_hundred_times_ends_as_an_undisturbed_one(tmp_path, capsys):
    told = survive(tmp_path, kills=100, seed=2)
    with capsys.disabled():
        print(told)
    assert told["kills"] >= 100
