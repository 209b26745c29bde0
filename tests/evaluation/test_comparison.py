"""Comparison of runs, against resampling documents literally and measuring them with scikit-learn, and by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from evaluation_cases import ONE, TREES, TWO, random_case, write_random_corpus
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score

from ipcascade.cli import main
from ipcascade.core.costs_file import AMOUNTS
from ipcascade.core.documents import write_scores
from ipcascade.core.errors import UserError
from ipcascade.core.files import read_json, write_json, write_parquet
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.provenance import read_provenance
from ipcascade.core.schemas import Comparison
from ipcascade.evaluation.bootstrap import confidence_intervals, group_weights
from ipcascade.evaluation.comparison import (
    OF_DIFFERENCE,
    Measured,
    compare,
    difference,
    mean_and_deviation,
    mean_of_replicates,
    measure_run,
    percentile_intervals,
)
from ipcascade.evaluation.decoding import decode
from ipcascade.evaluation.metrics import evaluate, flatten
from ipcascade.evaluation.options import DecodingOptions
from support import config_file

DOCUMENTS, SAMPLES, SEED = 60, 50, 7


def case(tree: LabelTree, other: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The same truth and groups for every `other`, which changes predictions and probabilities."""
    truth, predicted, probabilities = random_case(tree, DOCUMENTS, seed=5)
    if other:
        random = np.random.default_rng(other)
        predicted = predicted ^ (random.random(predicted.shape) < 0.1)
        probabilities = np.clip(probabilities + random.normal(0, 0.2, predicted.shape), 0, 1).astype(np.float32)
    groups = np.array([f"g{number}" for number in np.random.default_rng(3).integers(25, size=DOCUMENTS)])
    return truth, predicted, probabilities, groups


def measured(tree: LabelTree, other: int = 0, samples: int = SAMPLES) -> Measured:
    return measure_run(*case(tree, other), tree, samples, SEED)


def by_scikit_learn(truth: np.ndarray, predicted: np.ndarray, tree: LabelTree) -> dict[str, float]:
    found = {}
    for level, columns in tree.columns.items():
        of_level = truth[:, columns], predicted[:, columns]
        for name, score in (("f1", f1_score), ("precision", precision_score), ("recall", recall_score)):
            found[f"{level}.{name}_micro"] = score(*of_level, average="micro", zero_division=0)
        supported = truth[:, columns].any(axis=0)
        by_label = f1_score(*of_level, average=None, zero_division=0)
        found[f"{level}.f1_macro_supported"] = by_label[supported].mean()
        present = supported | predicted[:, columns].any(axis=0)
        found[f"{level}.f1_macro"] = by_label[present].mean()
    closed = tree.close(truth), tree.close(predicted)
    found["hierarchical.f1_micro"] = f1_score(*closed, average="micro", zero_division=0)
    return found


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_differences_equal_those_of_resampled_documents(tree: LabelTree) -> None:
    """Group by group and document by document; macro measures then moved to the difference over all documents."""
    truth, reference, _, groups = case(tree)
    _, run, _, _ = case(tree, other=1)
    names = sorted(set(groups))
    expected: dict[str, list[float]] = {}
    for weights in np.concatenate(list(group_weights(len(names), SAMPLES, SEED))):
        rows: list[int] = []
        for name, times in zip(names, weights, strict=True):
            rows += np.flatnonzero(groups == name).tolist() * int(times)
        of_run, of_reference = (by_scikit_learn(truth[rows], one[rows], tree) for one in (run, reference))
        for name, value in of_run.items():
            expected.setdefault(name, []).append(value - of_reference[name])
    of_all = [by_scikit_learn(truth, one, tree) for one in (run, reference)]
    found = difference(measured(tree, 1), measured(tree))
    for name, values in expected.items():
        if name.endswith(".f1_macro"):
            continue  # scaled by the labels that each run has: test_bootstrap
        wanted = np.array(values)
        if name.endswith(".f1_macro_supported"):
            wanted += of_all[0][name] - of_all[1][name] - wanted.mean()
        np.testing.assert_allclose(found.samples[name], wanted, atol=1e-12, err_msg=name)
        assert found.values[name] == pytest.approx(of_all[0][name] - of_all[1][name])
        low, high = percentile_intervals(found, 0.9, OF_DIFFERENCE)[name]
        assert [low, high] == pytest.approx(np.percentile(wanted, [5, 95]).tolist())


