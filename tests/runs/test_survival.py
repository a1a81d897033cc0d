from crashes import survive


def test_run_killed_ten_times_ends_as_an_undisturbed_one(tmp_path):
    assert survive(tmp_path, kills=10, seed=1)["kills"] >= 10
