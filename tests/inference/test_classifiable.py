"""Which texts are not classifiable, and how predictions say so."""

import numpy as np
import polars as pl
import pytest

from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import LabelTree
from ipcascade.inference.options import PredictionOptions
from ipcascade.inference.prediction import Prediction
from ipcascade.inference.prediction_tables import table_of

TREE = LabelTree(("section",), (2,), ("A", "B"), (-1, -1), ("ay", "bee"))
TEXTS = pl.DataFrame({"document_id": ["sure", "unsure", "without", "far"], "text": ["a"] * 4})


def prediction(neighbours=True):
    similarities = np.array([[0.9, 0.1], [0.5, 0.2], [0.5, 0.5], [0.1, 0.0]], dtype=np.float32)
    return Prediction(
        np.array([[True, False], [True, True], [False, False], [True, False]]),
        np.array([[0.9, 0.2], [0.9, 0.5], [0.3, 0.3], [0.9, 0.0]], dtype=np.float32),
        TREE, np.zeros(4, dtype=np.float32),
        [["x", "y"]] * 4 if neighbours else None, similarities if neighbours else None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("bounds", "classifiable"),
    [
        ({}, [True, True, True, True]),
        ({"least_confidence": 0.01}, [True, True, False, True]),
        ({"least_confidence": 0.5}, [True, True, False, True]),  # 0.5 itself is enough
        ({"least_confidence": 0.51}, [True, False, False, True]),
        ({"least_similarity": 0.5}, [True, True, True, False]),
        ({"least_confidence": 0.51, "least_similarity": 0.6}, [True, False, False, False]),
    ],
)
def test_a_text_below_one_bound_is_not_classifiable(bounds, classifiable):
    options = PredictionOptions(**bounds)
    assert table_of(TEXTS, prediction(), options)["classifiable"].to_list() == classifiable
    long = table_of(TEXTS, prediction(), options.model_copy(update={"layout": "long"}))
    of_text = dict(long.select("document_id", "classifiable").iter_rows())
    assert of_text == dict(zip(TEXTS["document_id"], classifiable, strict=True))


def test_labels_stay_for_a_person_to_see():
    strict = table_of(TEXTS, prediction(), PredictionOptions(least_confidence=0.99))
    loose = table_of(TEXTS, prediction(), PredictionOptions())
    assert not strict["classifiable"].any() and strict.drop("classifiable").equals(loose.drop("classifiable"))


def test_a_similarity_that_is_not_there_cannot_be_asked_for():
    with pytest.raises(UserError, match=r"^prediction\.least_similarity needs similarities"):
        table_of(TEXTS, prediction(neighbours=False), PredictionOptions(least_similarity=0.2))
    assert table_of(TEXTS, prediction(neighbours=False), PredictionOptions(least_confidence=0.5)).height == 4
