"""The label tree: reading tables of any depth, encoding, closure, cutting to levels, and the IPC that is shipped."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import IPC, RESERVED_CODES, RESERVED_LEVELS, LabelTree

HEADER = "code\tparent\tlevel\ttitle"
# Labels that end at different depths: x and b have nothing below them, y2 neither.
UNEVEN = (
    "x\t\ttop\tX", "y\t\ttop\tY", "z\t\ttop\tZ", "z1\tz\tmiddle\tZ one", "y1\ty\tmiddle\tY one", "y2\ty\tmiddle\tY two",
    "y1b\ty1\tlow\tY one b", "z1a\tz1\tlow\tZ one a", "y1a\ty1\tlow\tY one a",
)  # fmt: skip


def write(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "tree.tsv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def read(folder: Path, *rows: str, header: str = HEADER) -> LabelTree:
    return LabelTree.read(write(folder, *rows, header=header))


@pytest.fixture
def uneven(tmp_path: Path) -> LabelTree:
    return read(tmp_path, *UNEVEN)


@st.composite
def trees(draw: st.DrawFn) -> LabelTree:
    """Trees of one to four levels in which every label below the top has a parent one level above."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    parents: list[int] = []
    for depth, size in enumerate(sizes):
        first = sum(sizes[: depth - 1]) if depth else 0
        above = st.integers(first, first + sizes[depth - 1] - 1) if depth else st.just(-1)
        parents += [draw(above) for _ in range(size)]
    labels = tuple(f"l{number}" for number in range(len(parents)))
    levels = tuple(f"level{depth}" for depth in range(len(sizes)))
    return LabelTree(levels, tuple(sizes), labels, tuple(parents), labels)


class TestTheShippedTree:
    def test_it_has_8_sections_132_classes_and_654_subclasses(self):
        tree = LabelTree.read(IPC)
        assert dict(zip(tree.levels, tree.sizes, strict=True)) == {"section": 8, "class": 132, "subclass": 654}
        assert all(
            code.startswith(tree.labels[above])
            for code, above in zip(tree.labels, tree.parents, strict=True)
            if above >= 0
        )
        assert all(title and title == title.strip() for title in tree.titles)
        assert tree.longest_code == 4
        assert tree.titles[tree.index["A01B"]].startswith("SOIL WORKING")

    def test_it_has_the_known_numbers_of_classes(self, tree):
        """WIPO, edition 2023.01: A16 B38 C21 D9 E8 F18 G15 H7."""
        counts = {code: tree.parents.count(column) for column, code in enumerate(tree.codes("section"))}
        assert counts == {"A": 16, "B": 38, "C": 21, "D": 9, "E": 8, "F": 18, "G": 15, "H": 7}
        assert tree.titles[tree.index["H10"]].startswith("SEMICONDUCTOR DEVICES")

    def test_it_is_what_a_plain_reader_of_the_table_finds(self):
        with IPC.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
        tree = LabelTree.read(IPC)
        assert {row["code"]: (row["parent"], row["level"], row["title"]) for row in rows} == {
            code: (tree.labels[above] if above >= 0 else "", tree.level_of(column), tree.titles[column])
            for column, (code, above) in enumerate(zip(tree.labels, tree.parents, strict=True))
        }


