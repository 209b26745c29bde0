"""The RO-Crate of a run: its files are what it says, it follows its profile, and tells nothing of the machine."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from ipcascade.cli import main
from ipcascade.core.files import file_checksum
from ipcascade.core.provenance import read_provenance
from support import REPOSITORY, config_file

VALIDATOR = REPOSITORY / ".validator/bin/python"
FILES = (
    "corpus/funnel.json", "metrics/val.json", "metrics/test.json", "analysis/confusion.csv", "figures/figure3.svg",
    "figures/figure3.pdf", "matrices/funders.csv",
)  # fmt: skip
RELEASE = {"name": "a-model", "licence": "cc-by-4.0", "edition": "PATSTAT Global, Autumn 2025"}


def crate(reported, folder, **release):
    workflow = [REPOSITORY / "workflow/Snakefile", *sorted((REPOSITORY / "workflow/rules").glob("*.smk"))]
    given = [str(reported / "results" / name) for name in FILES]
    inputs = {"inputs": {"new": "/home/somebody/new.csv"}}
    config = config_file(folder, release={**RELEASE, **release}, prediction=inputs)
    return main([
        "crate", "--results", str(reported / "results"), "--files", *given, "--workflow", *map(str, workflow),
        "--crate", str(folder / "crate"), "--config", str(config),
    ])  # fmt: skip


@pytest.fixture(scope="module")
def written(reported, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("crate")
    assert crate(reported, folder, authors=["Ada Lovelace", "Grace Hopper"]) == 0
    return folder / "crate"


@pytest.fixture(scope="module")
def entities(written):
    graph = json.loads((written / "ro-crate-metadata.json").read_text())["@graph"]
    return {entity["@id"]: entity for entity in graph}


def test_every_file_is_there_and_is_the_one_that_is_described(written, entities, reported):
    files = {path.relative_to(written).as_posix() for path in written.rglob("*") if path.is_file()}
    described = {name for name, entity in entities.items() if "File" in entity["@type"]}
    assert files - {"ro-crate-metadata.json"} == described
    assert described >= {*FILES, "run_config.yaml", "README.md", "workflow/Snakefile", "workflow/rules/training.smk"}
    for name in described:
        assert entities[name]["sha256"] == file_checksum(written / name), name
    for name in FILES:
        assert (written / name).read_bytes() == (reported / "results" / name).read_bytes()


def test_the_run_is_an_action_of_the_workflow(entities):
    root, run = entities["./"], entities["#run"]
    assert root["mainEntity"] == {"@id": "workflow/Snakefile"} == run["instrument"]
    assert {"@id": "metrics/test.json"} in run["result"]
    assert {"@id": "https://w3id.org/ro/wfrun/workflow/0.5"} in root["conformsTo"]
    assert root["license"] == {"@id": "https://spdx.org/licenses/CC-BY-4.0"}
    assert [entities[author["@id"]]["name"] for author in root["author"]] == ["Ada Lovelace", "Grace Hopper"]
    assert entities["#source"]["name"] == "PATSTAT Global, Autumn 2025"


def test_results_are_linked_to_what_they_were_made_from(entities, reported):
    """A figure in several formats is the result of one action; what is not in the crate is known by its checksum."""
    made = {entity["name"]: entity for entity in entities.values() if entity["@type"] == "CreateAction"}
    figure = made["Making figures/figure3.svg"]
    assert {result["@id"] for result in figure["result"]} == {"figures/figure3.svg", "figures/figure3.pdf"}
    of_metrics = read_provenance(reported / "results/metrics/test.json")["inputs"]
    objects = {item["@id"] for item in made["Making metrics/test.json"]["object"]}
    assert objects == {f"#sha256-{checksum}" for checksum in of_metrics.values()}
    history = read_provenance(reported / "results/figures/figure3.svg")["inputs"]["history"]
    assert figure["object"] == {"@id": f"#sha256-{history}"} and entities[f"#sha256-{history}"]["name"] == "history"
    # Tables of the error analysis share the provenance of their folder.
    of_analysis = read_provenance(reported / "results/analysis")["inputs"]
    made_of = made["Making analysis/confusion.csv"]["object"]
    assert len(made_of) == len(set(of_analysis.values())) and "endTime" in made["Making analysis/confusion.csv"]


def test_nothing_tells_of_the_machine(written, reported):
    for path in written.rglob("*"):
        if path.suffix in (".json", ".yaml", ".md", ".csv", ".svg"):
            text = path.read_text()
            assert str(reported) not in text and "/home/somebody" not in text and str(REPOSITORY) not in text, path


def test_files_outside_of_the_results_are_refused(reported, tmp_path, capsys):
    words = ["--results", str(tmp_path), "--files", str(reported / "results/metrics/test.json")]
    assert main(["crate", *words, "--workflow", str(REPOSITORY / "workflow/Snakefile"), "--crate", str(tmp_path / "c")])
    assert "is not in the results folder" in capsys.readouterr().err and not (tmp_path / "c").exists()


@pytest.mark.skipif(not VALIDATOR.exists(), reason="the validator is not installed (tests/crate-validator-install)")
@pytest.mark.parametrize("damaged", [False, True])
def test_the_validator_finds_that_it_follows_the_profile(written, tmp_path, damaged):
    copy = shutil.copytree(written, tmp_path / "crate")
    if damaged:
        text = (copy / "ro-crate-metadata.json").read_text()
        (copy / "ro-crate-metadata.json").write_text(text.replace('"ComputationalWorkflow"', '"SoftwareApplication"'))
    script = REPOSITORY / "tests/commands/validate_crate.py"
    done = subprocess.run(
        [VALIDATOR, script, copy, "workflow-run-crate"], capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == int(damaged), done.stdout + done.stderr
    assert ("REQUIRED" in done.stdout) == damaged


def test_without_authors_and_licence_it_is_valid_too(reported, tmp_path):
    assert crate(reported, tmp_path, licence=None) == 0
    if VALIDATOR.exists():
        script = REPOSITORY / "tests/commands/validate_crate.py"
        subprocess.run([VALIDATOR, script, tmp_path / "crate", "workflow-run-crate"], check=True)
    text = (tmp_path / "crate/ro-crate-metadata.json").read_text()
    assert "no licence stated" in text and "Person" not in text
