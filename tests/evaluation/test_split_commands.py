"""The commands `thresholds` and `metrics` on files, with trees of any depth."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from evaluation_cases import THREE, TREES, TWO, random_case, write_random_corpus

from ipcascade.cli import main
from ipcascade.core.documents import write_scores
from ipcascade.core.files import read_json, write_parquet
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.provenance import provenance_file
from ipcascade.evaluation.bootstrap import confidence_intervals
from ipcascade.evaluation.decoding import decode
from ipcascade.evaluation.metrics import evaluate
from ipcascade.evaluation.options import DecodingOptions, ThresholdOptions
from ipcascade.evaluation.per_label import per_label_measures
from ipcascade.evaluation.threshold_methods.fit import fit_thresholds
from ipcascade.evaluation.thresholds import read_thresholds
from support import config_file

DOCUMENTS = 40
SPLIT_OF = np.array(["train", "val", "test", "test"] * (DOCUMENTS // 4))


class Scored:
    """A corpus, its splits, and scores of validation and test."""

    def __init__(self, folder: Path, tree: LabelTree) -> None:
        self.folder, self.tree = folder, tree
        corpus, self.truth = write_random_corpus(folder / "corpus.parquet", tree, DOCUMENTS)
        self.ids = corpus["document_id"].to_list()
        self.groups = corpus["group_id"].to_numpy()
        splits = corpus.select("document_id", "group_id").with_columns(split=pl.Series(SPLIT_OF))
        write_parquet(folder / "splits.parquet", splits)
        _, _, self.probabilities = random_case(tree, DOCUMENTS, seed=9)
        for split in ("val", "test"):
            self.write_scores(split, np.flatnonzero(split == SPLIT_OF))

    def write_scores(self, split: str, positions: np.ndarray) -> None:
        ids = [self.ids[position] for position in positions]
        write_scores(self.folder / f"{split}.parquet", ids, self.probabilities[positions], self.tree)

    def run(self, *words: str, **sections: object) -> int:
        files = {"--corpus": "corpus.parquet", "--splits": "splits.parquet", "--thresholds": "thresholds.json"}
        arguments = [word for option, name in files.items() for word in (option, str(self.folder / name))]
        config = config_file(self.folder, corpus={"levels": list(self.tree.levels)}, **sections)
        return main([*words, *arguments, "--config", str(config)])

    def fit(self, split: str = "val", **sections: object) -> int:
        return self.run("thresholds", "--scores", str(self.folder / f"{split}.parquet"), **sections)

    def measure(self, split: str, scores: str | None = None, **sections: object) -> int:
        files = ("--scores", str(self.folder / f"{scores or split}.parquet"))
        return self.run(
            "metrics", "--split", split, *files, "--metrics", str(self.folder / f"{split}.json"), **sections
        )


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_thresholds_and_measures_of_any_depth(tmp_path: Path, tree: LabelTree) -> None:
    scored = Scored(tmp_path, tree)
    assert scored.fit(decoding={"method": "mask", "confidence": 0.3}) == 0
    # The decoding of the fit counts, whatever the config says later.
    assert scored.measure("test", evaluation={"bootstrap": 30, "confidence": 0.9}, seed=4) == 0
    val, test = (np.flatnonzero(split == SPLIT_OF) for split in ("val", "test"))
    decoding = DecodingOptions(method="mask", confidence=0.3)
    of_val = scored.truth[val], scored.probabilities[val]
    expected = fit_thresholds(*of_val, tree, ThresholdOptions(), decoding, seed=42)
    found, of_file = read_thresholds(tmp_path / "thresholds.json", tree)
    assert found.values.tolist() == expected.values.tolist() and of_file == decoding
    content = read_json(tmp_path / "test.json")
    truth, probabilities = scored.truth[test], scored.probabilities[test]
    predicted = decode(probabilities, expected.values, tree, decoding)
    del content["schema_version"]
    assert content == {
        "split": "test",
        "documents": 20,
        "levels": list(tree.levels),
        "thresholds": "blend",
        "decoding": {"method": "mask", "confidence": 0.3, "at_least_one": False, "at_most": None},
        "measures": evaluate(truth, predicted, probabilities, tree),
        "confidence_intervals": confidence_intervals(truth, predicted, scored.groups[test], tree, 30, 0.9, seed=4),
        "confidence": 0.9,
        "bootstrap_samples": 30,
        "per_label": per_label_measures(truth, predicted, probabilities, tree, expected.values),
    }
    for name in ("thresholds.json", "test.json"):
        assert provenance_file(tmp_path / name).exists()


def test_the_order_of_the_scores_changes_nothing(tmp_path: Path) -> None:
    scored = Scored(tmp_path, TWO)
    contents = []
    for step in (1, -1):
        for split in ("val", "test"):
            scored.write_scores(split, np.flatnonzero(split == SPLIT_OF)[::step])
        assert scored.fit() == 0 and scored.measure("test", evaluation={"bootstrap": 10}) == 0
        contents.append((tmp_path / "thresholds.json").read_bytes() + (tmp_path / "test.json").read_bytes())
    assert contents[0] == contents[1]


def test_thresholds_are_fitted_on_the_validation_split_alone(tmp_path: Path, capsys) -> None:
    scored = Scored(tmp_path, TWO)
    assert scored.fit("test") == 1
    assert "does not belong to the split 'val'" in capsys.readouterr().err
    assert not (tmp_path / "thresholds.json").exists()


def test_thresholds_are_fitted_on_all_of_the_validation_split(tmp_path: Path, capsys) -> None:
    scored = Scored(tmp_path, TWO)
    scored.write_scores("val", np.flatnonzero(SPLIT_OF == "val")[:7])
    assert scored.fit() == 1
    assert "lacks 3 of its documents" in capsys.readouterr().err
    assert not (tmp_path / "thresholds.json").exists()


def test_scores_of_another_split_are_not_measured(tmp_path: Path, capsys) -> None:
    scored = Scored(tmp_path, TWO)
    assert scored.fit() == 0
    assert scored.measure("test", scores="val") == 1
    assert "does not belong to the split 'test'" in capsys.readouterr().err
    assert not (tmp_path / "test.json").exists()


def test_thresholds_of_another_label_tree_are_not_applied(tmp_path: Path, capsys) -> None:
    for name, tree in (("two", TWO), ("three", THREE)):
        (tmp_path / name).mkdir()
        assert Scored(tmp_path / name, tree).fit() == 0
    (tmp_path / "two" / "thresholds.json").replace(tmp_path / "three" / "thresholds.json")
    assert Scored(tmp_path / "three", THREE).measure("test") == 1
    assert "only the label tree has the label 'A01X'" in capsys.readouterr().err


def test_a_file_without_thresholds_is_refused(tmp_path: Path, capsys) -> None:
    scored = Scored(tmp_path, TWO)
    assert scored.fit() == 0 and scored.measure("val", evaluation={"bootstrap": 0}) == 0
    assert read_json(tmp_path / "val.json")["confidence_intervals"] == {}
    (tmp_path / "val.json").replace(tmp_path / "thresholds.json")
    assert scored.measure("test") == 1
    assert "thresholds.json lacks the key 'method'" in capsys.readouterr().err
