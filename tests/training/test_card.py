"""The model card, read back as the hub reads it."""

import polars as pl
import pytest
from huggingface_hub import ModelCard

from ipcascade.core.errors import UserError
from ipcascade.training.card import model_card
from ipcascade.training.options import TrainingOptions

ON_HUB = {"name": "an-owner/tiny-bert", "revision": "a1b2c3d4" * 5, "sha256": "0" * 64}
IN_FOLDER = {**ON_HUB, "name": "tiny", "revision": None}
EPOCHS = pl.DataFrame(
    {
        "epoch": [1, 2, 3],
        "train_loss": [9.0, 5.0, 4.0],
        "val_loss": [6.0, 4.56789, 5.0],
        "selected": [False, True, False],
    }
)


def card(levels=("section", "class"), encoder=ON_HUB, selection=("global.class.f1_micro", 0.65432), content="abstract"):
    options = TrainingOptions(loss_weights={"section": 0.25, "default": 1.5}, head_learning_rate=2e-3)
    text = {"content": content, "max_length": 256}
    return model_card(encoder, options, 7, levels, EPOCHS, selection, 1139, "fp32", text)


def rows(text: str) -> dict[str, str]:
    """The rows of all tables of two columns."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return {name: value for name, value in cells}


@pytest.mark.parametrize("levels", [["class"], ["section", "class"], ["section", "class", "subclass"]])
def test_every_level_has_a_row_with_its_loss_weight(levels):
    text = card(levels)
    found = rows(text)
    assert {level: found[level] for level in levels} == {
        level: "0.25" if level == "section" else "1.5" for level in levels
    }
    assert f"# Patent classifier: {', '.join(levels)}\n" in text
    assert ("section" in found) == ("section" in levels)
    assert [name for name in found if name in levels] == levels, "from the top down"


def test_training_is_described():
    text = card()
    found = rows(text)
    assert (found["epochs"], found["seed"], found["precision"]) == ("3", "7", "fp32")
    assert (found["learning rate of the encoder"], found["learning rate of the heads"]) == ("3e-05", "0.002")
    assert "on 1,139 documents" in text and "256 tokens" in text
    assert "epoch 2 of 3, chosen by `global.class.f1_micro` on the validation split: 0.6543." in text
    assert "The validation loss is 4.5679." in text


def test_the_selection_measure_is_an_evaluation_result_on_validation_alone():
    (result,) = ModelCard(card()).data.eval_results
    assert (result.metric_type, result.metric_name) == ("f1", "global.class.f1_micro")
    assert (result.metric_value, result.dataset_split) == (0.6543, "validation")
    assert (result.task_type, result.dataset_type) == ("text-classification", "patents")
    data = ModelCard(card()).data
    assert (data.library_name, data.model_name) == ("ipcascade", "ipcascade-section-class")
    assert "test split\nare not known when the model is exported" in card()


@pytest.mark.parametrize(
    ("measure", "kind"),
    [("reference.reference.h_f1", "f1"), ("class.average_precision_micro", "average_precision_micro"),
     ("val_loss", "val_loss")],
)  # fmt: skip
def test_a_result_has_the_kind_of_its_measure(measure, kind):
    (result,) = ModelCard(card(selection=(measure, 0.5))).data.eval_results
    assert (result.metric_type, result.metric_name) == (kind, measure)


def test_a_measure_without_a_value_is_no_result():
    text = card(selection=("global.class.f1_micro", None))
    assert "model-index" not in text and "which is not defined there" in text
    assert ModelCard(text).data.tags == ["patents", "multi-label", "hierarchical"]


def test_only_an_encoder_from_the_hub_is_a_base_model():
    assert ModelCard(card()).data.base_model == "an-owner/tiny-bert"
    assert f"`an-owner/tiny-bert` at revision {ON_HUB['revision']} (weights" in card()
    assert ModelCard(card(encoder=IN_FOLDER)).data.base_model is None
    assert "Fine-tuned from `tiny` (weights" in card(encoder=IN_FOLDER)
    packaged = {**ON_HUB, "name": "package:a_package/model"}
    assert ModelCard(card(encoder=packaged)).data.base_model is None


def test_the_text_that_the_model_reads_is_named():
    assert "reads the abstract of a patent" in card()
    assert "reads the title and abstract of a patent" in card(content="title_and_abstract")


def test_a_card_holds_no_path_and_is_the_same_when_made_again():
    assert card() == card()
    assert not [word for word in card().split() if word.startswith(("/", "~", "./"))]


def test_the_card_offers_no_pipeline_and_says_why():
    assert ModelCard(card()).data.pipeline_tag is None
    assert "pipelines of transformers have no class with one head per level" in card()


def test_a_level_without_a_loss_weight_is_refused():
    options = TrainingOptions(loss_weights={"section": 1.0})
    with pytest.raises(UserError, match="no value for the level 'class'"):
        model_card(
            ON_HUB, options, 7, ["section", "class"], EPOCHS, ("val_loss", 1.0), 1, "fp32",
            {"content": "abstract", "max_length": 8},
        )  # fmt: skip
