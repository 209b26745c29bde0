"""One cluster for all tests on Slurm."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster, unavailable

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All go to one worker, which starts the cluster once."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.xdist_group("slurm"))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if reason := unavailable():
        pytest.skip(reason)
    with Cluster(tmp_path_factory.mktemp("slurm") / "cluster") as running:
        yield running
