"""The config: one schema, one set of defaults, one sentence for a wrong key."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ipcascade import config as settings
from ipcascade.config_errors import known_keys
from ipcascade.core.errors import UserError
from ipcascade.core.options import by_level
from ipcascade.core.yaml_files import read_yaml
from ipcascade.evaluation.options import selection_measures
from ipcascade.training.options import selected_by
from support import REPOSITORY

CONFIG_YAML = REPOSITORY / "config/config.yaml"
# Keys of sections that have no defaults: one that may be null, and those below names of a user's.
ONLY_WHERE_GIVEN = ("training.soft_mask.", "matrices.")
SHIPPED = ("demo", "patents_us", "reference")


def test_generated_files_are_those_of_the_options():
    assert settings.default_yaml() == CONFIG_YAML.read_text(), "run `make schema`"
    on_disk = json.loads((REPOSITORY / "workflow/schemas/config.schema.json").read_text())
    assert on_disk == settings.json_schema(), "run `make schema`"


def test_config_yaml_is_the_defaults_in_full():
    assert settings.read(CONFIG_YAML) == settings.read(None) == settings.Config()

    def keys(tree, prefix=""):
        for name, value in tree.items():
            yield f"{prefix}{name}"
            if isinstance(value, dict) and f"{prefix}{name}" not in by_name:
                yield from keys(value, f"{prefix}{name}.")

    by_name = {"training.loss_weights", "history.fixed", "thresholds.fixed", "prediction.inputs", "prediction.labels"}
    inside_null = {key for key in known_keys(settings.Config) if key.startswith(ONLY_WHERE_GIVEN)}
    assert set(keys(yaml.safe_load(CONFIG_YAML.read_text()))) == set(known_keys(settings.Config)) - inside_null


def test_every_key_of_config_yaml_has_a_comment_of_its_own():
    lines = CONFIG_YAML.read_text().splitlines()
    for number, line in enumerate(lines):
        if line.strip() and not line.lstrip().startswith("#") and line.strip() != "colours:":
            assert lines[number - 1].lstrip().startswith("#"), f"{line.strip()} has no comment"


def nodes(schema, key=""):
    """All keys of a schema with their nodes."""
    for name, node in schema.get("properties", {}).items():
        yield f"{key}{name}", node
        yield from nodes(node, f"{key}{name}.")


def test_the_schema_shows_type_default_and_description_of_every_key():
    """As the workflow catalogue's parameter table reads it: no references, one line per description."""
    schema = settings.json_schema()
    text = json.dumps(schema)
    assert "$ref" not in text and "$defs" not in text
    found = dict(nodes(schema))
    assert found.keys() == {key for key in known_keys(settings.Config) if not key.startswith(ONLY_WHERE_GIVEN)}
    defaults = settings.Config().model_dump(mode="json")
    for key, node in found.items():
        assert node["type"] and node["description"], key
        assert "\n" not in node["description"] and "|" not in node["description"], key
        if "properties" in node:
            assert node["type"] == "object" and "default" not in node
            continue
        value = defaults
        for part in key.split("."):
            value = value[part]
        assert node["default"] == value, key
    assert found["training.early_stopping"]["type"] == ["integer", "null"]
    assert found["scoring.precision"]["type"] == "string"


def merged(*paths):
    """Files on top of one another, as Snakemake merges them: key by key."""

    def merge(below, above):
        for key, value in above.items():
            if isinstance(value, dict) and isinstance(below.get(key), dict):
                merge(below[key], value)
            else:
                below[key] = value

    result = {}
    for path in paths:
        merge(result, yaml.safe_load(path.read_text()))
    return settings.load(result)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_configs_mean_the_same_alone_and_on_top_of_config_yaml(name):
    alone = settings.read(REPOSITORY / f"config/{name}.yaml")
    on_top = merged(CONFIG_YAML, REPOSITORY / f"config/{name}.yaml")
    assert alone != settings.Config()
    levels = alone.corpus.levels
    for config in (alone, on_top):
        expected = {"section": 0.3, "class": 0.7} if name == "reference" else {"section": 1.0, "class": 1.0}
        assert by_level(config.training.loss_weights, levels) == expected
    assert by_level(alone.history.fixed, levels) == by_level(on_top.history.fixed, levels)
    without = {"training": {"loss_weights"}, "history": True}
    assert alone.model_dump(exclude=without) == on_top.model_dump(exclude=without)


