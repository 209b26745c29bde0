# What the rules of all stages share: the checked config, what makes a rule run again, input functions, how jobs find
# the package, and what Slurm needs.
#
# A rule has only its own options and a fingerprint of its own code as params. So it runs again when its inputs, its
# options or its code change, and for no other reason.

import functools
import hashlib
import json
import shlex

from ipcascade import config as settings
from ipcascade.core.errors import UserError
from ipcascade.core.names import SPLITS
from ipcascade.matrices.options import NACE
from ipcascade.orchestration import checks, config_file
from ipcascade.orchestration.fingerprint import code, code_within
from ipcascade.orchestration.queue import hold_folder, wait_for_jobs
from ipcascade.orchestration.runs import Runs, uses, uses_network
from ipcascade.orchestration.snakemake_private import at_start, keep_true_records
from ipcascade.reporting.report.parts import CAPTIONS, PARTS
from ipcascade.sources.demo import files as demo

RUN_CONFIG = "results{run}/run_config.yaml"

try:
    config_files = checks.config_files(workflow.configfiles, workflow.overwrite_configfiles)
    CONFIG = settings.load(config, config_files)
    RUNS = Runs(CONFIG, settings.load_runs(config, config_files))
except UserError as error:
    checks.end(error)


def literally(value):
    """A value as a function for params: in text, Snakemake would take braces for wildcards."""
    return lambda wildcards: value


@checks.ends_the_run
def run_of(wildcards):
    """The run that a job belongs to: of rules without the wildcard the main run."""
    return getattr(wildcards, "run", "")


@checks.ends_the_run
def config_of(wildcards):
    return RUNS.config(run_of(wildcards))


@checks.ends_the_run
def run_config(wildcards):
    """The file of the config that a job is run with."""
    return RUN_CONFIG.format(run=run_of(wildcards))


def options(*names):
    """Sections of the config, or keys of sections ("source.demo"), as one text: what a rule depends on."""
    return lambda wildcards: json.dumps(settings.section_options(config_of(wildcards), *names), sort_keys=True)


def shared(stage, paths):
    """Results of a stage, which a run may share with another: input function of paths with the wildcard run."""

    @checks.ends_the_run
    def of_run(wildcards):
        home = RUNS.home(stage, run_of(wildcards))
        split = getattr(wildcards, "split", "")
        return [path.format(run=home, split=split) for path in ([paths] if isinstance(paths, str) else paths)]

    return of_run


def where(condition, function):
    """An input function for some runs only: those whose config meets a condition."""

    @checks.ends_the_run
    def of_run(wildcards):
        return function(wildcards) if condition(config_of(wildcards)) else []

    return of_run


def report_line(sentence):
    print(f"ipcascade: {sentence}", file=sys.stderr, flush=True)


for difference in keep_true_records():
    report_line(f"{difference}; records of failed jobs are kept as this version keeps them")


def start_run():
    """Keep the config file for this run; on Slurm let no other Snakemake submit jobs from this folder.

    Snakemake's own locks keep two runs apart only where their files meet. And a Snakemake that was killed leaves its
    jobs in the queue. They are not submitted a second time: once they have ended, this Snakemake starts once more where
    it was started, since what is to be done has changed.
    """
    folder = Path.cwd()
    try:
        waited = False
        if not workflow.local_exec:
            hold_folder(folder, report_line)
            waited = wait_for_jobs(folder, report_line)
        if not waited:
            config_file.hold({Path(RUN_CONFIG.format(run=run)): of for run, of in RUNS.configs.items()}, report_line)
    except UserError as error:
        checks.end(error)
    if waited:
        workflow.persistence.unlock()
        os.chdir(workflow.rundir)
        os.execv(sys.executable, sys.orig_argv)


at_start(workflow, start_run)


def in_shell(path):
    """A path as a shell word, with braces doubled since Snakemake formats the prefix."""
    return shlex.quote(str(path)).replace("{", "{{").replace("}", "}}")


