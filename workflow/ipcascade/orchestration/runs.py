"""Runs: where the results of each are, and which it shares with another.

A run is the main config with a few keys changed. Its results are in results/runs/NAME/, those of the main run, which
has no name, in results/. What the changed keys do not reach is made once: a run that only has other thresholds takes
model and scores from the main run.
"""

import json
from collections.abc import Mapping
from typing import Any

from ipcascade import config as settings
from ipcascade.core.errors import UserError
from ipcascade.core.names import SCORED_SPLITS

MAIN = ""
PREFIX = "/runs/"
REPLICATES = "_seeds"
"""Ending of the name of a group of runs that differ in the training seed alone."""

# The sections, or keys of sections, that decide the results of a stage, with all before it. What all runs have in
# common (corpus, splits, encoder, tokens) is not listed.
_TRAIN = ("seed", "training")
_SCORE = (*_TRAIN, "scoring")
_COMBINE = (*_SCORE, "evidence")
_THRESHOLDS = (*_COMBINE, "thresholds", "decoding")
DECIDED_BY = {
    "train": _TRAIN,
    "score": _SCORE,
    "index_neighbours": _SCORE,
    "fit_linear": ("seed", "evidence.linear"),
    "combine": _COMBINE,
    "thresholds": _THRESHOLDS,
}


class Runs:
    """The configs of all runs, by the place of their results below results/: "" or "/runs/NAME"."""

    def __init__(self, main: settings.Config, others: Mapping[str, settings.Config]) -> None:
        self.configs = {MAIN: main} | {PREFIX + name: config for name, config in others.items()}

    def config(self, run: str) -> settings.Config:
        """The config of a run. Raises UserError where there is none of this name."""
        if run not in self.configs:
            names = ", ".join(place.removeprefix(PREFIX) for place in self.configs if place) or "none"
            raise UserError(f"config: runs has no run {run.removeprefix(PREFIX)!r} (there is: {names})")
        return self.configs[run]

    def home(self, stage: str, run: str) -> str:
        """The first run whose results of a stage are those of this run, too: the main run first."""
        wanted = self._decisive(stage, self.config(run))
        return next(place for place, config in self.configs.items() if self._decisive(stage, config) == wanted)

    def _decisive(self, stage: str, config: settings.Config) -> dict[str, Any]:
        options = settings.section_options(config, *DECIDED_BY[stage])
        if stage in ("combine", "thresholds") and not uses_network(config):
            # However the network was trained: it plays no part.
            return {name: value for name, value in options.items() if name not in ("training", "scoring")}
        return options

    def jobs(self, run: str) -> dict[str, str]:
        """The jobs that a run's results come from, named as their benchmarks: the run that each belongs to.

        Corpus and splits are left out, which all runs use.
        """
        config = self.config(run)
        stages: dict[str, list[str]] = {}
        if uses_network(config):
            splits = [*SCORED_SPLITS, *(["train"] if uses(config, "neighbours") else [])]
            stages |= {"train": ["train"], "score": [f"score_{split}" for split in splits]}
        for source, stage in {"neighbours": "index_neighbours", "linear": "fit_linear"}.items():
            stages |= {stage: [stage]} if uses(config, source) else {}
        stages |= {stage: [stage] for stage in ("combine", "thresholds")}
        tokens = {"tokens": MAIN} if uses_network(config) else {}
        return tokens | {job: self.home(stage, run) for stage, jobs in stages.items() for job in jobs}

    def named(self) -> dict[str, str]:
        """The places of all runs by their names; that of the main run is `settings.MAIN_RUN`."""
        return {_name(place): place for place in self.configs}

    def replicates(self) -> dict[str, list[str]]:
        """Runs that differ in the training seed alone: their names by that of the group, for groups of two or more."""
        alike: dict[str, list[str]] = {}
        for place, config in self.configs.items():
            options = config.model_dump(mode="json", exclude={"runs", "comparison"})
            options["training"].pop("seed")
            alike.setdefault(json.dumps(options, sort_keys=True), []).append(_name(place))
        return {names[0] + REPLICATES: names for names in alike.values() if len(names) > 1}

    def reference(self) -> str:
        """The run, or group of replicates, that differences are to."""
        wanted = self.configs[MAIN].comparison.reference
        return next((group for group, names in self.replicates().items() if wanted in names), wanted)


def _name(place: str) -> str:
    return place.removeprefix(PREFIX) or settings.MAIN_RUN


def uses_network(config: settings.Config) -> bool:
    """Whether a run's probabilities need the trained network: as a source, or for its vectors."""
    return config.evidence.sources != ["linear"]


def uses(config: settings.Config, source: str) -> bool:
    """Whether a run has this source of evidence."""
    return source in config.evidence.sources