def test_the_published_recipe():
    config = settings.read(REPOSITORY / "config/reference.yaml")
    assert config.history.fixed == {"section": 0.35, "class": 0.1}
    assert (config.training.mask_confidence, config.decoding.confidence) == (0.1, 0.1)
    assert selected_by(config.training, config.corpus.levels) == "reference.reference.h_f1"


def test_what_is_written_is_what_is_read(tmp_path):
    config = settings.load(
        {
            "seed": 7,
            "thresholds": {"fixed": {"class": 0.2, "default": 0.3}},
            "training": {"head_bias": -2, "soft_mask": {}},
        }
    )
    settings.write(config, tmp_path / "results/run_config.yaml")
    assert settings.read(tmp_path / "results/run_config.yaml") == config
    assert settings.read(tmp_path / "results/run_config.yaml") != settings.Config()


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
        ({"training": {"epochs": 0}}, "config: training.epochs is 0: must be at least 1"),
        ({"splits": {"train": 0.5}}, "config: splits: train, val and test must be positive and sum to 1"),
        (
            {"thresholds": {"fixed": {"class": 2}}},
            "config: thresholds.fixed.class is 2: must be at most 1",
        ),
        (
            {"corpus": {"levels": []}},
            "config: corpus.levels is []: must be a list of at least one item",
        ),
    ],
)
def test_wrong_keys_and_values_are_one_sentence(raw, sentence):
    with pytest.raises(UserError) as failure:
        settings.load(raw)
    assert str(failure.value) == sentence


def test_text_from_the_command_line_is_read():
    """Snakemake's --config 'training={epochs: 3}' gives text for every nested value; YAML gives it for 1e-4."""
    text = {
        "epochs": "3", "encoder_learning_rate": "1e-4", "early_stopping": "null", "head_bias": "-2", "compile": "False",
        "loss_weights": {"default": ".5"},
    }  # fmt: skip
    read = settings.load({"training": text}).training
    assert (read.epochs, read.encoder_learning_rate, read.early_stopping, read.head_bias) == (3, 1e-4, None, -2.0)
    assert read.compile is False and read.loss_weights == {"default": 0.5}


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ({"corpus": {"first_year": 2001, "last_year": 2000}}, "corpus: first_year 2001 is after last_year 2000"),
        ({"training": {"loss_weights": {"section": 0, "class": 0}}}, "all weights are 0, so there is nothing to learn"),
        ({"training": {"loss_weights": {"default": 0}}}, "all weights are 0, so there is nothing to learn"),
        ({"training": {"encoder_learning_rate": float("inf")}}, "training.encoder_learning_rate is inf"),
        ({"training": {"head_bias": "foo"}}, "training.head_bias is 'foo'"),
        (None, "config: the file holds no keys"),
    ],
)
def test_values_that_make_no_sense_are_refused(raw, sentence):
    with pytest.raises(UserError, match=sentence):
        settings.load(raw)


