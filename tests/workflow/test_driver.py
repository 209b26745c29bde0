"""What runs Snakemake needs: no more than Snakemake itself, from a clone; the package, as a module from git."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from support import REPOSITORY

pytestmark = pytest.mark.workflow
# What the package depends on and Snakemake does not.
HEAVY = (
    "numpy polars pyarrow torch transformers sklearn scipy matplotlib pandas safetensors tokenizers huggingface_hub"
    " iterstrat mapie tqdm".split()
)
# Runs Snakemake in a Python that refuses to import some modules. Its plugin for Slurm, which is no part of Snakemake
# alone, imports some of them by itself.
REFUSING = """
import sys
from snakemake.cli import main

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in REFUSED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

REFUSED = sys.argv.pop(1).split(",")
for name in [name for name in sys.modules if name.partition(".")[0] in REFUSED]:
    del sys.modules[name]
sys.meta_path.insert(0, Refusing())
main()
"""


def snakemake(folder: Path, *arguments: str, refused: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", REFUSING, ",".join(refused), *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--lint"],
        ["--rulegraph", "dot"],
        ["--configfile", "config/demo.yaml", "--rulegraph", "dot"],
        ["--configfile", "config/demo.yaml", "--dry-run"],
    ],
)
def test_the_driver_imports_nothing_heavy(fresh, arguments):
    done = snakemake(fresh.folder, *arguments, refused=HEAVY)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """A git repository of the workflow as it is, with a tag."""
    folder = tmp_path_factory.mktemp("repository")
    for name in ("Snakefile", "workflow", "config", "profiles", "envs"):
        source = REPOSITORY / name
        copy = shutil.copytree if source.is_dir() else shutil.copyfile
        copy(source, folder / name)
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org"]
    for arguments in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "-m", "All"], ["tag", "v1"]):
        subprocess.run([*git, *arguments], cwd=folder, check=True)
    return folder


@pytest.fixture
def deployed(fresh, repository, tmp_path) -> Path:
    """What `snakedeploy deploy-workflow` writes: a config and a Snakefile that uses the workflow as a module."""
    folder = tmp_path / "deployed"
    (folder / "workflow").mkdir(parents=True)
    (folder / "config").mkdir()
    shutil.copytree(fresh.folder / "encoder", folder / "encoder")
    config = yaml.safe_load((repository / "config/config.yaml").read_text())
    for section, keys in yaml.safe_load((fresh.folder / "mine.yaml").read_text()).items():
        config[section] |= keys
    (folder / "config/config.yaml").write_text(yaml.safe_dump(config))
    (folder / "workflow/Snakefile").write_text(f"""
configfile: "config/config.yaml"

module ipcascade:
    snakefile: "git+file://{repository}/workflow/Snakefile@v1"
    config: config

use rule * from ipcascade
""")
    return folder


def test_as_a_module_from_git_it_runs_where_the_package_is_installed(deployed):
    target = "results/figures/figure1.png"
    done = snakemake(deployed, "--cores", "2", "--", target, refused=[])
    assert done.returncode == 0, done.stdout + done.stderr
    assert (deployed / target).is_file()
    again = snakemake(deployed, "--cores", "2", "--dry-run", "--", target, refused=[])
    assert "Nothing to be done" in again.stdout + again.stderr
    whole = snakemake(deployed, "--dry-run", refused=[])
    assert "rule figure3:" in whole.stdout + whole.stderr
    # The report's captions are files of the workflow, too.
    report = snakemake(deployed, "--report", "report.zip", "--", target, refused=[])
    assert report.returncode == 0 and (deployed / "report.zip").is_file(), report.stderr


def test_as_a_module_from_git_it_names_what_to_install(deployed):
    done = snakemake(deployed, "--dry-run", refused=["ipcascade"])
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ipcascade: used as a module, this workflow needs its package") and "pip install" in last
    assert "Traceback" not in done.stderr