class TestReading:
    def test_order_is_by_level_then_that_of_the_table(self, uneven):
        assert uneven.levels == ("top", "middle", "low")
        assert uneven.sizes == (3, 3, 3)
        assert uneven.labels == ("x", "y", "z", "z1", "y1", "y2", "y1b", "z1a", "y1a")
        assert uneven.parents == (-1, -1, -1, 2, 1, 1, 4, 3, 4)
        assert uneven.parent.tolist() == list(uneven.parents)
        assert uneven.titles[uneven.index["y1a"]] == "Y one a"
        assert uneven.columns == {"top": slice(0, 3), "middle": slice(3, 6), "low": slice(6, 9)}
        assert uneven.codes("middle") == ("z1", "y1", "y2")
        assert uneven.has_children.tolist() == [False, True, True, True, True, False, False, False, False]
        assert [uneven.level_of(column) for column in (0, 2, 3, 5, 6, 8)] == [
            "top",
            "top",
            "middle",
            "middle",
            "low",
            "low",
        ]
        assert [uneven.ancestors(column) for column in (0, 5, 8)] == [[], [1], [4, 1]]

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
    def test_line_ends_a_byte_order_mark_and_blanks_do_not_matter(self, tmp_path, uneven, end, mark):
        rows = ["code \t parent\tlevel\ttitle  ", *(f"{row}  ".replace("\t", " \t") for row in UNEVEN), "", " \t\t\t"]
        path = tmp_path / "other.tsv"
        path.write_bytes(mark + end.join(rows).encode())
        assert LabelTree.read(path) == uneven

    @pytest.mark.parametrize(
        "title", ["left\u2028right", "a\u2029b", "a\x0bb\x0cc\x85d", 'say "so"', '"quoted"', "µ, α; é"]
    )
    def test_titles_survive_as_they_are(self, tmp_path, title):
        assert read(tmp_path, f"A\t\ttop\t{title}", "B\t\ttop\tb").titles == (title, "b")

    def test_columns_are_found_by_name_and_others_are_ignored(self, tmp_path):
        tree = read(tmp_path, "first\tA\tt\t\tremark", "second\tA1\tu\tA\t", header="title\tcode\tlevel\tparent\tnote")
        assert (tree.levels, tree.labels, tree.parents) == (("t", "u"), ("A", "A1"), (-1, 0))
        assert tree.titles == ("first", "second")

    def test_one_level_is_a_tree(self, tmp_path):
        tree = read(tmp_path, "a\t\ttopic\tA", "b\t\ttopic\tB")
        assert (tree.levels, tree.parents) == (("topic",), (-1, -1))
        assert not tree.has_children.any()
        truth = tree.encode([["b"], []])
        assert tree.close(truth).tolist() == truth.tolist() == [[False, True], [False, False]]

    def test_a_few_thousand_labels_work(self, tmp_path):
        rows = [f"{a}\t\tone\tt" for a in "ABCD"]
        rows += [f"{a}{b:02}\t{a}\ttwo\tt" for a in "ABCD" for b in range(50)]
        rows += [f"{a}{b:02}{c:02}\t{a}{b:02}\tthree\tt" for a in "ABCD" for b in range(50) for c in range(25)]
        tree = read(tmp_path, *rows)
        assert tree.sizes == (4, 200, 5000)
        closed = tree.close(tree.encode([["C1307"]]))
        assert [tree.labels[column] for column in np.flatnonzero(closed[0])] == ["C", "C13", "C1307"]

    @pytest.mark.parametrize(
        ("rows", "sentence"),
        [
            (["A\t\ttop\t"], "line 2: the title is missing"),
            (["A\t\ttop\tx", "B\t\ttop\t   "], "line 3: the title is missing"),
            (["\t\ttop\tx"], "line 2: the code is missing"),
            (["A\t\t\tx"], "line 2: the level is missing"),
            (["A\t\ttop\tx", "low\tA\tlow\tx"], "line 3: the code 'low' is the name of a level, too; rename one"),
            (["A\t\ttop\tx", "B\t\ttop\tx", "A\t\ttop\tx"], "line 4: the code 'A' is there more than once"),
            (["A\t\ttop\tx", "A\tA\tlow\tx"], "line 3: the code 'A' is there more than once"),
            (["A01\tA\tclass\tx"], "line 2: the class 'A01' has the parent 'A', which is not above it"),
            (["A1\tA\tlow\tx", "A\t\ttop\tx"], "line 2: the low 'A1' has the parent 'A', which is not above it"),
            (["A\tA\ttop\tx"], "line 2: the top 'A' has the parent 'A', which is not above it"),
            (["A\t\ttop\tx", "A1\tA\tlow\tx", "B\t\tlow\tx"], "line 4: the low 'B' has no label above it and so"),
            (["A\t\ttop\tx", "A1\tA\tlow\tx", "A11\tA1\tlow\tx"], "line 4: the low 'A11' has 'A1' above it"),
            (
                ["A\t\ttop\tx", "A1\tA\tlow\tx", "B\t\tother\tx"],
                "line 4: 'B' has the level 'other', where labels of the same depth above it have the level 'top'",
            ),
            (["A\t\ttop"], "line 2: 3 columns where the header has 4"),
            (["A\t\ttop\tx", "B\t\ttop\tx\ty"], "line 3: 5 columns where the header has 4"),
            (["A\t\ttop\tx", "", "B\t\ttop\t"], "line 4: the title is missing"),
            ([], "the label tree has no labels"),
        ],
    )
    def test_a_broken_table_is_one_sentence_with_its_line(self, tmp_path, rows, sentence):
        path = write(tmp_path, *rows)
        with pytest.raises(UserError) as error:
            LabelTree.read(path)
        assert str(error.value).startswith(str(path))
        assert sentence in str(error.value)
        assert "\n" not in str(error.value)

    def test_lines_are_those_of_the_file(self, tmp_path):
        """A title with U+2028 is one line, as in an editor or a spreadsheet."""
        path = write(tmp_path, "A\t\ttop\tleft\u2028right", "A\t\ttop\tx")
        with pytest.raises(UserError, match="line 3: the code 'A'"):
            LabelTree.read(path)

    @pytest.mark.parametrize("name", [*sorted(RESERVED_LEVELS), "*", "^c.*$"])
    def test_names_of_other_columns_cannot_be_levels(self, tmp_path, name):
        with pytest.raises(UserError, match=f"line 2: a level cannot be called '{re.escape(name)}'"):
            read(tmp_path, f"A\t\t{name}\tx")

    @pytest.mark.parametrize("name", [*sorted(RESERVED_CODES), "*", "^A.*$"])
    def test_names_of_other_columns_cannot_be_codes(self, tmp_path, name):
        with pytest.raises(UserError, match=f"line 2: a code cannot be called '{re.escape(name)}'"):
            read(tmp_path, f"{name}\t\ttop\tx")

    def test_the_path_of_the_table_is_no_pattern(self, tmp_path):
        path = tmp_path / "{} {x} %s [tree].tsv"
        path.write_text(f"{HEADER}\nA\t\ttop\tx\nA\t\ttop\tx\n")
        with pytest.raises(UserError, match=f"^{re.escape(str(path))}, line 3: the code 'A'"):
            LabelTree.read(path)

    def test_a_missing_column_an_absent_file_and_another_encoding(self, tmp_path):
        with pytest.raises(UserError, match=r"line 1: the header lacks the column 'title'; it has code, parent, level"):
            read(tmp_path, "A\t\ttop", header="code\tparent\tlevel")
        with pytest.raises(UserError, match=r"nowhere\.tsv: the label tree cannot be read"):
            LabelTree.read(tmp_path / "nowhere.tsv")
        (tmp_path / "latin.tsv").write_bytes(f"{HEADER}\nA\t\ttop\tcaf".encode() + b"\xe9\n")
        with pytest.raises(UserError, match="is not UTF-8: byte 34 is 0xe9"):
            LabelTree.read(tmp_path / "latin.tsv")


