"""The command analysis on probabilities that were drawn at random, its files, and the figures that read them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from ipcascade.cli import main
from ipcascade.core import names
from ipcascade.core.analysis_files import TABLES, read_analysis, write_analysis
from ipcascade.core.documents import Documents, write_scores
from ipcascade.core.errors import UserError
from ipcascade.core.files import read_json, write_parquet
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.provenance import read_provenance
from ipcascade.evaluation.guarantees import guarantees
from ipcascade.evaluation.options import DecodingOptions, EvaluationOptions, GuaranteeOptions, ThresholdOptions
from ipcascade.evaluation.scored import Scored
from ipcascade.evaluation.stability import stability
from support import config_file, corpus_frame, write_corpus

OPTIONS = {
    "analysis": {
        "precision": 0.9, "documents": 5, "refits": 3,
        "guarantee": {"recall": 0.8, "precision": 0.75, "confidence": 0.7},
    },
    "evaluation": {"bootstrap": 30, "confidence": 0.8},
    "thresholds": {"method": "per_label"},
    "seed": 5,
}  # fmt: skip
INPUTS = {
    "figure4": {
        "reliability": names.RELIABILITY, "calibration": names.CALIBRATION, "risk-coverage": names.RISK_COVERAGE,
        "levels": names.LEVELS,
    },
    "figure5": {"by-frequency": names.BY_FREQUENCY, "confusion": names.CONFUSION, "by-group": names.BY_GROUP},
}  # fmt: skip


@dataclass(frozen=True)
class Project:
    """A folder with a corpus, splits, scores and thresholds, and what is made of them."""

    folder: Path

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def documents(self) -> list[str]:
        return ["--corpus", self.path("corpus.parquet"), "--splits", self.path("splits.parquet")]

    def analyse(self, to: str, corpus: str = "corpus.parquet", network: str = "network", **sections: object) -> int:
        words = ["--corpus", self.path(corpus), "--splits", self.path("splits.parquet"), "--analysis", self.path(to)]
        scores = ["--val", self.path("val.parquet"), "--test", self.path("test.parquet")]
        scores += ["--network", self.path(network)] if network else []
        config = ["--config", str(config_file(self.folder, **sections))]
        return main(["analysis", *words, *scores, "--thresholds", self.path("thresholds.json"), *config])

    def draw(self, figure: str, stem: str = "o") -> int:
        words = [word for role, name in INPUTS[figure].items() for word in (f"--{role}", self.path(f"analysis/{name}"))]
        return main([figure, *words, "--stem", self.path(stem)])

    def table(self, name: str, folder: str = "analysis") -> pl.DataFrame:
        return read_analysis(self.folder / folder / name, name)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tree: LabelTree) -> Project:
    made = Project(tmp_path_factory.mktemp("analysis"))
    random = np.random.default_rng(5)
    years = [None if number % 7 == 0 else 1990 + number % 3 for number in range(200)]
    corpus = corpus_frame(200).with_columns(
        filing_year=pl.Series(years, dtype=pl.Int16),
        office=pl.Series(random.choice(["EP", "US", "WO"], size=200)),
        # Pairs within a split.
        group_id=pl.Series([f"g{number // 8}-{number % 4}" for number in range(200)]),
    )
    write_corpus(made.folder / "corpus.parquet", corpus, tree)
    splits = pl.DataFrame({"document_id": corpus["document_id"], "split": ["train", "val", "test", "test"] * 50})
    write_parquet(made.folder / "splits.parquet", splits)
    documents = Documents.read(made.folder / "corpus.parquet", made.folder / "splits.parquet")
    for split in ("val", "test"):
        positions = documents.positions(split)
        # About as probable as they are true, so that there are errors of both kinds.
        noise = random.random((len(positions), len(tree.labels)))
        scores = np.where(documents.truth[positions], noise**0.3, noise**40).astype(np.float32)
        ids = [documents.ids[n] for n in positions]
        write_scores(made.folder / f"{split}.parquet", ids, scores, tree)
        write_scores(made.folder / "network" / f"{split}.parquet", ids, scores**2, tree)
    common = [*made.documents(), "--config", str(config_file(made.folder, **OPTIONS))]
    fitted = ["--scores", made.path("val.parquet"), "--thresholds", made.path("thresholds.json")]
    assert main(["thresholds", *common, *fitted]) == 0
    measured = ["--scores", made.path("test.parquet"), "--metrics", made.path("metrics.json"), "--split", "test"]
    assert main(["metrics", *common, *measured, "--thresholds", made.path("thresholds.json")]) == 0
    assert made.analyse("analysis", **OPTIONS) == 0
    return made


def test_the_tables_agree_with_the_metrics(project: Project, tree: LabelTree) -> None:
    metrics = read_json(project.folder / "metrics.json")
    levels, of_level = project.table(names.LEVELS), metrics["measures"]
    assert levels["level"].to_list() == list(tree.levels) and levels["documents"].to_list() == [100, 100]
    for name in ("brier", "log_loss", "calibration_error"):
        assert levels[name].to_list() == [of_level[level][name] for level in tree.levels]
    labels = project.table(names.BY_FREQUENCY)
    for name in ("code", "title", "level", "support", "predicted", "precision", "recall", "f1"):
        assert labels[name].to_list() == [record[name] for record in metrics["per_label"]]
    last = project.table(names.RISK_COVERAGE).group_by("level", maintain_order=True).last()
    assert last["precision"].to_list() == [
        pytest.approx(of_level[level]["precision_micro"]) for level in tree.levels
    ], "all documents with predicted labels"
    assert last["coverage"].to_list() == [
        1 - of_level[level]["documents_without_prediction"] for level in tree.levels
    ]  # fmt: skip


def test_calibration_before_and_after_is_that_of_the_files(project: Project, tree: LabelTree) -> None:
    """Against scikit-learn, in the order of levels, splits, and before and after."""
    documents = Documents.read(project.folder / "corpus.parquet", project.folder / "splits.parquet")
    rows = project.table(names.CALIBRATION).to_dicts()
    places = [
        (level, split, whose) for level in tree.levels for split in ("val", "test") for whose in ("network", "combined")
    ]
    assert [(row["level"], row["split"], row["probabilities"]) for row in rows] == places
    for row in rows:
        folder = project.folder / "network" if row["probabilities"] == "network" else project.folder
        scores = documents.scores_of(row["split"], folder / f"{row['split']}.parquet").astype(np.float64)
        columns = tree.columns[row["level"]]
        truth, values = (
            documents.truth[documents.positions(row["split"])][:, columns].ravel(),
            scores[:, columns].ravel(),
        )
        assert row["brier"] == pytest.approx(brier_score_loss(truth, values))
        assert row["log_loss"] == pytest.approx(log_loss(truth, np.clip(values, 1e-7, 1 - 1e-7)))
    after = {(row["level"], row["split"]): row for row in rows if row["probabilities"] == "combined"}
    for row in project.table(names.LEVELS).iter_rows(named=True):
        assert after[row["level"], "test"]["calibration_error"] == row["calibration_error"]
    bands = project.table(names.RELIABILITY)
    assert bands.select("level", "probabilities").unique(maintain_order=True).rows() == [
        (level, whose) for level in tree.levels for whose in ("network", "combined")
    ]
    low, high = (
        bands.filter(level="class", probabilities=whose, low=0.9)["mean_probability"][0]
        for whose in ("network", "combined")
    )
    assert low != high


def test_without_the_network_there_is_no_before(project: Project) -> None:
    assert project.analyse("words", network="", **OPTIONS) == 0
    for name in names.ANALYSIS:
        with_network, without = (project.table(name, folder) for folder in ("analysis", "words"))
        if "probabilities" in with_network.columns:
            with_network = with_network.filter(probabilities="combined")
            assert set(without["probabilities"]) == {"combined"}
        assert without.equals(with_network)
    assert not {name for name in read_provenance(project.folder / "words")["inputs"] if "network" in name}


def test_training_documents_are_those_of_the_split_train(project: Project) -> None:
    corpus = pl.read_parquet(project.folder / "corpus.parquet")
    train = corpus.filter(pl.int_range(pl.len()) % 4 == 0)
    counts = dict(project.table(names.BY_FREQUENCY).select("code", "train_documents").iter_rows())
    for level in ("section", "class"):
        for code in train[level].explode().unique().to_list():
            assert counts[code] == train[level].list.contains(code).sum()


def test_documents_are_grouped_by_what_the_corpus_has(project: Project) -> None:
    corpus = pl.read_parquet(project.folder / "corpus.parquet").filter(pl.int_range(pl.len()) % 4 >= 2)
    groups = project.table(names.BY_GROUP).filter(level="class")
    found = {
        grouping: dict(groups.filter(grouping=grouping).select("group", "documents").iter_rows())
        for grouping in groups["grouping"].unique()
    }
    assert found["office"] == dict(corpus["office"].value_counts().iter_rows())
    years = dict(corpus["filing_year"].value_counts().iter_rows())
    assert found["filing_year"] == {"unknown" if year is None else str(year): n for year, n in years.items()}
    assert found["labels"] == {str(n): count for n, count in corpus["class"].list.len().value_counts().iter_rows()}
    assert found["words"] == {"0 to 49": 100}
    assert list(found["filing_year"])[-1] == "unknown"


def test_columns_that_a_corpus_lacks_are_left_out(project: Project, tree: LabelTree) -> None:
    corpus = pl.read_parquet(project.folder / "corpus.parquet")
    nothing = pl.lit(None, pl.Int16)
    write_corpus(
        project.folder / "less.parquet", corpus.drop("words", "office").with_columns(filing_year=nothing), tree
    )
    assert project.analyse("less", corpus="less.parquet") == 0
    assert set(project.table(names.BY_GROUP, "less")["grouping"]) == {"labels"}


def test_worst_documents_are_as_many_as_asked_for_and_have_no_text(project: Project) -> None:
    worst = project.table(names.WORST_DOCUMENTS)
    assert worst["rank"].to_list() == [1, 2, 3, 4, 5] * 2
    corpus = pl.read_parquet(project.folder / "corpus.parquet")
    for row in worst.filter(level="class").iter_rows(named=True):
        assert row["true"].split("; ") == corpus.filter(document_id=row["document_id"])["class"].to_list()[0]
    content = (project.folder / "analysis" / names.WORST_DOCUMENTS).read_text()
    assert not any(text in content for text in corpus["text"])


def test_what_is_left_to_the_machine_is_on_the_curve_of_test(project: Project) -> None:
    for row in project.table(names.LEVELS).iter_rows(named=True):
        assert row["wanted_precision"] == 0.9 and row["val_precision"] >= 0.9
        curve = project.table(names.RISK_COVERAGE).filter(pl.col("bound") >= row["bound"], level=row["level"])
        assert curve["precision"].to_list()[-1] == row["test_precision"]
        assert curve["coverage"].to_list()[-1] == row["test_coverage"]
        assert row["left_to_person"] == pytest.approx(1 - row["test_coverage"])


def scored(project: Project, split: str) -> Scored:
    documents = Documents.read(project.folder / "corpus.parquet", project.folder / "splits.parquet")
    positions = documents.positions(split)
    scores = documents.scores_of(split, project.folder / f"{split}.parquet")
    return Scored(documents.truth[positions], scores, documents.groups[positions])


def test_options_and_groups_reach_the_guarantees(project: Project, tree: LabelTree) -> None:
    options, evaluation = (
        GuaranteeOptions(**OPTIONS["analysis"]["guarantee"]),
        EvaluationOptions(bootstrap=30, confidence=0.8),
    )
    found = project.table(names.GUARANTEES).to_dicts()
    assert found == guarantees(scored(project, "val"), scored(project, "test"), tree, options, evaluation, seed=5)
    assert found[0]["test_groups"] == 50 and found[0]["bound"] is not None


def test_options_and_groups_reach_the_stability(project: Project, tree: LabelTree) -> None:
    found = project.table(names.STABILITY).to_dicts()
    options = ThresholdOptions(method="per_label")
    case = scored(project, "val"), scored(project, "test"), tree, options, DecodingOptions()
    assert found == stability(*case, refits=3, seed=5)
    measures = read_json(project.folder / "metrics.json")["measures"]
    for row in found:
        if row["quantity"] in measures[row["level"]]:
            assert row["fitted"] == measures[row["level"]][row["quantity"]]


def test_the_same_inputs_give_the_same_bytes_and_their_provenance(project: Project) -> None:
    assert project.analyse("again", **OPTIONS) == 0
    for name in (*names.ANALYSIS, "provenance.json"):
        assert (project.folder / "again" / name).read_bytes() == (project.folder / "analysis" / name).read_bytes()
    provenance = read_provenance(project.folder / "analysis")
    assert provenance["options"].keys() == OPTIONS.keys() and provenance["options"]["analysis"] == OPTIONS["analysis"]
    files = {"corpus", "splits", "val", "test", "thresholds", "network_val", "network_test"}
    assert set(provenance["inputs"]) == files


def test_scores_of_another_split_are_refused(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    swapped = ["--val", project.path("test.parquet"), "--test", project.path("val.parquet")]
    words = [*project.documents(), *swapped, "--thresholds", project.path("thresholds.json")]
    assert main(["analysis", *words, "--analysis", project.path("swapped")]) == 1
    assert "does not belong to the split 'val'" in capsys.readouterr().err


@pytest.mark.parametrize("figure", INPUTS)
def test_figures_are_drawn_from_the_tables(project: Project, figure: str) -> None:
    assert project.draw(figure, figure) == 0
    assert {path.suffix for path in project.folder.glob(f"{figure}.*")} == {".pdf", ".png", ".svg", ".json"}
    roles = {role.replace("-", "_") for role in INPUTS[figure]}
    assert set(read_provenance(project.folder / figure)["inputs"]) == roles


# Damaged tables


def no_rows(text: str) -> str:
    return text.splitlines()[0] + "\n"


def without_last_column(text: str) -> str:
    return "".join(line.rpartition(",")[0] + "\n" for line in text.splitlines())


def with_cell(column: str, value: str):
    """An edit of a table's first row."""

    def edit(text: str) -> str:
        header, first, *rest = text.splitlines()
        cells = first.split(",")
        cells[header.split(",").index(column)] = value
        return "\n".join([header, ",".join(cells), *rest]) + "\n"

    return edit


