"""The profiles: what a dry run on Stanage would ask Slurm for."""

import re
from types import SimpleNamespace

import pytest
import yaml
from snakemake_executor_plugin_slurm.submit_string import get_submit_command
from snakemake_executor_plugin_slurm.utils import set_gres_string

from support import REPOSITORY

pytestmark = pytest.mark.workflow
GPU_RULES = {"train", "score", "predict"}


class Resources(dict):
    """A job's resources as the executor reads them: by key and by attribute."""

    __getattr__ = dict.__getitem__


def submissions(output: str) -> dict[str, str]:
    """The sbatch command of every job that a dry run lists, as the executor itself would put it together."""
    commands = {}
    for block in re.split(r"\n(?=(?:local)?rule )", output):
        name = re.match(r"rule (\w+):", block)
        found = re.search(r"^    resources: (.*)$", block, flags=re.MULTILINE)
        if not name or not found:
            continue
        resources = Resources(pair.split("=", 1) for pair in found[1].split(", "))
        for number in ("mem_mb", "runtime", "threads"):
            if number in resources:
                resources[number] = int(resources[number])
        parameters = {
            "run_uuid": "id", "slurm_logfile": "log", "comment_str": name[1], "account": "",
            "partition": f"-p {resources['slurm_partition']}", "workdir": ".",
        }  # fmt: skip
        job = SimpleNamespace(resources=resources, threads=1, name=name[1])
        commands[name[1]] = get_submit_command(job, parameters) + set_gres_string(job)
    return commands


def test_exactly_the_gpu_rules_ask_stanage_for_a_gpu(fresh):
    (fresh.folder / "new.csv").write_text("document_id,text\n1,a\n")
    fresh.configure(prediction={"inputs": {"new": "new.csv"}})
    arguments = ["--profile", "profiles/stanage", "--configfile", "mine.yaml", "--dry-run", "--", "all", "baseline"]
    commands = submissions(fresh.snakemake(*arguments).stdout)
    assert commands.keys() >= {
        *GPU_RULES,
        "corpus",
        "splits",
        "tokens",
        "fit_baseline",
        "thresholds",
        "metrics",
        "figure1",
    }
    for rule, command in commands.items():
        asks = {"-p gpu", "--qos=gpu", "--gres=gpu:1"} if rule in GPU_RULES else {"-p sheffield"}
        assert all(ask in command for ask in asks), command
        if rule not in GPU_RULES:
            assert "gpu" not in command, command
        assert "--gpus" not in command
        assert re.search(r"-t \d+", command) and re.search(r"--mem \d+", command), command


def test_light_rules_and_downloads_stay_on_the_login_node():
    """Snakemake itself checks that these rules exist; a dry run does not show where a rule would run."""
    text = (REPOSITORY / "workflow/Snakefile").read_text()
    (block,) = re.findall(r"^localrules:\n((?:    \w+,\n)+)", text, flags=re.MULTILINE)
    targets = {"all", "tables", "figures", "baseline", "predictions"}
    assert set(re.findall(r"\w+", block)) == targets | {"run_config", "encoder", "table1", "table2"}


def test_no_profile_hides_the_others_and_wall_times_fit_stanage():
    assert not (REPOSITORY / "profiles/default").exists(), "Snakemake would load it by itself"
    profile = yaml.safe_load((REPOSITORY / "profiles/stanage/config.yaml").read_text())
    times = [resources["runtime"] for resources in profile["set-resources"].values()]
    assert max(times) <= 96 * 60
    assert set(profile["set-resources"]) == GPU_RULES


def test_demo_profile_names_its_own_config():
    profile = yaml.safe_load((REPOSITORY / "profiles/demo/config.yaml").read_text())
    assert (REPOSITORY / profile["configfile"]).is_file()