class TestEncoding:
    def test_encode_and_close_by_hand(self, uneven):
        truth = uneven.encode([["y", "y1a"], ["z1a"], [], ["x"], ("y2", "z1")])
        assert [uneven.labels[column] for column in np.flatnonzero(truth[0])] == ["y", "y1a"]
        closed = uneven.close(truth)
        assert [[uneven.labels[column] for column in np.flatnonzero(row)] for row in closed] == [
            ["y", "y1", "y1a"], ["z", "z1", "z1a"], [], ["x"], ["y", "z", "z1", "y2"],
        ]  # fmt: skip
        assert not truth[1, uneven.index["z"]], "the input is left as it is"

    def test_encode_names_an_unknown_label(self, uneven):
        with pytest.raises(UserError, match="row 1 has the label 'Z99', which the label tree does not have"):
            uneven.encode([["x"], ["Z99"]])

    @given(trees(), st.data())
    def test_close_agrees_with_walking_up(self, tree, data):
        labels = data.draw(st.lists(st.sets(st.sampled_from(tree.labels)), min_size=1, max_size=4))
        expected = [
            set(codes) | {tree.labels[above] for code in codes for above in tree.ancestors(tree.index[code])}
            for codes in labels
        ]
        closed = tree.close(tree.encode(labels))
        assert [{tree.labels[column] for column in np.flatnonzero(row)} for row in closed] == expected
        assert (tree.close(closed) == closed).all()

    @given(trees(), st.data())
    def test_select_keeps_labels_and_nearest_ancestors(self, tree, data):
        chosen = data.draw(st.sets(st.sampled_from(tree.levels), min_size=1))
        levels = [level for level in tree.levels if level in chosen]
        cut = tree.select(levels)
        assert cut.levels == tuple(levels)
        assert cut.labels == tuple(code for code, column in tree.index.items() if tree.level_of(column) in chosen)
        for column, code in enumerate(cut.labels):
            kept = [above for above in tree.ancestors(tree.index[code]) if tree.level_of(above) in chosen]
            assert [cut.labels[above] for above in cut.ancestors(column)] == [tree.labels[above] for above in kept]
            assert cut.titles[column] == tree.titles[tree.index[code]]
            assert cut.level_of(column) == tree.level_of(tree.index[code])
        # What is closed in the whole tree is closed in the cut one, with the same labels.
        codes = data.draw(st.sets(st.sampled_from(cut.labels)))
        whole = {tree.labels[column] for column in np.flatnonzero(tree.close(tree.encode([codes]))[0])}
        assert {cut.labels[column] for column in np.flatnonzero(cut.close(cut.encode([codes]))[0])} == whole & set(
            cut.labels
        )

    @pytest.mark.parametrize(
        ("levels", "sentence"),
        [
            (["top", "group"], "the label tree has no level 'group'; it has top, middle, low"),
            (["middle", "top"], "middle, top are not levels from the top down, each once: top, middle, low"),
            (["top", "top"], "top, top are not levels from the top down, each once"),
        ],
    )
    def test_levels_that_cannot_be_selected(self, uneven, levels, sentence):
        with pytest.raises(UserError, match=rf"corpus\.levels: .*{sentence}"):
            uneven.select(levels)

    @given(trees(), st.data())
    def test_with_the_level_below_labels_keep_their_columns(self, tree, data):
        chosen = data.draw(st.sets(st.sampled_from(tree.levels), min_size=1))
        cut = tree.select([level for level in tree.levels if level in chosen])
        finer = cut.with_level_below(tree)
        place = tree.levels.index(cut.levels[-1]) + 1
        assert finer.levels == (*cut.levels, *tree.levels[place : place + 1])
        assert finer.labels[: len(cut.labels)] == cut.labels and finer.parents[: len(cut.labels)] == cut.parents
        assert finer == tree.select(finer.levels)

    def test_what_is_below_labels_that_a_tree_does_not_have_is_not_added(self, uneven):
        part = LabelTree.from_json(
            {
                "levels": ["top"],
                "labels": [{"code": code, "parent": None, "level": "top", "title": code} for code in "zx"],
            }
        )
        assert part.with_level_below(uneven).labels == ("z", "x", "z1")
        assert part.with_level_below(uneven).parents == (-1, -1, 0)
        alone = LabelTree.from_json({"levels": ["top"], "labels": part.to_json()["labels"][1:]})
        assert alone.with_level_below(uneven) == alone
        two = LabelTree.from_json({"levels": ["top", "middle"], "labels": [
            {"code": code, "parent": parent, "level": level, "title": code}
            for code, parent, level in (("y", None, "top"), ("z", None, "top"), ("z1", "z", "middle"))
        ]})  # fmt: skip
        assert two.with_level_below(uneven).labels == ("y", "z", "z1", "z1a"), "y1a is below y, but y1 is not there"

    def test_the_level_below_in_another_tree_is_refused(self, uneven):
        with pytest.raises(UserError, match="has no label 'A', which the corpus has: it was made with another one"):
            LabelTree.read(IPC).select(["section"]).with_level_below(uneven)

    @given(trees())
    def test_json_gives_the_same_tree_back(self, tree):
        assert LabelTree.from_json(tree.to_json()) == tree

    def test_json_of_the_shipped_tree(self, uneven):
        for tree in (uneven, LabelTree.read(IPC), LabelTree.read(IPC).select(["class", "subclass"])):
            assert LabelTree.from_json(tree.to_json()) == tree

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            (lambda content: content.pop("levels"), "the label tree is not complete"),
            (lambda content: content["labels"][0].pop("title"), "the label tree is not complete"),
            (lambda content: content["labels"].pop(1), "'y', which is not above it"),
            (lambda content: content["levels"].reverse(), "has the levels top, middle, low, not low, middle, top"),
            (
                lambda content: content["labels"].append(content["labels"][0]),
                "label 10: the code 'x' is there more than",
            ),
        ],
    )
    def test_json_that_is_not_a_tree_is_refused(self, uneven, change, sentence):
        content = uneven.to_json()
        change(content)
        with pytest.raises(UserError, match=sentence):
            LabelTree.from_json(content)


