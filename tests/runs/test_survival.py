from crashes import survive


def test_a_run_killed_ten_times_ends_as_if_nothing_had_been(tmp_path):
    assert survive(tmp_path, kills=10, seed=1)["kills"] >= 10
