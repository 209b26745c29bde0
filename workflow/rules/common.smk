# What all chapters share: the checked config, and what makes a rule run again.
#
# A rule gives its step only its own sections of the config, and carries a fingerprint of the step's code. So it runs
# again when its inputs, its own options or its own code change, and for no other reason.

import dataclasses
import json
import os
import shlex
from contextvars import ContextVar

from ipcascade import config as settings
from ipcascade.errors import UserError
from ipcascade.fingerprint import step_fingerprint as code
from ipcascade.slurm import hold_folder, wait_for_jobs
from ipcascade.sources.delivery import delivery_files
from ipcascade.sources.demo import DELIVERY_FILES
from snakemake.jobs import Job
from snakemake.persistence import PersistenceBase
from snakemake_interface_executor_plugins.settings import ExecMode


def refuse(sentence):
    """Stop with one sentence: Snakemake would wrap an exception in its own words and a traceback."""
    sys.exit(f"ipcascade: {sentence}")


try:
    CONFIG = settings.load(config)
except UserError as error:
    refuse(error)


def alone_on_slurm():
    """Refuse a second Snakemake that submits from this folder, and wait for the jobs that one left which was killed.

    Snakemake's own locks keep two apart only where their files meet. Returns whether there were jobs to wait for.
    """

    def say(sentence):
        print(f"ipcascade: {sentence}", file=sys.stderr, flush=True)

    try:
        hold_folder(Path.cwd(), say)
        return wait_for_jobs(Path.cwd(), say)
    except UserError as error:
        refuse(error)


def keep_true_records():
    """See to it that Snakemake's records say what outputs were made with, neither more nor less.

    Snakemake (9.27) records a job that failed like one that succeeded. If the outputs of other rules are there from an
    earlier run, the failed one is then never made again: its options are those on record, and nobody asks for its
    outputs. Here the record of the last success stays.

    And it leaves the record of a job that it submitted to the process that did so. Where that was killed, outputs would
    stand there without one, and no change of options or code would ever make them again. Here such a job writes a record
    itself, without reading its inputs for checksums: from its submitter it gets one with them.
    """
    finished, postprocess = PersistenceBase.finished, Job.postprocess
    failed = ContextVar("failed", default=False)

    async def postprocess_and_say_if_failed(job, *arguments, error=False, **more):
        failed.set(error)
        await postprocess(job, *arguments, error=error, **more)

    async def finished_unless_failed(persistence, job):
        if failed.get():
            return
        settings = workflow.workflow_settings
        if not workflow.is_main_process:
            workflow.workflow_settings = dataclasses.replace(settings, exec_mode=ExecMode.DEFAULT)
            persistence.max_checksum_file_size = 0
        try:
            await finished(persistence, job)
        finally:
            workflow.workflow_settings = settings

    Job.postprocess, PersistenceBase.finished = postprocess_and_say_if_failed, finished_unless_failed


keep_true_records()


def options(*sections):
    """Sections of the config as the JSON text that a step takes."""
    return json.dumps(settings.section_options(CONFIG, *sections), sort_keys=True)


def user_path(path):
    """A path from the config, `~` included; None stays None."""
    return path and os.path.expanduser(path)


# Relative where it can be, so that a moved checkout is no changed input.
TAXONOMY = user_path(CONFIG.corpus.taxonomy) or os.path.relpath(WORKFLOW / "ipcascade/data/ipc_scheme.tsv")


def in_shell(path):
    """A path as a shell word, with braces doubled since Snakemake formats the prefix."""
    return shlex.quote(str(path)).replace("{", "{{").replace("}", "}}")


# Jobs find the package beside this workflow whether or not it is installed. Without a conda environment they use the
# Python that runs Snakemake, also where its virtual environment was not activated.
PREFIX = f"export PYTHONPATH={in_shell(WORKFLOW)}${{{{PYTHONPATH:+:$PYTHONPATH}}}}; "
if workflow.remote_exec:
    # Only such a job ends with its rule's `runtime`.
    PREFIX += "export IPCASCADE_SUBMITTED=1; "
if not workflow.deployment_settings.deployment_method:
    PREFIX += f"export PATH={in_shell(Path(sys.executable).parent)}:$PATH; "
shell.prefix(PREFIX)


wildcard_constraints:
    split="train|val|test",
    # Empty for the main run; runs and a name for a variant with the same tree below.
    run="(/runs/[A-Za-z0-9_-]+)?",


def input_folder(name):
    """The folder of the input files called `name`, as a function for params."""
    return lambda wildcards, input: os.path.dirname(input.get(name)[0])


def output_folder(wildcards, output):
    """The folder of the first output."""
    return os.path.dirname(output[0])


def output_stem(wildcards, output):
    """The first output without its ending."""
    return os.path.splitext(output[0])[0]


DELIVERY = "results/delivery" if CONFIG.source.kind == "demo" else user_path(CONFIG.source.path)


def files_of_delivery(wildcards):
    if CONFIG.source.kind == "demo":
        return [f"{DELIVERY}/{name}" for name in DELIVERY_FILES]
    if DELIVERY is None:
        refuse(
            "config: source.path is not set; give the folder of your PATSTAT delivery in config/config.yaml or with "
            "--config source='{path: FOLDER}', or take the synthetic one with --profile profiles/demo"
        )
    try:
        return delivery_files(Path(DELIVERY), CONFIG.corpus.text == "title_and_abstract")
    except UserError as error:
        refuse(error)


def texts_to_label(wildcards):
    if wildcards.name not in CONFIG.prediction.inputs:
        known = ", ".join(CONFIG.prediction.inputs) or "none"
        refuse(f"config: prediction.inputs names no table {wildcards.name!r} (there is: {known})")
    return user_path(CONFIG.prediction.inputs[wildcards.name])
