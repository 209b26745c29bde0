"""What the tests of commands share: a small model of two levels, trained once."""

import pytest
from chain import Results, make


@pytest.fixture(scope="session")
def two_levels(files, tmp_path_factory, tree) -> Results:
    return make(files, tmp_path_factory.mktemp("two"), tree)
