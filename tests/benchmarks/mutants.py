"""Mutants: small changes of the code one at a time, each of which some test should notice. Hours.

    python tests/benchmarks/mutants.py [--processes 2] [NAME ...]

mutmut (envs/mutants.txt; its options are in pyproject.toml) makes them and runs, for each, the tests that call the
changed function, until one fails. NAME, with * for any letters, chooses some: 'ipcascade.splits.*'. What is known from
an earlier run stays, unless the function or its tests are others: delete the folder .mutants to begin anew.

Prints a Markdown table of the modules, for docs/benchmarks.md, and writes the change of each survivor to
.mutants/survivors.diff.
"""

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
# mutmut names mutants after their place below src/, which must be the name that Python imports them by.
LINKS = {"src": "workflow", "tests": "tests", "config": "config", "pyproject.toml": "pyproject.toml"}
KILLED, SURVIVED, TIMEOUT, UNTESTED, UNKNOWN = "killed", "survived", "timeout", "untested", "unknown"
# Exit codes of pytest and of a process that was killed, as mutmut notes them by mutant.
OUTCOMES = {1: KILLED, 3: KILLED, 0: SURVIVED, 5: UNTESTED, 33: UNTESTED, 36: TIMEOUT, -24: TIMEOUT, 24: TIMEOUT,
            152: TIMEOUT, 255: TIMEOUT}  # fmt: skip


def prepare(folder: Path) -> None:
    """A folder in which mutmut finds code and tests, and works on copies of them."""
    # Python overlooks later what is not there when it starts, and mutmut fills these only then.
    for name in ("src", "tests"):
        (folder / "mutants" / name).mkdir(parents=True, exist_ok=True)
    for name, place in LINKS.items():
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(REPOSITORY / place)


def run_mutmut(folder: Path, *words: str, quiet: bool = False) -> str:
    """Run mutmut so that processes which the tests start import the mutants, too. Exits where it fails."""
    copies = folder / "mutants"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(copies / name) for name in ("src", "tests")),
        "OMP_NUM_THREADS": "1",
        "POLARS_MAX_THREADS": "1",
        # They collect garbage several times at the end of each pytest: longer than the tests of most mutants take.
        "PYTEST_ADDOPTS": "-p no:unraisableexception -p no:threadexception",
    }
    command = [str(Path(sys.executable).with_name("mutmut")), *words]
    done = subprocess.run(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE if quiet else None, check=False
    )
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout or ""


def outcomes(folder: Path) -> dict[str, str]:
    """The outcome of each mutant that was tried: {name: outcome}."""
    found = {}
    for path in sorted(folder.glob("mutants/src/ipcascade/**/*.meta")):
        codes = json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
        found |= {name: OUTCOMES.get(code, UNKNOWN) for name, code in codes.items() if code is not None}
    return found


def module_of(mutant: str) -> str:
    """ipcascade.evaluation.flat.x_flat_measures__mutmut_1 -> evaluation/flat.py"""
    return "/".join(mutant.split(".")[1:-1]) + ".py"


def table(found: Mapping[str, str]) -> str:
    """A Markdown table with a row per module and one for all. A time-out counts as killed, in brackets."""
    by_module: dict[str, Counter[str]] = {}
    for mutant, outcome in found.items():
        by_module.setdefault(module_of(mutant), Counter())[outcome] += 1
    rows = [
        "| module | mutants | killed (by time-out) | survived | without a test | survived, % |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    everything = sum(by_module.values(), Counter())
    for name, counts in [*sorted(by_module.items()), ("**all**", everything)]:
        rows.append(row(name, counts))
    return "\n".join(rows)


def row(name: str, counts: Counter[str]) -> str:
    """One module's row; what has no test has survived, too."""
    mutants, alive = counts.total(), counts[SURVIVED] + counts[UNTESTED] + counts[UNKNOWN]
    killed = f"{counts[KILLED] + counts[TIMEOUT]:,} ({counts[TIMEOUT]})"
    share = f"{100 * alive / mutants:.1f}" if mutants else ""
    return f"| {name} | {mutants:,} | {killed} | {counts[SURVIVED] + counts[UNKNOWN]} | {counts[UNTESTED]} | {share} |"


def differences(folder: Path, mutants: Iterable[str]) -> str:
    """What each of the mutants changes, as mutmut shows it."""
    return "\n".join(run_mutmut(folder, "show", name, quiet=True) for name in mutants)


def main() -> None:
    """Make the mutants, try them, and tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="mutants tried at once (default: cores)")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="mutants to try, with * for any letters (default: all)"
    )
    arguments = parser.parse_args()
    folder = REPOSITORY / ".mutants"
    prepare(folder)
    run_mutmut(folder, "run", "--max-children", str(arguments.processes), *arguments.names)
    found = outcomes(folder)
    survivors = [name for name, outcome in found.items() if outcome in (SURVIVED, UNTESTED, UNKNOWN)]
    (folder / "survivors.diff").write_text(differences(folder, survivors), encoding="utf-8")
    print(table(found))


if __name__ == "__main__":
    main()