# Jobs find the package whether or not it is installed. Without a conda environment they use the Python that runs
# Snakemake, also where its virtual environment was not activated.
PREFIX = f"export PYTHONPATH={in_shell(PACKAGE_FOLDER)}${{{{PYTHONPATH:+:$PYTHONPATH}}}}; "
if workflow.remote_exec:
    # Only such a job ends with its rule's `runtime`.
    PREFIX += "export IPCASCADE_SUBMITTED=1; "
if not workflow.deployment_settings.deployment_method:
    PREFIX += f"export PATH={in_shell(Path(sys.executable).parent)}:$PATH; "
shell.prefix(PREFIX)


@checks.ends_the_run
def devices(wildcards):
    return config_of(wildcards).training.devices


@checks.ends_the_run
def checkpoints(wildcards):
    return f"results{wildcards.run}/checkpoints"


@checks.ends_the_run
def shared_evidence(wildcards):
    """The linear model and the neighbours, where they are sources of the run."""
    stages = {"linear": ("fit_linear", LINEAR), "neighbours": ("index_neighbours", NEIGHBOURS)}
    return {
        source: shared(stage, paths)(wildcards)
        for source, (stage, paths) in stages.items()
        if uses(config_of(wildcards), source)
    }


def files_of_runs(path, stage):
    """Results of all runs, in their order: an input function of paths with the wildcard run."""

    @checks.ends_the_run
    def of_runs(wildcards):
        split = getattr(wildcards, "split", "")
        return [path.format(run=RUNS.home(stage, run), split=split) for run in RUNS.named().values()]

    return of_runs


@checks.ends_the_run
def records_of_runs(wildcards):
    """The runs with the benchmarks of the jobs that they come from and with their trainings, as options.

    The jobs have ended where their results are there, and so have their records. These are no inputs: one that is
    missing, as where results were copied without logs, would be made by running its job again.
    """
    words = []
    for name, run in RUNS.named().items():
        jobs = RUNS.jobs(run)
        words += ["--run", name, *(f"logs{home}/benchmarks/{job}.jsonl" for job, home in jobs.items())]
        if "train" in jobs:
            words += ["--epochs", name, f"results{jobs['train']}/training/epochs.parquet"]
    return " ".join(words)


def compared(wildcards, input):
    """The runs with their files, and which of them are replicates, as options of the command."""
    files = zip(RUNS.named(), input.scores, input.thresholds, strict=True)
    runs = " ".join(f"--run {name} {scores} {thresholds}" for name, scores, thresholds in files)
    groups = " ".join(f"--replicates {group} {' '.join(names)}" for group, names in RUNS.replicates().items())
    return f"{runs} {groups} --reference {RUNS.reference()}"


wildcard_constraints:
    split="|".join(SPLITS),
    name="[A-Za-z0-9_-]+",
    number="[0-9]+",
    jobs="[0-9]+",
    # Empty for the main run; /runs/NAME for another one with the same tree below.
    run="(/runs/[A-Za-z0-9_-]+)?",


def input_folder(name):
    """The folder of the input files called `name`, as a function for params."""
    return lambda wildcards, input: os.path.dirname(input.get(name)[0])


def folder_options(*names):
    """An option of the command per input of these names that the run has, with the input's folder."""

    def given(wildcards, input):
        folders = {name: os.path.dirname(input.get(name)[0]) for name in names if input.get(name)}
        return " ".join(f"--{name} {folder}" for name, folder in folders.items())

    return given


def output_folder(wildcards, output):
    """The folder of the first output."""
    return os.path.dirname(output[0])


def output_stem(wildcards, output):
    """The first output without its ending."""
    return os.path.splitext(output[0])[0]


@checks.ends_the_run
def source_path(wildcards):
    if CONFIG.source.kind == "demo":
        return "results/delivery"
    if CONFIG.source.kind == "patstat_sql":
        return "."
    return checks.user_path("source.path", CONFIG.source.path or "")


@functools.cache
def listed_source():
    """Large, and maybe on a slow disk, so it is listed once."""
    if CONFIG.source.kind == "demo":
        return [f"results/delivery/{name}" for name in demo.DELIVERY_FILES]
    return checks.source_files_of(CONFIG)


