"""Projects in which nothing or everything has run."""

import pytest

from projects import Project, copy_of_project


@pytest.fixture(scope="session")
def finished(tmp_path_factory, encoder_folder) -> Project:
    """A project whose whole chain has run once. Tests that change it leave it as they found it."""
    project = copy_of_project(tmp_path_factory.mktemp("project"), encoder_folder)
    project.run("all", "baseline")
    return project


@pytest.fixture
def fresh(tmp_path, encoder_folder) -> Project:
    """A project in which nothing has run."""
    return copy_of_project(tmp_path, encoder_folder)
