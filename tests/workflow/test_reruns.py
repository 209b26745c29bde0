"""What runs again after a change: what depends on it, and nothing else.

Changes of options and files are tried on Snakemake itself, in dry runs on a finished project. Edits of code are tried
on fingerprints and the graph of rules, which together give what a dry run would; one test compares the two.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ipcascade.orchestration.fingerprint import Package
from projects import Project, edited, rules_in

pytestmark = pytest.mark.workflow
TARGETS = {"all", "tables", "figures", "baseline", "predictions"}
ANALYSIS = {"analysis", "figure4", "figure5"}
# What reads the thresholds of the main run.
DECODED = {"metrics", "table2", "source_effects"} | ANALYSIS
SCORED = {"index_neighbours", "combine", "thresholds"} | DECODED
AFTER_TRAINING = {"score", "history", "figure3"} | SCORED
UNUSED = "\n\ndef unused_helper(value):\n    return value + 1\n"


@contextmanager
def configured(project, **sections) -> Iterator[None]:
    project.configure(**sections)
    try:
        yield
    finally:
        project.configure()


def planned(project, *targets: str) -> set[str]:
    """The rules that a dry run would run, without targets and without run_config, which notes every option."""
    return project.planned(*(targets or ("all", "baseline"))) - TARGETS - {"run_config"}


def with_reports(rules: set[str]) -> set[str]:
    """These rules with those that show all results, or all measures."""
    return rules | {"report"} | ({"paper"} if "metrics" in rules else set())


class Graph:
    """The rules of a project, and which of them run again after an edit of code."""

    def __init__(self, project: Project) -> None:
        self.package = project.folder / "workflow/ipcascade"
        arguments = ["--configfile", "mine.yaml", "--rulegraph", "dot", "--", "all", "baseline"]
        dot = project.snakemake(*arguments).stdout
        names = dict(re.findall(r"(\d+)\[label = \"(\w+)", dot))
        self.rules = set(names.values()) - TARGETS - {"run_config"}
        self.edges = {(names[one], names[two]) for one, two in re.findall(r"(\d+) -> (\d+)", dot)}
        self.before = self.fingerprints()

    def fingerprints(self) -> dict[str, str]:
        package = Package(self.package)
        return {rule: package.code(rule) for rule in self.rules}

    def changed(self) -> set[str]:
        """The rules whose own code differs from that of the finished run."""
        return {rule for rule, code in self.fingerprints().items() if code != self.before[rule]}

    def run_again(self) -> set[str]:
        """The rules whose code has changed, and all that depend on them."""
        found = self.changed()
        while more := {two for one, two in self.edges if one in found} - found - TARGETS:
            found |= more
        return found


@pytest.fixture(scope="module")
def graph(finished) -> Graph:
    made = Graph(finished)
    assert len(made.rules) == 26 and len(made.edges) > 30
    assert made.run_again() == set()
    return made


def replaced(old: str, new: str, count: int = 1):
    return lambda text: text.replace(old, new, count)


def test_every_rule_has_the_name_of_its_command(graph):
    commands = {path.stem for path in (graph.package / "commands").glob("[a-z]*.py")}
    # Not asked for here, or no rule at all: what a person calls at a terminal.
    others = (
        "classify comparison costs crate delivery_texts demo_projects figure6 input_metrics inspect join_predictions "
        "matrix matrix_figure predict prediction_facts release schema summary"
    )
    assert commands - graph.rules == set(others.split())
    assert graph.rules <= commands


def test_an_unused_helper_anywhere_runs_nothing(graph):
    modules = [path for path in graph.package.rglob("*.py") if path.stem != "__init__"]
    assert len(modules) > 90
    before = {path: path.read_text() for path in modules}
    try:
        for path in modules:
            path.write_text(before[path] + UNUSED + "\n\nUNUSED_CONSTANT = 7\n# A comment.\n")
        assert graph.run_again() == set()
    finally:
        for path in modules:
            path.write_text(before[path])


def test_the_wording_of_all_errors_and_log_lines_runs_nothing(graph):
    """Each sentence that starts on the line of its error or log call gets another first word."""
    before = {path: path.read_text() for path in graph.package.rglob("*.py")}
    start = re.compile(r'((?:\w+Error|log\.\w+)\(\s*f?")(?=\w)')
    edits = {path: start.subn(r"\1Sorry, ", text) for path, text in before.items()}
    assert sum(count for _, count in edits.values()) > 50
    try:
        for path, (text, _) in edits.items():
            path.write_text(text)
        assert graph.run_again() == set()
    finally:
        for path in edits:
            path.write_text(before[path])


@pytest.mark.parametrize(
    ("module", "edit"),
    [
        ("core/files.py", replaced('compression="zstd"', 'compression="snappy"')),
        ("core/provenance.py", replaced('"ipcascade": __version__', '"version": __version__')),
        ("core/progress.py", replaced("every: float = 30.0", "every: float = 60.0")),
        ("core/logs.py", replaced("%(asctime)s", "%(created)f")),
        ("core/errors.py", replaced("class UserError(Exception)", "class UserError(ValueError)")),
        ("training/card.py", lambda text: text.replace("    return ", "    return 2 * ")),
        ("runtime/device.py", lambda text: text.replace("    return ", "    return 2 * ")),
        ("training/options.py", replaced("epochs: Count = 6", "epochs: Count = 7")),
        ("config.py", replaced("LINE_LENGTH = 120", "LINE_LENGTH = 100")),
        ("cli.py", replaced('prog="ipcascade"', 'prog="ipc"')),
    ],
)
def test_what_changes_no_result_runs_nothing(graph, module, edit):
    with edited(graph.package / module, edit):
        assert graph.run_again() == set()


@pytest.mark.parametrize(
    ("module", "edit", "rules"),
    [
        ("reporting/training_curves.py", replaced("def draw(", "def draw(*extra, "), {"figure3"}),
        ("reporting/style.py", replaced("def save(", "def save(*extra, "),
         {"figure1", "figure2", "figure3", "figure4", "figure5", "figure7"}),
        ("reporting/funnel.py", replaced("def funnel_table(", "def funnel_table(*extra, "), {"table3", "figure7"}),
        ("model/quantisation.py", replaced("LARGEST = 127", "LARGEST = 63"),
         {"score"} | SCORED),
        ("evaluation/threshold_methods/global_optimum.py", lambda text: text.replace("    return ", "    return 1 * "),
         {"thresholds"} | DECODED),
        ("evaluation/decoding.py", lambda text: text.replace("    return ", "    return 1 * "),
         DECODED),
        ("evaluation/coherent.py", lambda text: text.replace("    return ", "    return 1 * "),
         DECODED),
        ("evaluation/selective.py", lambda text: text.replace("    return ", "    return 1 * "), ANALYSIS),
        ("evaluation/calibration.py", replaced("CALIBRATION_BINS = 15", "CALIBRATION_BINS = 20"),
         {"metrics", "table2", "history", "figure3"} | ANALYSIS),
        ("reporting/reliability_diagram.py", replaced("def draw(", "def draw(*extra, "), {"figure4"}),
        ("reporting/error_figure.py", replaced("def draw(", "def draw(*extra, "), {"figure5"}),
        ("evaluation/ranking.py", replaced("PRECISION_AT = (1, 3, 5)", "PRECISION_AT = (1, 3)"),
         {"metrics", "table2", "history", "figure3"}),
        ("evaluation/history.py", lambda text: text.replace("    return columns", "    return dict(columns)"),
         {"history", "figure3"}),
        ("evidence/linear.py", lambda text: text.replace("    return ", "    return 1 * "),
         {"fit_linear", "combine", "thresholds"} | DECODED),
        ("evidence/combiner.py", replaced("C=100.0", "C=10.0"),
         {"combine", "thresholds"} | DECODED),
        ("evaluation/source_effects.py", replaced("RARE_BELOW, FREQUENT_FROM = 10,", "RARE_BELOW, FREQUENT_FROM = 20,"),
         {"source_effects"}),
        ("training/loop.py", replaced("READ_LOSS_EVERY = 50", "READ_LOSS_EVERY = 51"),
         {"train"} | AFTER_TRAINING),
    ],
)  # fmt: skip
def test_an_edit_of_code_runs_what_depends_on_it(graph, module, edit, rules):
    with edited(graph.package / module, edit):
        assert graph.run_again() == with_reports(rules)


def test_fingerprints_and_graph_give_what_a_dry_run_gives(finished, graph):
    with (
        edited(graph.package / "evaluation/ranking.py", replaced("(1, 3, 5)", "(1, 3)")),
        edited(graph.package / "model/quantisation.py", lambda text: text + UNUSED),
    ):
        assert planned(finished) == graph.run_again() == {"metrics", "table2", "history", "figure3", "paper", "report"}


def test_a_deleted_file_is_all_that_is_made_again(finished):
    target = finished.folder / "results/metrics/test.json"
    shutil.move(target, finished.folder / "aside.json")
    try:
        assert finished.run("results/metrics/test.json") == {"metrics"}
        assert target.read_bytes() == (finished.folder / "aside.json").read_bytes()
    finally:
        shutil.move(finished.folder / "aside.json", target)
    assert finished.planned("all") == set(), "the same bytes run nothing that depends on them"


def test_an_intermediate_file_that_is_missing_is_made_again(finished):
    """Nothing that was made from it is missing, so only the target `all` asks for it."""
    target, aside = finished.folder / "results/training/epochs.parquet", finished.folder / "aside"
    shutil.move(target, aside)
    try:
        assert "train" in planned(finished, "all")
    finally:
        shutil.move(aside, target)


def test_a_missing_config_file_is_all_that_is_made_again(finished):
    path = finished.folder / "results/run_config.yaml"
    content = path.read_bytes()
    path.unlink()
    assert finished.run("all") - TARGETS == {"run_config"}
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("options", "rules"),
    [
        ({"figures": {"font_size": 6.5}}, {"figure1", "figure2", "figure3", "figure4", "figure5", "figure7"}),
        ({"analysis": {"precision": 0.9}}, ANALYSIS | {"figure2"}),
        ({"evaluation": {"confidence": 0.9}}, {"metrics", "table2", "figure2"} | ANALYSIS),
        ({"training": {"epochs": 3}}, {"train", "figure2"} | AFTER_TRAINING),
        ({"thresholds": {"method": "per_label"}}, {"thresholds", "figure2"} | DECODED),
        ({"evidence": {"neighbours": {"count": 3}}}, {"combine", "thresholds", "figure2"} | DECODED),
        ({"history": {"fixed": {"default": 0.4}}}, {"history", "figure3", "figure2"}),
        (
            {"corpus": {"minimum_words": 20}},
            {"corpus", "splits", "tokens", "train", "fit_linear", "table1", "table3", "figure1", "figure2", "figure7"}
            | AFTER_TRAINING,
        ),
    ],
)
def test_an_option_runs_what_depends_on_it(finished, options, rules):
    """Also where the rule run_config runs, which no rule waits for."""
    with configured(finished, **options):
        assert planned(finished) == rules | {"paper", "report"}


def test_a_run_shares_what_it_does_not_change(finished):
    """Thresholds of its own take the main run's scores; another seed of training takes the main run's linear model."""
    runs = {"strict": {"thresholds": {"method": "per_label"}}, "seed1": {"training": {"seed": 1}}}
    with configured(finished, runs=runs):
        assert planned(finished) == {"figure2", "paper", "report"}, "the main run and the baseline stay"
        assert planned(finished, "results/runs/strict/metrics/test.json") == {"thresholds", "metrics"}
        of_seed = planned(finished, "results/runs/seed1/metrics/test.json")
        assert of_seed == {"train", "score", "index_neighbours", "combine", "thresholds", "metrics"}
        assert planned(finished, "results/runs/strict/training/history.parquet") == {"history"}


def test_an_edited_label_tree_runs_what_reads_it(finished):
    tree = finished.folder / "workflow/ipcascade/core/label_trees/ipc.tsv"
    with edited(tree, replaced("HUMAN NECESSITIES", "NECESSITIES OF HUMANS")):
        assert {"demo_delivery", "corpus", "splits", "train", "metrics"} <= finished.planned("all")


def test_touched_files_run_nothing(finished):
    """As a git checkout or a copy to another disk would: every file of workflow and results is new, none is other."""
    for top in ("workflow", "config", "profiles", "envs", "results", "encoder"):
        for path in (finished.folder / top).rglob("*"):
            if path.is_file():
                path.touch()
    assert finished.planned("all", "baseline") == set()


def test_a_figure_is_drawn_again_from_results_that_were_copied_home(finished, tmp_path):
    """Without delivery and without Snakemake's records, as the guide to Stanage says, with the options of now."""
    home = Project(Path(shutil.copytree(finished.folder, tmp_path / "home")))
    for name in (".snakemake", "results/delivery"):
        shutil.rmtree(home.folder / name)
    target = "results/figures/figure1.pdf"
    before = (home.folder / target).read_bytes()
    home.configure(figures={"font_size": 6}, source={"kind": "patstat_bulk", "path": "not/here"})
    arguments = ["--profile", "profiles/local", "--configfile", "mine.yaml", "--allowed-rules", "figure1", "--force"]
    assert rules_in(home.snakemake(*arguments, "--", target).stdout) == {"figure1"}
    assert (home.folder / target).read_bytes() != before
    assert "font_size: 6.0" in (home.folder / "results/run_config.yaml").read_text()


def test_a_retraining_that_failed_is_still_to_be_done(finished, tmp_path):
    """Its failure must not be on record as a success with the new options, with the old metrics there."""
    project = Project(Path(shutil.copytree(finished.folder, tmp_path / "copy")))
    target, model = "results/metrics/test.json", "results/model/model.safetensors"
    tokens = project.folder / "results/tokens/tokens.json"
    project.configure(training={"epochs": 3})
    arguments = ["--profile", "profiles/local", "--configfile", "mine.yaml", "--", target]
    with edited(tokens, lambda text: text.replace('"schema_version": ', '"schema_version": 9')):
        os.utime(tokens, (0, 0))  # not newer than what was made from it
        done = project.snakemake(*arguments, check=False)
    assert done.returncode == 1 and "ipcascade train: results/tokens/tokens.json is not" in done.stdout
    assert not (project.folder / model).exists()
    assert project.planned(target) >= {"train", "score", "metrics"}
    # Back to the options of before: the model that is missing is made from its checkpoint.
    project.configure()
    assert project.run(model) - {"run_config"} == {"train"}
    assert "resuming at step" in (project.folder / "logs/train.log").read_text()
    assert (project.folder / model).read_bytes() == (finished.folder / model).read_bytes()
