"""What is said of all predictions of a table: counted again row by row, of wide and of long tables."""

from statistics import median

import polars as pl
import pytest

from ipcascade.cli import main
from ipcascade.core.errors import UserError
from ipcascade.core.files import read_json
from ipcascade.core.schemas import PredictionFacts
from ipcascade.inference.prediction_facts import prediction_facts

ROWS = [
    {"section": ["A"], "class": ["A01"], "confidence": 0.9, "classifiable": True, "cut_off": 0.0, "similarity": 0.5},
    {"section": ["A", "B"], "class": [], "confidence": 0.5, "classifiable": True, "cut_off": 0.25, "similarity": 0.25},
    {"section": [], "class": [], "confidence": 0.0, "classifiable": False, "cut_off": 0.0, "similarity": -0.5},
    {"section": ["B"], "class": [], "confidence": 0.25, "classifiable": False, "cut_off": 0.5, "similarity": 0.75},
]


def wide(path, **changes):
    frame = pl.DataFrame([{"document_id": str(n), **row} for n, row in enumerate(ROWS)])
    frame = frame.with_columns(pl.col("confidence", "cut_off", "similarity").cast(pl.Float32))
    for name in [name for name, dropped in changes.items() if dropped is None]:
        frame = frame.drop(name)
    frame.write_parquet(path)
    return path


def test_a_wide_table_is_counted_as_its_rows_are(tmp_path):
    assert prediction_facts(wide(tmp_path / "p.parquet"), ["section", "class"]) == {
        "texts": len(ROWS),
        "without_label": {level: sum(not row[level] for row in ROWS) for level in ("section", "class")},
        "unclassifiable": sum(not row["classifiable"] for row in ROWS),
        "cut_off": sum(row["cut_off"] > 0 for row in ROWS),
        "unsure": sum(row["confidence"] < 0.5 for row in ROWS),
        "median_confidence": median(row["confidence"] for row in ROWS),
        "median_similarity": median(row["similarity"] for row in ROWS),
    }


def test_without_neighbours_there_is_no_similarity(tmp_path):
    facts = prediction_facts(wide(tmp_path / "p.parquet", similarity=None), ["section"])
    assert facts["median_similarity"] is None and facts["without_label"] == {"section": 1}


def test_of_a_long_table_nothing_is_known(tmp_path):
    """A text without a label and without a probability above the floor has no row there."""
    pl.DataFrame({"document_id": ["a"], "label": ["A"], "probability": [0.5]}).write_parquet(tmp_path / "p.parquet")
    facts = prediction_facts(tmp_path / "p.parquet", ["section"])
    assert facts.pop("without_label") == {} and set(facts.values()) == {None}


def test_without_named_neighbours_there_is_no_similarity_either(tmp_path):
    frame = pl.read_parquet(wide(tmp_path / "p.parquet")).with_columns(similarity=pl.lit(-1.0, pl.Float32))
    frame.write_parquet(tmp_path / "p.parquet")
    assert prediction_facts(tmp_path / "p.parquet", ["section"])["median_similarity"] is None


@pytest.mark.parametrize("rows", [0, 4])
def test_the_command_writes_what_its_schema_says(tmp_path, rows):
    pl.read_parquet(wide(tmp_path / "p.parquet"))[:rows].write_parquet(tmp_path / "p.parquet")
    words = ["--predictions", str(tmp_path / "p.parquet"), "--facts", str(tmp_path / "p.json")]
    assert main(["prediction_facts", *words]) == 0
    assert read_json(tmp_path / "p.json", PredictionFacts)["texts"] == rows


def test_a_table_of_another_version_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"p\.parquet lacks the column 'classifiable'; .* make it again"):
        prediction_facts(wide(tmp_path / "p.parquet", classifiable=None), ["section"])