def test_macro_differences_have_the_difference_over_all_documents_as_their_mean() -> None:
    found = difference(measured(TWO, 1), measured(TWO))
    for level in TWO.levels:
        for name in ("f1_macro", "f1_macro_supported"):
            assert found.samples[f"{level}.{name}"].mean() == pytest.approx(found.values[f"{level}.{name}"])


def test_macro_differences_are_taken_before_values_are_cut_off() -> None:
    """A run that is right but for one rare label: its samples, moved, are above 1, and cut off would be too near."""
    documents = 24
    truth = np.zeros((documents, len(ONE.labels)), dtype=bool)
    truth[np.arange(documents), [0] * 20 + [1] * 2 + [2] * 2] = True
    run, reference = truth.copy(), truth.copy()
    run[-1] = False
    reference[-3:] = False
    probabilities, groups = truth.astype(np.float32), np.arange(documents)
    of_run, of_reference = (measure_run(truth, one, probabilities, groups, ONE, 400, SEED) for one in (run, reference))
    name = "section.f1_macro_supported"
    assert of_run.samples[name].max() > 1
    assert max(percentile_intervals(of_run, 0.99)[name]) <= 1
    found = difference(of_run, of_reference)
    assert found.samples[name].mean() == pytest.approx(found.values[name])
    cut_off = np.clip(of_run.samples[name], 0, 1) - np.clip(of_reference.samples[name], 0, 1)
    assert cut_off.mean() < found.values[name] - 1e-3


def test_average_precision_is_that_of_scikit_learn_and_has_no_samples() -> None:
    truth, _, probabilities, _ = case(TWO, 1)
    found = measured(TWO, 1)
    for level, columns in TWO.columns.items():
        expected = average_precision_score(truth[:, columns].ravel(), probabilities[:, columns].ravel())
        assert found.values[f"{level}.average_precision_micro"] == pytest.approx(expected)
        assert f"{level}.average_precision_micro" not in found.samples


def test_the_intervals_of_a_run_are_those_of_its_metrics() -> None:
    truth, predicted, _, groups = case(TWO, 1)
    expected = confidence_intervals(truth, predicted, groups, TWO, SAMPLES, 0.9, SEED)
    assert percentile_intervals(measured(TWO, 1), 0.9) == expected


def test_runs_with_the_same_predictions_differ_by_exactly_0() -> None:
    runs = {"a": measured(TWO), "b": measured(TWO)}
    _, row = compare(runs, [], "a", 0.95)
    assert set(row["differences"].values()) == {0.0}
    assert row["difference_intervals"] and all(
        interval == [0.0, 0.0] for interval in row["difference_intervals"].values()
    )


def test_the_interval_of_a_difference_is_narrower_than_from_independent_intervals() -> None:
    """Runs that agree on most documents: their errors are of the same documents."""
    truth, predicted, probabilities, groups = case(TWO)
    better = predicted.copy()
    better[:6] = truth[:6]
    runs = {
        name: measure_run(truth, one, probabilities, groups, TWO, 300, SEED)
        for name, one in (("better", better), ("reference", predicted))
    }
    found = difference(runs["better"], runs["reference"])
    for name in ("section.f1_micro", "class.f1_micro", "class.f1_macro_supported", "hierarchical.f1_micro"):
        independent = np.hypot(*(np.ptp(percentile_intervals(run, 0.95)[name]) for run in runs.values()))
        assert np.ptp(percentile_intervals(found, 0.95, OF_DIFFERENCE)[name]) < 0.6 * independent


def test_the_order_of_the_documents_changes_nothing() -> None:
    parts = case(TWO, 1)
    order = np.random.default_rng(9).permutation(DOCUMENTS)
    straight = measure_run(*parts, TWO, SAMPLES, SEED)
    other = measure_run(*(part[order] for part in parts), TWO, SAMPLES, SEED)
    assert straight.values == other.values
    assert all(np.array_equal(values, other.samples[name]) for name, values in straight.samples.items())


