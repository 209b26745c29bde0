"""The label tree: the scheme in force, encoding and closure."""

import numpy as np
import pytest

from ipcascade.errors import UserError
from ipcascade.taxonomy import Taxonomy


def test_ipc_has_the_known_numbers_of_classes(taxonomy):
    """WIPO, edition 2023.01: A16 B38 C21 D9 E8 F18 G15 H7."""
    counts = {section: taxonomy.parents.count(section) for section in taxonomy.sections}
    assert counts == {"A": 16, "B": 38, "C": 21, "D": 9, "E": 8, "F": 18, "G": 15, "H": 7}
    assert all(code.startswith(parent) for code, parent in zip(taxonomy.classes, taxonomy.parents, strict=True))
    assert taxonomy.titles["H10"].startswith("SEMICONDUCTOR DEVICES")


def test_encode_and_close_by_hand(taxonomy):
    truth = taxonomy.encode([["A", "A61"], ["H04"], []])
    assert [taxonomy.labels[column] for column in np.flatnonzero(truth[0])] == ["A", "A61"]
    closed = taxonomy.close(truth)
    assert [taxonomy.labels[column] for column in np.flatnonzero(closed[1])] == ["H", "H04"]
    assert not closed[2].any()
    assert not truth[1, taxonomy.index["H"]], "the input is left as it is"


def test_encode_names_an_unknown_label(taxonomy):
    with pytest.raises(UserError, match="row 1 carries the label 'Z99'"):
        taxonomy.encode([["A"], ["Z99"]])


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("code\tparent\tlevel\nA\t\tsection\n", "lacks the column 'title'"),
        ("code\tparent\tlevel\ttitle\nA\t\tsection\tx\nA\t\tsection\tx\n", "row 3: the code 'A' stands there twice"),
        ("code\tparent\tlevel\ttitle\nA01\tA\tclass\tx\n", "row 2: the class 'A01' has the parent 'A', which is no"),
        ("code\tparent\tlevel\ttitle\nA\t\tgroup\tx\n", "row 2: the level is 'group'"),
        ("code\tparent\tlevel\ttitle\nA\t\tsection\tx\n", "has no classes"),
    ],
)
def test_a_broken_tree_is_one_sentence(tmp_path, table, sentence):
    path = tmp_path / "tree.tsv"
    path.write_text(table)
    with pytest.raises(UserError, match=sentence):
        Taxonomy.read(path)


def test_another_tree_works(tmp_path):
    path = tmp_path / "tree.tsv"
    path.write_text("code\tparent\tlevel\ttitle\nx\t\tsection\tX\ny\t\tsection\tY\ny1\ty\tclass\tY one\n")
    tree = Taxonomy.read(path)
    assert tree.labels == ("x", "y", "y1")
    assert tree.parent_index.tolist() == [1]
