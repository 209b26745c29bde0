# What all chapters share: the checked config, and what makes a rule run again.
#
# A rule gives its step only its own sections of the config, and carries a fingerprint of the step's code. So it runs
# again when its inputs, its own options or its own code change, and for no other reason.

import json
import os
import shlex

from ipcascade import config as settings
from ipcascade.errors import UserError
from ipcascade.fingerprint import step_fingerprint as code
from snakemake.exceptions import WorkflowError

try:
    CONFIG = settings.load(config)
except UserError as error:
    raise WorkflowError(str(error)) from None


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
if not workflow.deployment_settings.deployment_method:
    PREFIX += f"export PATH={in_shell(Path(sys.executable).parent)}:$PATH; "
shell.prefix(PREFIX)


wildcard_constraints:
    split="train|val|test",
    # "" for the main run, "/runs/NAME" for a named variant with the same tree below.
    run="(/runs/[A-Za-z0-9_-]+)?",


rule run_config:
    output:
        "results/run_config.yaml",
    log:
        "logs/run_config.log",
    conda:
        "../../envs/ipcascade.yaml"
    params:
        options=options(*settings.Config.model_fields),
        code=code("run_config"),
    shell:
        "python -m ipcascade run_config --options {params.options:q} --log {log} --config {output}"