@pytest.mark.parametrize(
    ("figure", "name", "edit", "words"),
    [
        ("figure4", names.RELIABILITY, without_last_column, "has the columns level, probabilities, low, high, "),
        ("figure4", names.RELIABILITY, with_cell("pairs", "1.5"), "'pairs' has '1.5', not whole numbers"),
        ("figure4", names.RELIABILITY, with_cell("pairs", ""), "'pairs' has None in row 1"),
        ("figure4", names.RELIABILITY, with_cell("share_true", "nan"), "'share_true' has nan in row 1"),
        ("figure4", names.RELIABILITY, with_cell("level", ""), "'level' has None in row 1"),
        ("figure4", names.RELIABILITY, with_cell("level", "field"), None),
        ("figure4", names.RELIABILITY, no_rows, "has no bands of the level 'section'"),
        ("figure4", names.CALIBRATION, no_rows, "has no calibration error of the level 'section'"),
        ("figure4", names.CALIBRATION, with_cell("calibration_error", "low"), "'calibration_error' has 'low', not num"),
        ("figure4", names.RISK_COVERAGE, with_cell("precision", "x"), "'precision' has 'x', not numbers"),
        ("figure4", names.RISK_COVERAGE, with_cell("precision", "inf"), "'precision' has inf in row 1"),
        ("figure4", names.LEVELS, lambda text: "", "is not a readable CSV file"),
        ("figure4", names.LEVELS, no_rows, "figure 4: the analysis has no levels"),
        ("figure4", names.LEVELS, with_cell("bound", ""), None),
        ("figure5", names.BY_FREQUENCY, no_rows, "figure 5: the analysis has no labels"),
        ("figure5", names.BY_FREQUENCY, lambda text: text + "a,b\n", "'title' has None in row"),
        ("figure5", names.BY_FREQUENCY, lambda text: text + "a" * 9 + 9 * ",b" + "\n", "is not a readable CSV file"),
        ("figure5", names.CONFUSION, with_cell("same_parent", "maybe"), "'same_parent' has 'maybe', not true or false"),
        ("figure5", names.CONFUSION, no_rows, None),
        ("figure5", names.BY_GROUP, lambda text: text.replace(",f1", ",F1"), "not level, grouping, group, documents"),
        ("figure5", names.BY_GROUP, with_cell("group", "x"), "figure 5: the group 'x'"),
        ("figure5", names.BY_GROUP, no_rows, None),
    ],
)  # fmt: skip
def test_a_changed_table_is_one_sentence_where_it_cannot_be_drawn(figure, name, edit, words, project, capsys) -> None:
    path = project.folder / "analysis" / name
    before = path.read_bytes()
    try:
        path.write_text(edit(before.decode()))
        capsys.readouterr()
        code = project.draw(figure)
        err = capsys.readouterr().err
    finally:
        path.write_bytes(before)
    assert code == (words is not None), err
    if words is not None:
        assert words in err and err.startswith(f"ipcascade {figure}: ") and err.count("\n") == 1, err


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\x00", b'level,"low\n'])
def test_a_table_that_is_none_is_one_sentence(content, project, capsys) -> None:
    path = project.folder / "analysis" / names.LEVELS
    before = path.read_bytes()
    try:
        path.write_bytes(content)
        assert project.draw("figure4") == 1
        assert str(path) in capsys.readouterr().err
        path.unlink()
        assert project.draw("figure4") == 1
        assert f"{path} does not exist" in capsys.readouterr().err
    finally:
        path.write_bytes(before)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    record = {
        "level": "class", "true": "A01", "predicted": 'B"01,x', "true_title": "a; b\nc", "predicted_title": "ü",
        "same_parent": None, "documents": 3, "weight": 0.1 + 0.2,
    }  # fmt: skip
    records = [record, {**record, "same_parent": False, "weight": 1e-300}]
    write_analysis(tmp_path, names.CONFUSION, records)
    assert read_analysis(tmp_path / names.CONFUSION, names.CONFUSION).to_dicts() == records
    for name in TABLES:
        write_analysis(tmp_path, name, [])
        assert read_analysis(tmp_path / name, name).is_empty()
    with pytest.raises(UserError, match=r"\*\.csv does not exist"):
        read_analysis(tmp_path / "*.csv", names.CONFUSION)
