"""The neighbour source: exact search against scikit-learn, shares by hand, files that belong together."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import LabelTree
from ipcascade.evidence import neighbours as module
from ipcascade.evidence.neighbours import NeighbourIndex, Neighbours
from ipcascade.evidence.vectors import read_vectors, write_vectors

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


def index_of(documents, size=8, seed=0):
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(documents, size)).astype(np.float16)
    truth = TREE.close(random.random((documents, 4)) < 0.3)
    return NeighbourIndex([f"d{number}" for number in range(documents)], vectors, truth)


@pytest.mark.parametrize("blocks", [(512, 65_536), (7, 11), (1, 1)])
@pytest.mark.parametrize("count", [1, 5, 60])
def test_the_search_is_exact(monkeypatch, blocks, count):
    """In blocks of any size, also such with fewer documents than neighbours are asked for."""
    monkeypatch.setattr(module, "QUERIES_AT_ONCE", blocks[0])
    monkeypatch.setattr(module, "INDEXED_AT_ONCE", blocks[1])
    index = index_of(100)
    queries = np.random.default_rng(1).normal(size=(20, 8)).astype(np.float32)
    advanced = []
    found = index.search(queries, count, CPU, advanced.append)
    oracle = NearestNeighbors(n_neighbors=count, metric="cosine", algorithm="brute").fit(index.vectors.astype(float))
    distances, positions = oracle.kneighbors(queries)
    assert np.array_equal(found.positions, positions)
    np.testing.assert_allclose(found.similarities, 1 - distances, atol=1e-5)
    assert sum(advanced) == 20


def test_all_documents_where_fewer_are_there_than_asked_for():
    found = index_of(3).search(np.ones((2, 8), dtype=np.float32), 30, CPU)
    assert found.positions.shape == (2, 3)
    assert sorted(found.positions[0]) == [0, 1, 2]


def test_a_vector_of_zeros_is_equally_near_to_all():
    found = index_of(10).search(np.zeros((1, 8), dtype=np.float32), 4, CPU)
    assert (found.similarities == 0).all()


def test_shares_by_hand():
    """Cosines .9 and .8 at temperature .1: weights e : 1, so e / (1 + e) for the labels of the first."""
    truth = np.array([[True, False, True, False], [False, True, False, True], [True, True, False, False]])
    index = NeighbourIndex(["x", "y", "z"], np.ones((3, 2), dtype=np.float16), truth)
    nearest = Neighbours(np.array([[0, 1], [2, 0]]), np.array([[0.9, 0.8], [0.5, 0.5]], dtype=np.float32))
    first = np.e / (1 + np.e)
    expected = [[first, 1 - first, first, 1 - first], [1, 0.5, 0.5, 0]]
    np.testing.assert_allclose(index.shares(nearest, 0.1), expected, rtol=1e-6)
    assert index.named(nearest, 1) == [["x"], ["z"]]
    assert index.named(nearest, 5) == [["x", "y"], ["z", "x"]]


def test_scores_are_log_odds_of_shares_with_a_prior():
    truth = np.array([[True, False, False, False], [False, False, False, True], [False, False, False, False]])
    index = NeighbourIndex(["x", "y", "z"], np.ones((3, 2), dtype=np.float16), truth)
    nearest = Neighbours(np.array([[0]]), np.array([[1.0]], dtype=np.float32))
    weight = module.PRIOR_WEIGHT
    share = np.array([1, 0, 0, 0])
    expected = (share + weight * np.array([1 / 3, 0, 0, 1 / 3])) / (1 + weight)
    found = index.scores(nearest, 0.05)
    np.testing.assert_allclose(1 / (1 + np.exp(-found[0].astype(float))), expected, atol=1e-6)
    assert np.isfinite(found).all()


def test_small_cosines_at_low_temperatures_do_not_overflow():
    index = index_of(5)
    nearest = Neighbours(np.arange(5)[None], np.linspace(1, -1, 5, dtype=np.float32)[None])
    shares = index.shares(nearest, 1e-4)
    np.testing.assert_allclose(shares[0], index.truth[0])


def test_what_is_written_is_what_is_read(tmp_path):
    index = index_of(20)
    index.write(tmp_path / "neighbours", TREE)
    again = NeighbourIndex.read(tmp_path / "neighbours", TREE)
    assert again.ids == index.ids
    assert np.array_equal(again.vectors, index.vectors) and np.array_equal(again.truth, index.truth)


def test_vectors_of_other_documents_are_refused(tmp_path):
    path = tmp_path / "vectors.safetensors"
    vectors = np.arange(6, dtype=np.float32).reshape(3, 2)
    write_vectors(path, ["a", "b", "c"], vectors)
    assert np.array_equal(read_vectors(path, ["a", "b", "c"]), vectors)
    for others in (["a", "c", "b"], ["a", "b"], ["a", "b", "d"]):
        with pytest.raises(UserError, match="holds the vectors of other documents"):
            read_vectors(path, others)


@pytest.mark.parametrize(
    ("tensors", "sentence"),
    [
        ({"vectors": torch.zeros(2, 2)}, "does not hold the vectors of documents"),
        ({"vectors": torch.zeros(2, 2).half()}, "does not hold the vectors of documents"),
        ({"documents": torch.zeros(2)}, "does not hold the vectors of documents"),
    ],
)
def test_other_tensors_are_refused(tmp_path, tensors, sentence):
    from ipcascade.core.tensors import save_tensors

    save_tensors(tmp_path / "v.safetensors", tensors)
    with pytest.raises(UserError, match=sentence):
        read_vectors(tmp_path / "v.safetensors", ["a", "b"])


def test_vectors_that_are_not_numbers_are_refused(tmp_path):
    write_vectors(tmp_path / "v.safetensors", ["a"], np.array([[np.nan, 1]]))
    with pytest.raises(UserError, match="not finite numbers"):
        read_vectors(tmp_path / "v.safetensors", ["a"])
