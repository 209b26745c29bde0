"""Copies of the workflow that a test may run and edit, with a small synthetic delivery and the tiny encoder."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from support import REPOSITORY

CONFIG = {
    "source": {"kind": "demo", "demo": {"documents": 500}},
    "corpus": {"documents": None},
    "splits": {"rare_labels": "keep"},
    "tokens": {"max_length": 48},
    "training": {"epochs": 2, "encoder_learning_rate": 1.0e-3, "head_learning_rate": 1.0e-2},
    "evaluation": {"bootstrap": 20},
    "figures": {"resolution": 72},
}


SHOWN_COMMAND = re.compile(r"^ *Shell command: (.*)$", flags=re.MULTILINE)


class Project:
    """A folder with Snakefile, workflow, config and profiles, in which Snakemake is run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def snakemake(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("SNAKEMAKE")}
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", *arguments],
            cwd=self.folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout
        return done

    def run(self, *targets: str) -> set[str]:
        """Make targets; return the names of the rules that ran."""
        return rules_in(
            self.snakemake("--profile", "profiles/local", "--configfile", "mine.yaml", "--", *targets).stdout
        )

    def planned(self, *targets: str) -> set[str]:
        """The names of the rules that a dry run would run."""
        arguments = ["--profile", "profiles/local", "--configfile", "mine.yaml", "--dry-run", "--", *targets]
        return rules_in(self.snakemake(*arguments).stdout)

    def configure(self, **sections: dict) -> None:
        """Write mine.yaml: the test's config with some sections' keys on top."""
        merged = {name: {**CONFIG.get(name, {}), **sections.get(name, {})} for name in CONFIG.keys() | sections.keys()}
        merged["encoder"] = {"name": "encoder", "revision": None}
        (self.folder / "mine.yaml").write_text(yaml.safe_dump(merged))


@contextmanager
def edited(path: Path, edit: Callable[[str], str]) -> Iterator[None]:
    """A file with other contents, put back afterwards with its old time."""
    before, times = path.read_text(), path.stat()
    after = edit(before)
    assert after != before
    path.write_text(after)
    try:
        yield
    finally:
        path.write_text(before)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def rules_in(output: str) -> set[str]:
    return set(re.findall(r"^ *(?:local)?rule (\w+):", output, flags=re.MULTILINE))


def copy_of_project(folder: Path, encoder: Path) -> Project:
    for name in ("Snakefile", "workflow", "config", "profiles", "envs"):
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, folder / name)
    shutil.copytree(encoder, folder / "encoder")
    project = Project(folder)
    project.configure()
    return project
