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
# The cheap rules after scoring, which share one job.
GROUPED = {
    "index_neighbours", "combine", "thresholds", "metrics", "analysis", "source_effects", "comparison", "costs",
    "history", "table1", "table2", "table3", "figure1", "figure2", "figure3", "figure4", "figure5", "figure6",
    "figure7", "paper",
}  # fmt: skip


# And those after the prediction of new texts.
AFTER_PREDICTION = {"join_predictions", "input_metrics", "matrix", "matrix_figure", "prediction_facts"}


class Resources(dict):
    """A job's resources as the executor reads them: by key and by attribute."""

    __getattr__ = dict.__getitem__


def submissions(output: str) -> dict[str, str]:
    """The sbatch command of every rule that a dry run lists, as the executor itself would put it together alone."""
    commands = {}
    for block in re.split(r"\n(?= *(?:local)?rule )", output):
        name = re.match(r" *rule (\w+):", block)
        found = re.search(r"^ +resources: (.*)$", block, flags=re.MULTILINE)
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
        threads = re.search(r"^ +threads: (\d+)$", block, flags=re.MULTILINE)
        job = SimpleNamespace(resources=resources, threads=int(threads[1]) if threads else 1, name=name[1])
        commands[name[1]] = get_submit_command(job, parameters) + set_gres_string(job)
    return commands


def planned(project, profile: str, *arguments: str) -> dict[str, str]:
    """What a dry run of everything would submit."""
    (project.folder / "new.csv").write_text("document_id,text\n1,a\n")
    arguments = ["--profile", profile, "--configfile", "mine.yaml", "--dry-run", *arguments, "--", "all", "runs"]
    return submissions(project.snakemake(*arguments).stdout)