def test_mean_and_deviation_by_hand() -> None:
    replicates = [{"x": 0.2, "y": 0.5}, {"x": 0.4, "y": 0.5}, {"x": 0.9, "y": 0.5}]
    # deviations from the mean 0.5: -0.3, -0.1, 0.4; squares 0.09 + 0.01 + 0.16, over 2
    found = mean_and_deviation(replicates)
    assert found == {"x": (pytest.approx(0.5), pytest.approx(0.13**0.5)), "y": (0.5, 0.0)}


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_mean_and_deviation_are_those_of_numpy(values: list[float]) -> None:
    mean, deviation = mean_and_deviation([{"x": value} for value in values])["x"]
    assert mean == pytest.approx(np.mean(values)) and deviation == pytest.approx(np.std(values, ddof=1), abs=1e-9)


def test_replicates_are_one_row_whose_difference_is_of_their_mean_in_each_sample() -> None:
    runs = {name: measured(TWO, other) for name, other in (("a", 1), ("reference", 0), ("b", 2), ("c", 3), ("d", 4))}
    first, second, third = compare(runs, [["seeds", "c", "a", "b"]], "reference", 0.9)
    assert [first["name"], second["name"], third["name"]] == ["seeds", "reference", "d"]
    assert list(first["replicates"]) == ["a", "b", "c"] and first["replicates"]["b"] == runs["b"].values
    assert second["replicates"] == third["replicates"] == second["deviations"] == {}
    assert second["differences"] == second["difference_intervals"] == {}
    name = "class.f1_macro_supported"
    values = [runs[run].values[name] for run in "abc"]
    assert first["measures"][name] == pytest.approx(sum(values) / 3)
    assert first["deviations"][name] == pytest.approx(np.std(values, ddof=1))
    in_samples = sum(runs[run].samples[name] for run in "abc") / 3
    assert first["confidence_intervals"][name] == pytest.approx(np.percentile(in_samples, [5, 95]).tolist())
    between = in_samples - runs["reference"].samples[name]
    assert first["difference_intervals"][name] == pytest.approx(np.percentile(between, [5, 95]).tolist())
    assert first["differences"][name] == pytest.approx(sum(values) / 3 - runs["reference"].values[name])


def test_replicates_can_be_the_reference() -> None:
    runs = {name: measured(TWO, other) for name, other in (("a", 1), ("b", 2), ("c", 3))}
    seeds, row = compare(runs, [["seeds", "a", "b"]], "seeds", 0.9)
    mean = mean_of_replicates([runs["a"], runs["b"]])
    assert seeds["differences"] == {} and row["differences"] == difference(runs["c"], mean).values


def test_without_samples_there_are_values_alone() -> None:
    runs = {"a": measured(TWO, 0, samples=0), "b": measured(TWO, 1, samples=0), "c": measured(TWO, 2, samples=0)}
    first, second = compare(runs, [["seeds", "b", "c"]], "a", 0.95)
    assert first["confidence_intervals"] == second["confidence_intervals"] == second["difference_intervals"] == {}
    assert second["differences"]["class.f1_micro"] != 0


