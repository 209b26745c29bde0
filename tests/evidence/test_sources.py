"""What the sources say of documents: each as its own part computes it, and only those asked for."""

import numpy as np
import pytest
import torch
from scipy.special import logit

from ipcascade.core.label_tree import LabelTree
from ipcascade.evidence.linear import LinearModel, fit_linear
from ipcascade.evidence.neighbours import NeighbourIndex
from ipcascade.evidence.options import LinearOptions, NeighbourOptions
from ipcascade.evidence.sources import Evidence, NetworkOutput

CPU = torch.device("cpu")
TREE = LabelTree.from_json(
    {
        "levels": ["top", "low"],
        "labels": [
            {"code": code, "parent": parent, "level": level, "title": code}
            for code, parent, level in [("a", None, "top"), ("b", None, "top"), ("a1", "a", "low"), ("b1", "b", "low")]
        ],
    }
)
# Not the defaults, so that these cannot stand in for them.
OPTIONS = NeighbourOptions(count=4, temperature=0.3)
TEXTS = ["one two three", "two three four", "three four five five"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A linear model and a neighbour index on disk."""
    folder = tmp_path_factory.mktemp("sources")
    random = np.random.default_rng(0)
    truth = TREE.close(random.random((40, 4)) < 0.4)
    words = ["one", "two", "three", "four", "five"]
    texts = [" ".join(random.choice(words, size=4)) for _ in range(40)]
    fit_linear(texts, truth, LinearOptions(minimum_documents=1), seed=0).write(folder / "linear")
    index = NeighbourIndex([f"d{row}" for row in range(40)], random.normal(size=(40, 8)).astype(np.float16), truth)
    index.write(folder / "neighbours", TREE)
    return folder / "linear", folder / "neighbours"


@pytest.fixture(scope="module")
def network():
    random = np.random.default_rng(1)
    return NetworkOutput(random.random((3, 4), dtype=np.float32), random.normal(size=(3, 8)).astype(np.float32))


def read(sources, folders, linear=True, neighbours=True):
    return Evidence.read(sources, OPTIONS, TREE, folders[0] if linear else None, folders[1] if neighbours else None)


def test_each_source_says_what_it_says_alone(folders, network):
    evidence = read(["network", "linear", "neighbours"], folders)
    scores, nearest = evidence.scores(network, TEXTS, CPU)
    assert list(scores) == ["network", "linear", "neighbours"]
    np.testing.assert_allclose(scores["network"], logit(network.probabilities.astype(float)), rtol=1e-4)
    assert np.array_equal(scores["linear"], LinearModel.read(folders[0], 4).decisions(TEXTS))
    index = NeighbourIndex.read(folders[1], TREE)
    expected = index.search(network.vectors, 4, CPU)
    assert np.array_equal(nearest.positions, expected.positions)
    assert nearest.positions.shape == (3, 4)
    assert np.array_equal(scores["neighbours"], index.scores(expected, 0.3))


@pytest.mark.parametrize("sources", [["network"], ["linear"], ["neighbours"], ["linear", "neighbours"]])
def test_only_those_asked_for_speak(folders, network, sources):
    """Whatever folders there are, and though neighbours are found by the network's vectors."""
    scores, nearest = read(sources, folders).scores(network, TEXTS, CPU)
    assert list(scores) == sources
    assert (nearest is None) == ("neighbours" not in sources)


def test_the_linear_model_needs_no_network(folders):
    scores, nearest = read(["linear"], folders, neighbours=False).scores(None, TEXTS, CPU)
    assert list(scores) == ["linear"]
    assert nearest is None


def test_without_its_folder_a_source_is_silent(folders, network):
    evidence = read(["network", "linear", "neighbours"], folders, linear=False, neighbours=False)
    assert list(evidence.scores(network, TEXTS, CPU)[0]) == ["network"]


def test_progress_counts_the_documents_of_the_search(folders, network):
    seen = []
    read(["neighbours"], folders).scores(network, TEXTS, CPU, seen.append)
    assert seen == [3]
