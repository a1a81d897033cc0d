"""A small model, and a server that shows it, shared by the tests of a file."""

import pytest
from live_page import make_folder, serving

from minigpt.web.look.models import Models


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="module")
def models(folder):
    return Models([str(folder)])


@pytest.fixture(scope="module")
def looker(models):
    return models[0]


@pytest.fixture(scope="module")
def client(models):
    with serving(models) as client:
        yield client