@pytest.mark.parametrize(
    ("names", "replicates", "reference", "words"),
    [
        ([], [], "a", "there is no run to compare"),
        (["a", "b", "a"], [], "a", "the name 'a' is given to more than one"),
        (["a", "b", "c"], [["c", "a", "b"]], "c", "the name 'c' is given to more than one"),
        (["a", "b"], [], "x", "the reference 'x' is none of the runs: a, b"),
        (["a", "b"], [["seeds", "a", "b"]], "a", "give 'seeds' as the reference"),
        (["a", "b"], [["seeds", "a"]], "b", "'seeds' has 1 runs"),
        (["a", "b"], [["seeds"]], "b", "'seeds' has 0 runs"),
        (["a", "b"], [["seeds", "a", "z"]], "b", "names the run 'z', which is not there; the runs are a, b"),
        (["a", "b", "c"], [["s", "a", "b"], ["t", "b", "c"]], "s", "the run 'b' is named more than once"),
        (["a", "b"], [["s", "a", "a"]], "b", "the run 'a' is named more than once"),
    ],
)
def test_names_that_do_not_fit_are_refused(
    names: list[str], replicates: list[list[str]], reference: str, words: str, tmp_path: Path, capsys: Any
) -> None:
    if len(set(names)) == len(names):
        with pytest.raises(UserError, match=words):
            compare({name: Measured({}, {}) for name in names}, replicates, reference, 0.95)
    arguments = [word for name in names for word in ("--run", name, "scores", "thresholds")]
    arguments += [word for group in replicates for word in ("--replicates", *group)]
    files = ["--corpus", "corpus", "--splits", "splits", "--stem", str(tmp_path / "ladder")]
    assert main(["comparison", "--split", "test", *files, "--reference", reference, *arguments]) == 1
    error = capsys.readouterr().err
    assert words in error and len(error.splitlines()) == 1
    assert not list(tmp_path.iterdir())


class Project:
    """A corpus, its splits, and runs with scores of test and thresholds."""

    def __init__(self, folder: Path, tree: LabelTree) -> None:
        self.folder, self.tree = folder, tree
        corpus, truth = write_random_corpus(folder / "corpus.parquet", tree, 80)
        split = np.array(["train", "test"] * 40)
        write_parquet(folder / "splits.parquet", corpus.select("document_id").with_columns(split=pl.Series(split)))
        self.test = np.flatnonzero(split == "test")
        self.truth, self.groups = truth[self.test], corpus["group_id"].to_numpy()[self.test]
        self.ids = [corpus["document_id"][int(position)] for position in self.test]

    def write_run(self, name: str, seed: int, threshold: float) -> list[str]:
        _, _, probabilities = random_case(self.tree, 80, seed=seed)
        write_scores(self.folder / f"{name}.parquet", self.ids, probabilities[self.test], self.tree)
        content = {
            "method": "fixed", "facts": {}, "levels": list(self.tree.levels),
            "thresholds": dict.fromkeys(self.tree.labels, threshold), "decoding": {"method": "mask", "confidence": 0.2},
        }  # fmt: skip
        write_json(self.folder / f"{name}.json", content)
        return ["--run", name, str(self.folder / f"{name}.parquet"), str(self.folder / f"{name}.json")]

    def compare(self, *words: str, **sections: object) -> int:
        files = ["--corpus", str(self.folder / "corpus.parquet"), "--splits", str(self.folder / "splits.parquet")]
        config = config_file(self.folder, **sections)
        stem = str(self.folder / "comparison" / "ladder")
        return main(["comparison", *files, "--split", "test", *words, "--stem", stem, "--config", str(config)])


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_the_command_compares_files(tmp_path: Path, tree: LabelTree) -> None:
    project = Project(tmp_path, tree)
    runs = [project.write_run(name, seed, 0.3) for name, seed in (("base", 2), ("s1", 3), ("s2", 4), ("last", 5))]
    words = [word for run in runs for word in run]
    (tmp_path / "costs.csv").write_text(
        "run,job,benchmark,seconds,memory_mib,gpu_memory_mib\n"
        "base,train,b,50.0,100.0,70.0\nbase,combine,b,10.0,90.0,\n"
        "s1,train,b,100.5,200.0,50.0\ns2,train,b,200.0,300.0,60.0\nlast,train,b,,,\nanother,train,b,1.0,1.0,1.0\n"
    )
    costs = ["--costs", str(tmp_path / "costs.csv")]
    options = {"evaluation": {"bootstrap": 40, "confidence": 0.9}, "seed": 11}
    assert project.compare(*words, "--reference", "base", "--replicates", "seeds", "s1", "s2", *costs, **options) == 0
    folder = tmp_path / "comparison"
    assert {path.name for path in folder.iterdir()} == {
        "ladder.json", "ladder.csv", "ladder.md", "ladder.tex", "ladder.provenance.json",
    }  # fmt: skip
    content = read_json(folder / "ladder.json", Comparison)
    assert [row["name"] for row in content["rows"]] == ["base", "seeds", "last"]
    assert (content["documents"], content["levels"], content["bootstrap_samples"]) == (40, list(tree.levels), 40)
    for row, seed in ((content["rows"][0], 2), (content["rows"][2], 5)):
        probabilities = random_case(tree, 80, seed=seed)[2][project.test]
        predicted = decode(
            probabilities, np.full(len(tree.labels), 0.3), tree, DecodingOptions(method="mask", confidence=0.2)
        )
        measures = flatten(evaluate(project.truth, predicted, probabilities, tree))
        assert row["measures"] == {name: measures[name] for name in row["measures"]}
        expected = confidence_intervals(project.truth, predicted, project.groups, tree, 40, 0.9, 11)
        assert row["confidence_intervals"] == expected
    assert [tuple(row[name] for name in AMOUNTS) for row in content["rows"]] == [
        (60, 100, 70), (150.25, 250, 55), (None, None, None),
    ]  # fmt: skip
    table = pl.read_csv(folder / "ladder.csv")
    lowest = tree.levels[-1]
    assert table["run"].to_list() == ["base", "seeds", "last"]
    assert table[f"{lowest}.average_precision_micro"].to_list() == [
        row["measures"][f"{lowest}.average_precision_micro"] for row in content["rows"]
    ]
    column = f"{lowest}.f1_macro_supported_difference"
    assert table.select(column, f"{column}_low", f"{column}_high").row(2) == (
        content["rows"][2]["differences"][f"{lowest}.f1_macro_supported"],
        *content["rows"][2]["difference_intervals"][f"{lowest}.f1_macro_supported"],
    )
    inputs = read_provenance(folder / "ladder")["inputs"]
    assert {"corpus", "splits", "costs", "scores of s1", "thresholds of last"} <= set(inputs)
    assert "A job counts in full in every run that uses it" in (folder / "ladder.md").read_text()