WRITTEN = [
    ("corpus.documents: 100", "unknown key 'corpus.documents'; sections nest, so write corpus: {documents: ...}"),
    (
        "thresholds: {per_label.floor: 1}",
        "unknown key 'thresholds.per_label.floor'; sections nest, so write thresholds: {per_label: {floor: ...}}",
    ),
    ("trainig.epochs: 3", "unknown key 'trainig.epochs'; did you mean 'training.epochs'?"),
    ("training: {batch-size: 8}", "unknown key 'training.batch-size'; did you mean 'training.batch_size'?"),
    ("corpus: {first year: 2000}", "unknown key 'corpus.first year'; did you mean 'corpus.first_year'?"),
    ("Training: {epochs: 3}", "unknown key 'Training'; did you mean 'training'?"),
    ("training: {'': 3}", "unknown key 'training.'; config/config.yaml names every key there is"),
    ("seed: true", "seed is true: must be a whole number"),
    ("seed: 9223372036854775808", "seed is 9223372036854775808: must be at most 9223372036854775807"),
    ("training: {epochs: true}", "training.epochs is true: must be a whole number"),
    ("training: {epochs: 3.0}", "training.epochs is 3.0: must be a whole number"),
    ("training: {epochs: '3.0'}", "training.epochs is '3.0': must be a whole number"),
    ("training: {epochs: '010'}", "training.epochs is '010': must be a whole number"),
    ("training: {epochs: 0o10}", "training.epochs is '0o10': must be a whole number"),
    ("training: {early_stopping: NO}", "training.early_stopping is NO: must be a whole number or null"),
    ("training: {warmup: .nan}", "training.warmup is .nan: must be a finite number"),
    ("training: {gradient_clip: .inf}", "training.gradient_clip is .inf: must be a finite number"),
    ("training: {warmup: true}", "training.warmup is true: must be a number"),
    ("training: {compile: 1}", "training.compile is 1: must be true or false"),
    ("training: {head_bias: x}", "training.head_bias is 'x': must be 'prior' or a number"),
    ("scoring: {precision: fp8}", "scoring.precision is 'fp8': must be 'auto', 'fp16', 'bf16', 'fp32' or 'int8'"),
    (
        "corpus: {offices: [SE, NO]}",
        "corpus.offices, item 2 is NO: must be text; YAML reads it as false, so put it in quotes: 'NO'",
    ),
    (
        "corpus: {language: 2001-01-01}",
        "corpus.language is 2001-01-01: must be text; YAML reads it as a date, so put it in quotes: '2001-01-01'",
    ),
    ("source: {path: 2024}", "source.path is 2024: must be text or null; put it in quotes: '2024'"),
    ("source: {path: ' '}", "source.path is ' ': must not be empty"),
    (r'source: {path: "a\0b"}', r"source.path is 'a\x00b': must be one line of text without control characters"),
    ("corpus: {offices: EP}", "corpus.offices is 'EP': must be a list such as [EP] or null"),
    ("corpus: {offices: []}", "corpus.offices is []: must be a list of at least one item"),
    ("corpus: {ipr_types: []}", "corpus.ipr_types is []: must be a list of at least one item"),
    (
        "corpus: {office_preference: [EP, US, EP]}",
        "corpus.office_preference is ['EP', 'US', 'EP']: 'EP' is in the list more than once",
    ),
    ("corpus: {levels: [class, class]}", "corpus.levels is ['class', 'class']: 'class' is in the list more than once"),
    ("corpus: {first_year: 20010}", "corpus.first_year is 20010: must be at most 9999 or null"),
    ("corpus: {documents: 3000000000}", "corpus.documents is 3000000000: must be at most 2147483647 or null"),
    ("corpus:", "corpus is null: must be a section with keys of its own"),
    ("corpus: [a]", "corpus is ['a']: must be a section with keys of its own"),
    ("figures: {colours: {accent: red}}", "figures.colours.accent is 'red': must be # and six hexadecimal digits"),
    (
        "prediction: {inputs: {a b: x.csv}}",
        "the key 'prediction.inputs.a b' must be a name of letters, digits, - and _",
    ),
    ("splits: {train: 0.5}", "splits: train, val and test must be positive and sum to 1"),
    ("splits: {by: time}", "splits.by is 'time': must be 'labels', 'year' or 'office'"),
    ("splits: {by: office}", "splits: by is 'office', so test_offices must name the offices of the test split"),
    (
        "splits: {by: office, test_offices: []}",
        "splits.test_offices is []: must be a list of at least one item or null",
    ),
    (
        "splits: {by: office, test_offices: [JP, KR, JP]}",
        "splits.test_offices is ['JP', 'KR', 'JP']: 'JP' is in the list more than once",
    ),
    ("splits: {test_offices: [JP]}", "splits: test_offices is given, but by is 'labels'; set by to 'office', or"),
    ("splits: {by: year, test_offices: [JP]}", "splits: test_offices is given, but by is 'year'; set by to 'office'"),
    ("training: {select_by: x}", "training.select_by: there is no measure 'x' to choose an epoch by"),
]


@pytest.mark.parametrize(("text", "sentence"), WRITTEN)
def test_errors_name_file_and_line_and_what_was_written(tmp_path, monkeypatch, text, sentence):
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(f"\n{text}\n")
    with pytest.raises(UserError) as failure:
        settings.read(Path("mine.yaml"))
    assert str(failure.value).startswith(f"mine.yaml, line 2: {sentence}")


