"""What the report reads: the files of a run, by their places below the results folder, each read where it is shown."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from ipcascade.core.analysis_files import read_analysis
from ipcascade.core.files import check_content, read_facts, read_json, read_parquet
from ipcascade.core.metrics_file import read_metrics
from ipcascade.core.names import TOKEN_FACTS
from ipcascade.core.schemas import FunnelFacts, MatrixFacts, PredictionFacts, SplitAudit, TokenFacts
from ipcascade.reporting.captions import caption
from ipcascade.reporting.report.elements import Figure, read_figure


@dataclass(frozen=True)
class Results:
    """The results folder of a run. All methods raise UserError where a file is absent, damaged or something else."""

    folder: Path

    def funnel(self) -> dict[str, Any]:
        """What each step of building the corpus removed."""
        return read_json(self.folder / "corpus" / "funnel.json", FunnelFacts)

    def audit(self) -> dict[str, Any]:
        """The audit of the splits."""
        return read_json(self.folder / "splits" / "audit.json", SplitAudit)

    def tokens(self) -> dict[str, Any]:
        """How long the documents are in tokens."""
        return read_json(self.folder / "tokens" / TOKEN_FACTS, TokenFacts)

    def history(self) -> pl.DataFrame:
        """A row per epoch."""
        return read_parquet(self.folder / "training" / "history.parquet")

    def predictions(self, name: str) -> dict[str, Any]:
        """What is to be said of the predictions of a table of texts."""
        return read_json(self.folder / "predictions" / f"{name}.facts.json", PredictionFacts)

    def shared_out(self, matrix: str) -> list[str]:
        """The labels that the concordance of a matrix shared out by training documents."""
        path = self.folder / "matrices" / f"{matrix}.parquet"
        facts = read_facts(path)
        check_content(MatrixFacts, facts, f"the metadata of {path}")
        return list(facts.get("shared_out", []))

    def metrics(self, name: str) -> dict[str, Any]:
        """The measures of a split, or of labelled new texts ("inputs/NAME")."""
        return read_metrics(self.folder / "metrics" / f"{name}.json")

    def analysis(self, name: str) -> pl.DataFrame:
        """A table of the error analysis."""
        return read_analysis(self.folder / "analysis" / name, name)

    def figure(self, number: int, title: str) -> Figure:
        """A numbered figure."""
        name = f"figure{number}"
        return read_figure(f"Figure {number}: {title}", caption(name), self.folder / "figures" / name, self.folder)
