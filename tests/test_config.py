"""The config: one schema, one set of defaults, one sentence for a wrong key."""

import json

import pytest
import yaml

from ipcascade import config as settings
from ipcascade.errors import UserError
from support import REPOSITORY


def test_schema_on_disk_is_the_models():
    on_disk = json.loads((REPOSITORY / "workflow/schemas/config.schema.json").read_text())
    assert on_disk == settings.Config.model_json_schema(), "run `make schema`"


def test_config_yaml_is_the_defaults_in_full():
    text = (REPOSITORY / "config/config.yaml").read_text()
    given = settings.load(yaml.safe_load(text))
    assert given == settings.Config()

    def keys(tree, prefix=""):
        for name, value in tree.items():
            yield f"{prefix}{name}"
            if isinstance(value, dict):
                yield from keys(value, f"{prefix}{name}.")

    inside_null = {key for key in settings.known_keys() if key.startswith("training.soft_mask.")}
    assert set(keys(yaml.safe_load(text))) == set(settings.known_keys()) - inside_null


def test_every_key_of_config_yaml_has_a_comment():
    lines = (REPOSITORY / "config/config.yaml").read_text().splitlines()
    for number, line in enumerate(lines):
        key = line.strip().split(":")[0]
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        # A comment may stand over several keys of one kind (train, val and test).
        indent = len(line) - len(line.lstrip())
        above = number - 1
        while lines[above].strip() and not lines[above].lstrip().startswith("#"):
            assert len(lines[above]) - len(lines[above].lstrip()) >= indent, f"{key} has no comment"
            above -= 1
        assert lines[above].lstrip().startswith("#"), f"{key} has no comment"


@pytest.mark.parametrize("name", ["demo", "patents_us", "reference"])
def test_shipped_configs_load(name):
    raw = yaml.safe_load((REPOSITORY / f"config/{name}.yaml").read_text())
    assert settings.load(raw) != settings.Config()


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ({"trainig": {}}, "config: unknown key 'trainig'; did you mean 'training'?"),
        ({"training": {"epoch": 3}}, "config: unknown key 'training.epoch'; did you mean 'training.epochs'?"),
        (
            {"training": {"max_length": 3}},
            "config: unknown key 'training.max_length'; did you mean 'tokens.max_length'?",
        ),
        ({"xyzzy": 1}, "config: unknown key 'xyzzy'; config/config.yaml names every key there is"),
        ({"training": {"epochs": 0}}, "config: training.epochs is 0: input should be greater than or equal to 1"),
        ({"splits": {"train": 0.5}}, "config: splits: train, val and test must be positive and sum to 1"),
    ],
)
def test_wrong_keys_and_values_are_one_sentence(raw, sentence):
    with pytest.raises(UserError) as failure:
        settings.load(raw)
    assert str(failure.value) == sentence


def test_text_from_the_command_line_is_read():
    """Snakemake's --config 'training={epochs: 3}' gives text for every nested value; YAML gives it for 1e-4."""
    text = {"epochs": "3", "encoder_learning_rate": "1e-4", "early_stopping": "null", "head_bias": "-2"}
    read = settings.load({"training": text}).training
    assert (read.epochs, read.encoder_learning_rate, read.early_stopping, read.head_bias) == (3, 1e-4, None, -2.0)


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ({"corpus": {"first_year": 2001, "last_year": 2000}}, "corpus: first_year 2001 is after last_year 2000"),
        ({"training": {"section_weight": 0, "class_weight": 0}}, "both 0, so there is nothing to learn"),
        ({"training": {"encoder_learning_rate": float("inf")}}, "training.encoder_learning_rate is inf"),
        ({"training": {"head_bias": "foo"}}, "training.head_bias is 'foo'"),
        (None, "config: the file holds no keys"),
    ],
)
def test_values_that_make_no_sense_are_refused(raw, sentence):
    with pytest.raises(UserError, match=sentence):
        settings.load(raw)


def test_options_survive_the_command_line():
    config = settings.load({"seed": 7, "thresholds": {"fixed": {"class": 0.2}}, "training": {"head_bias": -2}})
    text = json.dumps(settings.section_options(config, "seed", "thresholds", "training"))
    again = settings.parse_options(text)
    assert (again.seed, again.thresholds, again.training) == (7, config.thresholds, config.training)
    assert again.thresholds.fixed.class_ == 0.2
    assert again.corpus == settings.CorpusOptions()