def test_an_error_is_blamed_on_the_file_that_has_the_value(tmp_path, monkeypatch):
    """As Snakemake merges files and --config: the last one wins."""
    monkeypatch.chdir(tmp_path)
    Path("one.yaml").write_text("training: {epochs: 3, batch_size: 8}")
    Path("two.yaml").write_text("training:\n  epochs: 0\nthresholds: {fixed: {default: 0.5, b: 1}}")
    files = [read_yaml(Path(name)) for name in ("one.yaml", "two.yaml")]
    for fixed, where in (({"default": 0.5}, "two.yaml, line 3: "), ({"clas": 0.5, "default": 0.5}, "config: ")):
        with pytest.raises(UserError, match=f"^{where}thresholds.fixed: "):
            settings.load({"corpus": {"levels": ["a"]}, "thresholds": {"fixed": fixed | {"b": 1}}}, files)
    for epochs, where in ((0, "two.yaml, line 2: "), (-1, "config: ")):
        with pytest.raises(UserError, match=f"^{where}training.epochs is {epochs}: must be at least 1"):
            settings.load({"training": {"epochs": epochs, "batch_size": 8}}, files)
    with pytest.raises(UserError, match=r"^two\.yaml: the file holds no keys"):
        settings.load([1], files)


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (
            {"corpus": {"offices": [False]}},
            "YAML reads NO, OFF and the like as false, YES and ON as true, so",
        ),
        ({1: 2}, "the key '1' must be text; put it in quotes"),
        ({"\ud800": 2}, r"the key '\\ud800' is not text that can be written to a file"),
        ({"thresholds": {"fixed": {False: 1}}}, "the key 'thresholds.fixed.False' must be text; YAML reads NO"),
        ({"corpus": {"offices": {"EP"}}}, "corpus.offices is {'EP'}: must be a list or null"),
    ],
)
def test_what_only_python_can_hold_is_refused_too(raw, sentence):
    with pytest.raises(UserError, match=f"^config: .*{sentence}"):
        settings.load(raw)


DEEP = {"levels": ["section", "class", "subclass"]}


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (
            {"training": {"select_by": "nonsense"}},
            "training.select_by: there is no measure 'nonsense' to choose an epoch by; there are global.class.f1_micro",
        ),
        (
            {"training": {"select_by": "global.subclass.f1_micro"}},
            "there is no measure 'global.subclass.f1_micro' to choose an epoch by",
        ),
        (
            {"corpus": {"levels": ["class"]}, "training": {"select_by": "reference.reference.h_f1"}},
            "there is no measure 'reference.reference.h_f1'",
        ),
        (
            {"thresholds": {"fixed": {"clas": 0.2, "default": 0.5}}},
            "thresholds.fixed: 'clas' is not a level; corpus.levels has section, class",
        ),
        ({"history": {"fixed": {"class": 0.2}}}, "history.fixed: there is no value for the level 'section', and no"),
        (
            {"corpus": DEEP, "training": {"loss_weights": {"section": 1, "class": 1}}},
            "training.loss_weights: there is no value for the level 'subclass', and no 'default'",
        ),
        ({"corpus": DEEP, "thresholds": {"method": "reference"}}, "reference is defined for two levels"),
        (
            {"decoding": {"at_most": {"subclass": 2, "default": 1}}},
            "decoding.at_most: 'subclass' is not a level; corpus.levels has section, class",
        ),
    ],
)
def test_what_does_not_fit_the_levels_is_refused(raw, sentence):
    with pytest.raises(UserError, match=f"^config: .*{sentence}"):
        settings.load(raw)


def test_defaults_fit_any_levels():
    for levels in (["field"], ["section", "class", "subclass"], ["a", "b", "c", "d"]):
        config = settings.load({"corpus": {"levels": levels}})
        assert by_level(config.training.loss_weights, levels)[levels[-1]] == (0.7 if levels[-1] == "class" else 1.0)
        assert selected_by(config.training, levels) == f"global.{levels[-1]}.f1_micro"
        for measure in selection_measures(levels):
            settings.load({"corpus": {"levels": levels}, "training": {"select_by": measure}})


def test_by_level_takes_the_default_for_levels_that_are_not_named():
    assert by_level({"default": 0.5, "class": 0.1}, ["section", "class"]) == {"section": 0.5, "class": 0.1}
    with pytest.raises(UserError, match="there is no value for the level 'section', and no 'default'"):
        by_level({"class": 0.1}, ["section", "class"])


def test_sections_and_single_keys_are_given_as_plain_data():
    config = settings.load({"seed": 7, "training": {"epochs": 2}})
    found = settings.section_options(config, "seed", "splits", "training.epochs")
    assert found == {
        "seed": 7,
        "splits": {
            "by": "labels", "test_offices": None, "train": 0.7, "val": 0.1, "test": 0.2, "rare_labels": "refuse",
        },
        "training.epochs": 2,
    }  # fmt: skip


def test_the_config_needs_nothing_heavier_than_pydantic():
    """Snakemake loads it where Snakemake alone is installed."""
    heavy = ("numpy", "polars", "pyarrow", "torch", "scipy", "sklearn", "transformers", "matplotlib")
    program = f"import sys, ipcascade.config; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY / "workflow", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
