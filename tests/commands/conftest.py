"""What the tests of commands share: a small model of two levels, trained once, and all results from it."""

from pathlib import Path

import pytest
from chain import Results, make
from reported import make_reported


@pytest.fixture(scope="session")
def two_levels(files, tmp_path_factory, tree) -> Results:
    return make(files, tmp_path_factory.mktemp("two"), tree)


@pytest.fixture(scope="session")
def reported(two_levels, tmp_path_factory) -> Path:
    return make_reported(tmp_path_factory.mktemp("reported"), two_levels)