def test_exactly_the_gpu_rules_ask_stanage_for_a_gpu(fresh):
    fresh.configure(prediction={"inputs": {"new": "new.csv"}})
    commands = planned(fresh, "profiles/stanage")
    assert commands.keys() >= {
        *GPU_RULES,
        "corpus",
        "splits",
        "tokens",
        "fit_linear",
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
        minutes, memory = (int(re.search(rf"{flag} (\d+)", command)[1]) for flag in ("-t", "--mem"))
        # The longest wall time; a GPU's fair share of its node, and the memory of a node without.
        assert minutes <= 96 * 60 and memory <= (82_000 if rule in GPU_RULES else 250_000), command


def minutes(text: str) -> int:
    number, unit = text.split()
    return int(number) * {"h": 60, "min": 1}[unit]


def test_the_guide_lists_what_the_rules_ask_for(fresh):
    fresh.configure(prediction={"inputs": {"new": "new.csv"}})
    commands = planned(fresh, "profiles/stanage", "--cores", "96")
    listed = {}
    for line in (REPOSITORY / "docs/stanage.md").read_text().splitlines():
        if line.startswith("| `") and line.count("|") == 6 and "login node" not in line:
            rules, partition, threads, memory, time = (cell.strip() for cell in line.strip("|").split("|"))
            for rule in re.findall(r"`(\w+)`", rules):
                listed[rule] = (
                    f"-p {partition.partition(',')[0]} ", f"--cpus-per-task={threads} ",
                    f"--mem {memory.removesuffix(' GB')}000 ", f"-t {minutes(time)} ",
                )  # fmt: skip
    on_login_node = {"encoder", "run_config", "report"}
    assert listed.keys() == commands.keys() - {"demo_delivery", "all", "runs"} - on_login_node
    for rule, asks in listed.items():
        assert all(ask in commands[rule] + " " for ask in asks), (asks, commands[rule])


def test_an_h100_is_one_line(fresh):
    profile = fresh.folder / "profiles/stanage/config.yaml"
    changed = profile.read_text().replace("    slurm_partition: gpu ", "    slurm_partition: gpu-h100 ")
    assert len(set(changed.splitlines()) - set(profile.read_text().splitlines())) == 1
    profile.write_text(changed)
    fresh.configure(prediction={"inputs": {"new": "new.csv"}})
    commands = planned(fresh, "profiles/stanage")
    for rule in GPU_RULES:
        assert "-p gpu-h100 " in commands[rule] and "--qos=gpu" in commands[rule] and "--gres=gpu:1" in commands[rule]


def test_training_asks_for_as_many_gpus_as_it_has_devices(fresh):
    fresh.configure(training={"devices": 4, "batch_size": 32})
    commands = planned(fresh, "profiles/stanage", "--cores", "96")  # without which a dry run counts on a single core
    assert "--gres=gpu:4" in commands["train"] and "--cpus-per-task=48" in commands["train"]
    assert "--gres=gpu:1" in commands["score"]


def edited(template: str, **values: str) -> str:
    """The template with some lines of its `train` resources uncommented and set."""
    for key, value in values.items():
        template, count = re.subn(rf"^    #? ?{key}: .*$", f"    {key}: {value}", template, count=1, flags=re.MULTILINE)
        assert count == 1, key
    return template


@pytest.mark.parametrize(
    ("values", "asks"),
    [
        ({}, {"-p gpu", "--gres=gpu:1"}),
        ({"slurm_partition": "a100", "qos": "short"}, {"-p a100", "--qos=short", "--gres=gpu:1"}),
        ({"gres": '"gpu:a100:1"'}, {"--gres=gpu:a100:1"}),
    ],
)
def test_another_cluster_is_one_edited_file(fresh, values, asks):
    profile = fresh.folder / "profiles/slurm/config.yaml"
    profile.write_text(edited(profile.read_text(), **values))
    commands = planned(fresh, "profiles/slurm")
    assert all(ask in commands["train"] and ask in commands["score"] for ask in asks), commands["train"]
    assert "-p cpu" in commands["corpus"] and "gpu" not in commands["corpus"]


def test_another_cluster_may_count_gpus_and_need_an_account(fresh):
    profile = fresh.folder / "profiles/slurm/config.yaml"
    text = re.sub(
        r"^    # gres: \"\"\n    # gpu: 1$", '    gres: ""\n    gpu: 1', profile.read_text(), flags=re.MULTILINE
    )
    text = text.replace("slurm-no-account: true\n", "").replace("  # slurm_account", "  slurm_account")
    assert text.count("gpu: 1\n") == 1 and "no-account" not in text
    profile.write_text(text)
    output = fresh.snakemake(
        "--profile", "profiles/slurm", "--configfile", "mine.yaml", "--dry-run", "--", "results/scores/val.parquet"
    ).stdout
    commands = submissions(output)
    assert "--gpus=1" in commands["train"] and "--gres" not in commands["train"]
    assert output.count("slurm_account=my_project") >= len(commands)


def test_downloads_and_what_takes_seconds_stay_on_the_login_node():
    """Snakemake itself checks that these rules exist; a dry run does not show where a rule would run."""
    text = (REPOSITORY / "workflow/Snakefile").read_text()
    (block,) = re.findall(r"^localrules:\n((?:    \w+,\n)+)", text, flags=re.MULTILINE)
    targets = {"all", "tables", "figures", "baseline", "runs", "predictions", "matrices"}
    assert set(re.findall(r"\w+", block)) == targets | {"run_config", "encoder", "report", "crate"}


@pytest.mark.parametrize("name", ["stanage", "slurm"])
def test_the_cheap_rules_after_scoring_are_one_group(fresh, name):
    profile = yaml.safe_load((REPOSITORY / f"profiles/{name}/config.yaml").read_text())
    assert profile["groups"] == dict.fromkeys(GROUPED, "evaluation") | dict.fromkeys(AFTER_PREDICTION, "predictions")
    arguments = ["--profile", f"profiles/{name}", "--configfile", "mine.yaml", "--dry-run", "--", "all", "runs"]
    output = fresh.snakemake(*arguments).stdout
    assert output.count("Group job evaluation") == output.count("Group job") == 1, "all of it is one job"
    assert set(re.findall(r"^ +rule (\w+):", output, flags=re.MULTILINE)) == GROUPED


def test_only_rules_that_a_retry_can_help_are_retried(fresh):
    """With `retries` in the profile, which the rules on GPUs alone leave to it."""
    rules = {}
    for path in (REPOSITORY / "workflow/rules").glob("*.smk"):
        for name, body in re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", path.read_text(), flags=re.M | re.S):
            if "shell:" in body:
                rules[name] = "    retries: 0\n" in body
    assert {name for name, never in rules.items() if not never} == GPU_RULES


def test_no_profile_hides_the_others():
    assert not (REPOSITORY / "profiles/default").exists(), "Snakemake would load it by itself"


def test_demo_profile_names_its_own_config():
    profile = yaml.safe_load((REPOSITORY / "profiles/demo/config.yaml").read_text())
    assert (REPOSITORY / "profiles/demo" / profile["configfile"]).samefile(REPOSITORY / "config/demo.yaml")
