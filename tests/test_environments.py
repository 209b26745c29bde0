"""One source of versions: requirements.txt. The conda environment repeats it, since conda copies that file alone."""

import re

import yaml
from packaging.requirements import Requirement

from support import REPOSITORY

PINS = {
    (requirement := Requirement(line)).name.lower().replace("_", "-"): requirement
    for line in (REPOSITORY / "envs/requirements.txt").read_text().splitlines()
    if line and not line.startswith("#")
}


def test_conda_environment_has_the_same_pins():
    environment = yaml.safe_load((REPOSITORY / "envs/ipcascade.yaml").read_text())
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert {Requirement(line).name.lower().replace("_", "-"): Requirement(line) for line in pip} == PINS


def test_every_dependency_is_pinned_within_its_bounds_and_has_a_reason():
    text = (REPOSITORY / "pyproject.toml").read_text().partition("[tool.")[0]
    declared = re.findall(r'^  "([^"]+)",(.*)$', text, flags=re.MULTILINE)
    assert len(declared) > 15
    for line, reason in declared:
        requirement = Requirement(line)
        assert reason.strip().startswith("# "), f"{line} has no reason"
        (pin,) = PINS[requirement.name.lower()].specifier
        assert pin.operator == "==" and requirement.specifier.contains(pin.version), line