def test_the_command_writes_the_same_bytes_again(tmp_path: Path) -> None:
    project = Project(tmp_path, TWO)
    words = [*project.write_run("a", 2, 0.3), *project.write_run("b", 3, 0.5), "--reference", "a"]
    contents = []
    for _ in range(2):
        assert project.compare(*words, evaluation={"bootstrap": 10}) == 0
        contents.append({path.name: path.read_bytes() for path in (tmp_path / "comparison").iterdir()})
    assert contents[0] == contents[1]
    assert json.loads(contents[0]["ladder.json"])["reference"] == "a"


@pytest.mark.parametrize(
    ("costs", "words"),
    [
        ("run,seconds\na,1\n", "costs.csv has the columns run, seconds, not run, job, benchmark"),
        ("run,job,benchmark,seconds,memory_mib,gpu_memory_mib\na,b,c,-1,2,\n", "'seconds' has -1.0, which is below 0"),
        ("run,job,benchmark,seconds,memory_mib,gpu_memory_mib\na,b,c,fast,2,\n", "'seconds' has 'fast', not numbers"),
        (None, "costs.csv does not exist"),
    ],
)
def test_costs_that_are_none_are_refused(tmp_path: Path, capsys: Any, costs: str | None, words: str) -> None:
    project = Project(tmp_path, ONE)
    if costs is not None:
        (tmp_path / "costs.csv").write_text(costs)
    given = ["--costs", str(tmp_path / "costs.csv")]
    assert project.compare(*project.write_run("a", 2, 0.3), "--reference", "a", *given) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "comparison").exists()


def test_scores_of_another_split_are_refused(tmp_path: Path, capsys: Any) -> None:
    project = Project(tmp_path, TWO)
    words = [*project.write_run("a", 2, 0.3), *project.write_run("b", 3, 0.3), "--reference", "a"]
    part = pl.read_parquet(tmp_path / "b.parquet").head(7)
    write_parquet(tmp_path / "b.parquet", part)
    assert project.compare(*words) == 1
    assert "b.parquet does not belong to the split 'test'" in capsys.readouterr().err
