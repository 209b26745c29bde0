from pathlib import Path

import numpy as np
import polars as pl
import pytest
from evaluation_cases import ONE, THREE, TREES, TWO, random_case, write_random_corpus

from ipcascade.cli import main
from ipcascade.core.files import read_parquet, write_parquet
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.provenance import provenance_file
from ipcascade.evaluation.decoding import decode
from ipcascade.evaluation.history import measures_of_epoch
from ipcascade.evaluation.metrics import flatten, label_set_measures, probability_measures
from ipcascade.evaluation.options import DecodingOptions, ThresholdOptions
from ipcascade.evaluation.threshold_methods.fit import fit_thresholds
from support import config_file

DOCUMENTS, VALIDATION = 30, 12


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
@pytest.mark.parametrize("confidence", [None, 0.3])
def test_measures_are_those_of_each_threshold_method(tree: LabelTree, confidence: float | None) -> None:
    truth, _, scores = random_case(tree, 60, seed=2)
    fixed = {level: 0.3 + 0.1 * depth for depth, level in enumerate(tree.levels)}
    found = measures_of_epoch(truth, scores, tree, fixed, confidence)
    decoding = DecodingOptions(method="mask", confidence=confidence)
    expected = flatten(probability_measures(truth, scores, tree))
    methods = {"fixed": tree, "global": tree} | ({} if tree is ONE else {"reference": TWO})
    for method, measured in methods.items():
        true, probabilities = truth[:, : len(measured.labels)], scores[:, : len(measured.labels)]
        options = ThresholdOptions(method=method, fixed=fixed)
        thresholds = fit_thresholds(true, probabilities, measured, options, decoding, seed=0)
        predicted = decode(probabilities, thresholds.values, measured, decoding)
        measures = flatten(label_set_measures(true, predicted, measured))
        expected |= {f"{method}.{name}": value for name, value in measures.items()}
    assert found == expected
    assert list(found) == list(expected)


def test_columns_that_others_rely_on() -> None:
    columns = {
        name: set(measures_of_epoch(*random_case(tree, 5)[::2], tree, dict.fromkeys(tree.levels, 0.5), None))
        for name, tree in TREES.items()
    }
    reference = {"fixed.reference.h_f1", "reference.reference.h_f1", "reference.reference.h_f1_ceiling"}
    assert {"global.section.f1_micro", "fixed.hierarchical.f1_micro"} <= columns["one level"]
    assert not any("reference" in column for column in columns["one level"])
    assert {"global.class.f1_micro", "class.average_precision_micro", *reference} <= columns["two levels"]
    assert {"global.subclass.f1_micro", "fixed.subclass.f1_macro", "subclass.log_loss", *reference} <= columns[
        "three levels"
    ]
    assert "reference.subclass.f1_micro" not in columns["three levels"], "the published grid has two levels"


# The command


class Training:
    """The files of a finished training of two epochs, with a three-level tree."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        corpus, truth = write_random_corpus(folder / "corpus.parquet", THREE, DOCUMENTS)
        ids = corpus["document_id"].to_list()
        # Validation documents are not in one block.
        parts = ["val" if number % 5 < 2 else "train" for number in range(DOCUMENTS)]
        self.splits = pl.DataFrame({"document_id": ids, "group_id": ids, "split": parts})
        is_validation = np.array(parts) == "val"
        self.ids = [name for name, chosen in zip(ids, is_validation, strict=True) if chosen]
        self.truth = truth[is_validation]
        assert len(self.ids) == VALIDATION
        self.scores = [random_case(THREE, VALIDATION, seed)[2] for seed in (1, 2)]
        self.epochs = pl.DataFrame({"epoch": [1, 2], "train_loss": [0.5, 0.25], "selected": [False, True]})
        self.table = pl.concat(
            [
                pl.DataFrame({"document_id": self.ids, **dict(zip(THREE.labels, scores.T, strict=True))}).select(
                    pl.lit(epoch, dtype=pl.Int32).alias("epoch"), pl.all()
                )
                for epoch, scores in enumerate(self.scores, start=1)
            ]
        )

    def history(self, **sections: object) -> int:
        write_parquet(self.folder / "splits.parquet", self.splits)
        write_parquet(self.folder / "epochs.parquet", self.epochs)
        write_parquet(self.folder / "validation_scores.parquet", self.table)
        names = ("corpus", "splits", "epochs", "validation_scores", "history")
        files = [(f"--{name.replace('_', '-')}", str(self.folder / f"{name}.parquet")) for name in names]
        config = config_file(self.folder, corpus={"levels": list(THREE.levels)}, **sections)
        return main(["history", *(word for pair in files for word in pair), "--config", str(config)])

    def written(self) -> pl.DataFrame:
        return read_parquet(self.folder / "history.parquet")


@pytest.fixture
def training(tmp_path: Path) -> Training:
    return Training(tmp_path)


def test_the_history_joins_the_facts_and_the_measures_of_each_epoch(training: Training) -> None:
    assert training.history() == 0
    history = training.written()
    fixed = dict.fromkeys(THREE.levels, 0.5)
    measures = [measures_of_epoch(training.truth, scores, THREE, fixed, None) for scores in training.scores]
    assert history.columns == ["epoch", "train_loss", *measures[0], "selected"]
    assert history.select("epoch", "train_loss", "selected").equals(training.epochs)
    assert history.select(list(measures[0])).to_dicts() == measures
    assert measures[0] != measures[1]
    assert provenance_file(training.folder / "history.parquet").exists()


def test_the_history_follows_its_options(training: Training) -> None:
    assert training.history(history={"fixed": {"class": 0.2, "default": 0.4}}, training={"mask_confidence": 0.1}) == 0
    fixed = {"section": 0.4, "class": 0.2, "subclass": 0.4}
    expected = measures_of_epoch(training.truth, training.scores[1], THREE, fixed, 0.1)
    assert training.written().select(list(expected)).to_dicts()[1] == expected


def without_a_document(training: Training) -> None:
    training.table = training.table.filter(~((pl.col("epoch") == 2) & (pl.col("document_id") == training.ids[3])))


def with_documents_in_another_order(training: Training) -> None:
    training.table = training.table.sort("epoch", "document_id", descending=[False, True])


def without_an_epoch(training: Training) -> None:
    training.table = training.table.filter(pl.col("epoch") == 1)


def with_an_epoch_more(training: Training) -> None:
    training.epochs = training.epochs.head(1)


def with_another_label(training: Training) -> None:
    training.table = training.table.rename({"A01": "A09"})


def with_other_splits(training: Training) -> None:
    training.splits = training.splits.with_columns(
        split=pl.when(pl.col("document_id") == "d2").then(pl.lit("val")).otherwise("split")
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (without_a_document, "epoch 2: the documents are not those of the split 'val'"),
        (with_documents_in_another_order, "epoch 1: the documents are not those of the split 'val'"),
        (with_other_splits, "epoch 1: the documents are not those of the split 'val'"),
        (without_an_epoch, "has the epochs [1], not [1, 2]"),
        (with_an_epoch_more, "has the epochs [1, 2], not [1]"),
        (with_another_label, "has other labels than the corpus's label tree"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_scores_that_do_not_belong_are_refused(training: Training, capsys, change, sentence: str) -> None:
    change(training)
    assert training.history() == 1
    assert sentence in capsys.readouterr().err
    assert not (training.folder / "history.parquet").exists()
