"""Documents: corpus, splits, labels and scores brought together by document id, and refused where they differ."""

import numpy as np
import polars as pl
import pytest

from ipcascade.core.documents import Documents, read_scores, read_tree, truth_of, write_scores
from ipcascade.core.errors import UserError
from ipcascade.core.files import write_parquet
from ipcascade.core.label_tree import LabelTree
from support import write_corpus

TREE = LabelTree.from_json(
    {
        "levels": ["field", "topic", "detail"],
        "labels": [
            {"code": code, "parent": parent, "level": level, "title": code.upper()}
            for code, parent, level in [
                ("a", None, "field"), ("b", None, "field"), ("a1", "a", "topic"), ("a2", "a", "topic"),
                ("a1x", "a1", "detail"),
            ]
        ],
    }
)  # fmt: skip


@pytest.fixture
def paths(tmp_path):
    """Corpus and splits of four documents; the splits in another order. "b" has nothing below it."""
    corpus = pl.DataFrame(
        {
            "document_id": ["1", "2", "3", "4"],
            "group_id": ["g", "g", "h", "i"],
            "field": [["a"], ["b"], ["a", "b"], ["a"]],
            "topic": [["a1"], [], ["a2"], ["a1", "a2"]],
            "detail": [["a1x"], [], [], []],
        },
        schema_overrides=dict.fromkeys(TREE.levels, pl.List(pl.String)),
    )
    write_corpus(tmp_path / "corpus.parquet", corpus, TREE)
    splits = pl.DataFrame({"document_id": ["4", "3", "2", "1"], "split": ["val", "test", "train", "val"]})
    write_parquet(tmp_path / "splits.parquet", splits)
    return tmp_path / "corpus.parquet", tmp_path / "splits.parquet"


def scores_file(folder, ids, tree=TREE):
    """Scores that name their document: a sixteenth of its number in all columns."""
    path = folder / f"scores-{len(list(folder.iterdir()))}.parquet"
    matrix = np.repeat(np.array([int(name) / 16 for name in ids], dtype=np.float32)[:, None], len(tree.labels), axis=1)
    write_scores(path, list(ids), matrix, tree)
    return path


def test_corpus_and_splits_are_joined_in_corpus_order(paths):
    documents = Documents.read(*paths)
    assert documents.ids == ["1", "2", "3", "4"]
    assert documents.split.tolist() == ["val", "train", "test", "val"]
    assert documents.groups.tolist() == ["g", "g", "h", "i"]
    assert documents.truth.astype(int).tolist() == [[1, 0, 1, 0, 1], [0, 1, 0, 0, 0], [1, 1, 0, 1, 0], [1, 0, 1, 1, 0]]
    assert documents.tree == TREE == read_tree(paths[0])
    assert documents.positions("val").tolist() == [0, 3]


def test_one_level_is_enough(tmp_path):
    tree = TREE.select(["field"])
    corpus = pl.DataFrame({"document_id": ["1", "2"], "field": [["b"], ["a", "b"]]})
    assert truth_of(corpus, tree).astype(int).tolist() == [[0, 1], [1, 1]]


def test_an_empty_split_is_one_sentence(paths):
    with pytest.raises(UserError, match="the split 'nonsense' has no documents"):
        Documents.read(*paths).positions("nonsense")


@pytest.mark.parametrize("ids", [["1", "2", "3"], ["1", "2", "3", "5"], ["1", "2", "3", "4", "5"]])
def test_splits_of_other_documents_are_refused(paths, ids):
    write_parquet(paths[1], pl.DataFrame({"document_id": ids, "split": ["val"] * len(ids)}))
    with pytest.raises(UserError, match="was made from other documents than"):
        Documents.read(*paths)


def test_a_table_without_label_tree_is_refused(paths):
    write_parquet(paths[0], pl.DataFrame({"document_id": ["1"]}))
    with pytest.raises(UserError, match=r"is not a corpus: its metadata lacks the key 'label_tree'"):
        Documents.read(*paths)


def test_scores_are_given_in_the_order_of_the_split(paths, tmp_path):
    documents = Documents.read(*paths)
    for ids in (["1", "4"], ["4", "1"]):
        scores = documents.scores_of("val", scores_file(tmp_path, ids))
        assert (16 * scores[:, 0]).tolist() == [1, 4]
        assert scores.shape == (2, 5) and scores.dtype == np.float32


@pytest.mark.parametrize(
    ("ids", "sentence"),
    [
        (["1", "2"], "has the document '2', which is not in it"),
        (["1", "4", "9"], "has the document '9', which is not in it"),
        (["4"], "lacks 1 of its documents, '1' first"),
        (["1", "4", "4"], "has a document more than once"),
    ],
)
def test_scores_of_another_split_are_refused(paths, tmp_path, ids, sentence):
    with pytest.raises(UserError, match=f"does not belong to the split 'val': it {sentence}"):
        Documents.read(*paths).scores_of("val", scores_file(tmp_path, ids))


def test_scores_are_read_as_they_were_written(tmp_path):
    scores = np.random.default_rng(0).random((3, 5), dtype=np.float32)
    write_scores(tmp_path / "scores.parquet", ["c", "a", "b"], scores, TREE)
    ids, found = read_scores(tmp_path / "scores.parquet", TREE)
    assert ids == ["c", "a", "b"]
    assert np.array_equal(found, scores) and found.dtype == np.float32 and found.flags.c_contiguous


def test_scores_of_other_labels_are_refused(tmp_path):
    path = scores_file(tmp_path, ["1"], TREE.select(["field", "topic"]))
    with pytest.raises(UserError, match=r"other labels than .* \('a1x' is in only one of them\)"):
        read_scores(path, TREE)
    frame = pl.read_parquet(path).select("document_id", "b", "a", "a1", "a2")
    write_parquet(path, frame)
    with pytest.raises(UserError, match=r"\(their order differs\)"):
        read_scores(path, TREE.select(["field", "topic"]))