class TestSymbols:
    @pytest.mark.parametrize(
        ("levels", "symbol", "leaf"),
        [
            (["section", "class", "subclass"], "A01B  33/00", "A01B"),
            (["section", "class", "subclass"], "A01B", "A01B"),
            (["section", "class", "subclass"], "A01", None),
            (["section", "class", "subclass"], "F24J   2/00", None),
            (["section", "class"], "F24J   2/00", "F24"),
            (["section", "class"], "A01", "A01"),
            (["section", "class"], "A", None),
            (["section"], "A02B   1/00", "A"),
            (["section"], "", None),
            (["section", "subclass"], "A01", None),
            (["class"], "A02B   1/00", None),
            (["class"], " A01B", None),
        ],
    )
    def test_a_symbol_leads_to_a_leaf_or_to_none(self, levels, symbol, leaf):
        tree = LabelTree.read(IPC).select(levels)
        column = tree.leaf_of(symbol)
        assert (None if column is None else tree.labels[column]) == leaf
        assert tree.leaf_of(symbol[: tree.longest_code]) == column

    def test_labels_that_end_early_are_leaves(self, uneven):
        leaves = {symbol: uneven.leaf_of(symbol) for symbol in ("x", "x7", "y2/9", "y1", "y1z", "y9", "z1a", "w", "z")}
        assert {symbol: leaf if leaf is None else uneven.labels[leaf] for symbol, leaf in leaves.items()} == {
            "x": "x", "x7": "x", "y2/9": "y2", "y1": None, "y1z": None, "y9": None, "z1a": "z1a", "w": None, "z": None,
        }  # fmt: skip

    @given(st.text("xyz12ab", max_size=5))
    def test_leaf_of_agrees_with_trying_every_code(self, symbol):
        tree = LabelTree(
            ("top", "middle", "low"), (3, 3, 3), ("x", "y", "z", "z1", "y1", "y2", "y1b", "z1a", "y1a"),
            (-1, -1, -1, 2, 1, 1, 4, 3, 4), tuple("abcdefghi"),
        )  # fmt: skip
        longest = max((code for code in tree.labels if symbol.startswith(code)), key=len, default=None)
        leaf = None if longest is None or tree.index[longest] in tree.parents else tree.index[longest]
        assert tree.leaf_of(symbol) == leaf
