"""The mutation run: what it is told to change and to try exists, and its table counts what mutmut noted."""

import json
import tomllib

from benchmarks import mutants
from support import REPOSITORY


def test_the_folders_that_are_changed_and_tried_exist():
    options = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["mutmut"]
    folders = [pattern.removeprefix("src/").removesuffix("/*") for pattern in options["only_mutate"]]
    assert all(list((REPOSITORY / "workflow" / folder).glob("*.py")) for folder in folders)
    assert all(list((REPOSITORY / tests).glob("test_*.py")) for tests in options["pytest_add_cli_args_test_selection"])


def test_code_and_tests_are_found_in_the_folder_of_the_run(tmp_path):
    for _ in range(2):
        mutants.prepare(tmp_path / "run")
    assert (tmp_path / "run/src/ipcascade/evaluation/flat.py").is_file()
    assert (tmp_path / "run/tests/support.py").is_file()
    assert (tmp_path / "run/pyproject.toml").is_file()


def test_outcomes_are_those_that_mutmut_noted(tmp_path):
    noted = {
        "ipcascade.splits.groups.x_of__mutmut_1": 1,
        "ipcascade.splits.groups.x_of__mutmut_2": 0,
        "ipcascade.splits.groups.x_of__mutmut_3": 33,
        "ipcascade.splits.groups.x_of__mutmut_4": -24,
        "ipcascade.splits.groups.x_of__mutmut_5": -11,
        "ipcascade.splits.groups.x_of__mutmut_6": None,
    }
    meta = tmp_path / "mutants/src/ipcascade/splits/groups.py.meta"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"exit_code_by_key": noted}))
    found = mutants.outcomes(tmp_path)
    assert list(found.values()) == ["killed", "survived", "untested", "timeout", "unknown"], "not tried: left out"


def test_the_table_has_a_row_per_module_and_one_for_all():
    names = ("flat.x_a__mutmut_1", "flat.x_a__mutmut_2", "flat.x_b__mutmut_1", "threshold_methods.fit.x_c__mutmut_1")
    outcomes = ("killed", "timeout", "survived", "untested")
    found = {f"ipcascade.evaluation.{name}": outcome for name, outcome in zip(names, outcomes, strict=True)}
    assert mutants.table(found).splitlines()[2:] == [
        "| evaluation/flat.py | 3 | 2 (1) | 1 | 0 | 33.3 |",
        "| evaluation/threshold_methods/fit.py | 1 | 0 (0) | 0 | 1 | 100.0 |",
        "| **all** | 4 | 2 (1) | 1 | 1 | 50.0 |",
    ]