@checks.ends_the_run
def files_of_source(wildcards):
    return listed_source()


def code_of_reading(command):
    """The code of a command that reads the source, without that of other kinds of sources."""
    return code(command, without=CONFIG.source.other_readers)


@checks.ends_the_run
def label_tree(wildcards):
    return checks.label_tree_of(CONFIG)


@checks.ends_the_run
def renamed_codes(wildcards):
    return checks.renamed_codes_of(CONFIG)


@checks.ends_the_run
def words_of_demo(wildcards):
    return checks.shipped(demo.TEXT)


@checks.ends_the_run
def no_file_but_a_checked_encoder(wildcards):
    checks.check_encoder(CONFIG)
    return []


@checks.ends_the_run
def texts_to_label(wildcards):
    return checks.text_files_of(CONFIG, wildcards.name)


@checks.ends_the_run
def column_of_labels(wildcards):
    return checks.column_of_labels(CONFIG, wildcards.name)


@checks.ends_the_run
def shares_of_texts(wildcards):
    checks.texts_of(CONFIG, wildcards.name)
    count = CONFIG.prediction.jobs
    shares = f"results/predictions/{wildcards.name}.shares/{{number}}-of-{count}.parquet"
    return [shares.format(number=number) for number in range(1, count + 1)]


@checks.ends_the_run
def table_to_label(wildcards):
    return checks.texts_of(CONFIG, wildcards.name)


@checks.ends_the_run
def predictions_of_matrix(wildcards):
    return f"results/predictions/{checks.matrix_of(CONFIG, wildcards.name).input}.parquet"


@checks.ends_the_run
def concordance_of_matrix(wildcards):
    return checks.concordance_of(CONFIG, wildcards.name)


def where_concordance(path):
    """A file that a matrix needs only where it has a concordance: an input function."""

    @checks.ends_the_run
    def of_matrix(wildcards):
        return path if checks.matrix_of(CONFIG, wildcards.name).concordance else []

    return of_matrix


@checks.ends_the_run
def shares_of_concordance(wildcards, input):
    """By what a concordance shares labels out, as options of the command, and where that to NACE is."""
    if not input.corpus:
        return ""
    words = f"--corpus {input.corpus} --splits {input.splits}"
    if checks.matrix_of(CONFIG, wildcards.name).concordance == NACE:
        words += f" --delivery={shlex.quote(str(checks.delivery_of_matrix(CONFIG)))}"
    return words


@checks.ends_the_run
def parts_of_report(wildcards):
    return [checks.shipped(part) for part in PARTS]


@checks.ends_the_run
def files_of_workflow(wildcards):
    """The main file and those of the rules; where the workflow is a module from git, the file that uses it."""
    main = PACKAGE_FOLDER / "Snakefile"
    files = (
        [main, *sorted((PACKAGE_FOLDER / "rules").glob("*.smk"))] if main.is_file() else [Path(workflow.main_snakefile)]
    )
    return [checks.shipped(file) for file in files]


@checks.ends_the_run
def captions_of_figures(wildcards):
    return [checks.shipped(caption) for caption in CAPTIONS]


# The report shows the comparison of runs where there is one. It is no input: runs that are out of date would be trained
# again for the report. With its checksum among the params, the report is made again when the comparison was.
COMPARISON = Path("results/comparison/test.json")


@checks.ends_the_run
def comparison_as_it_is(wildcards):
    return f"--comparison {COMPARISON}" if COMPARISON.exists() else ""


@checks.ends_the_run
def content_of_comparison(wildcards):
    return hashlib.sha256(COMPARISON.read_bytes()).hexdigest() if COMPARISON.exists() else ""


@checks.ends_the_run
def options_of_matrix(wildcards):
    """What a matrix depends on beside its predictions, as one text."""
    matrix = checks.matrix_of(CONFIG, wildcards.name).model_dump(mode="json")
    return json.dumps([settings.section_options(CONFIG, "seed", "evaluation.confidence"), matrix], sort_keys=True)
