"""Checks for a GPU that compare no contenders: half and full precision, the cost of options, resumption, several ranks.

They run on a CPU as far as possible: bf16 takes the place of fp16 there, and nothing is compiled. Everything is trained
by `ipcascade.training.run.fine_tune`, or by the command `train`.
"""

import argparse
import hashlib
import json
import logging
import math
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.commands import run_command, write_config
from benchmarks.engine_contenders import RECIPE, Inputs, own_training, start
from ipcascade.core.files import read_parquet
from ipcascade.runtime.precision import ResolvedPrecision
from ipcascade.training.loop import OutOfTime
from ipcascade.training.options import TrainingOptions

if TYPE_CHECKING:
    from benchmarks.engine import Bench

# The curve has one point per epoch, the mean of its losses, so epochs are short.
CURVE_EPOCHS = 10
CURVE_STEPS = {"cpu": 5, "cuda": 20}
BATCH = {"cpu": 8, "cuda": 64}
# Precision and options of the trainings that are timed on CUDA in addition to those of the curves.
ALSO_ON_CUDA: dict[str, tuple[ResolvedPrecision, dict[str, Any]]] = {
    "bf16": ("bf16", {}),
    "fp16, deterministic: false": ("fp16", {"deterministic": False}),
    "fp16, compile: false": ("fp16", {"compile": False}),
}
RESUME_EPOCHS, RESUME_STEPS = 2, 4
SCALING_EPOCHS = 3


def run_checks(bench: "Bench") -> dict[str, Any]:
    """All checks, each training in a process of its own."""
    half: ResolvedPrecision = "fp16" if bench.device == "cuda" else "bf16"
    ways: dict[str, tuple[ResolvedPrecision, dict[str, Any]]] = {half: (half, {}), "fp32": ("fp32", {})}
    curves = {
        name: _measured(bench, "curve", precision, name, "--options", json.dumps(options))
        for name, (precision, options) in (ways | (ALSO_ON_CUDA if bench.device == "cuda" else {})).items()
    }
    losses = {precision: curves[precision]["losses"] for precision in (half, "fp32")}
    whole = _measured(bench, "resume", half, "whole")
    for _ in range(2):
        _measured(bench, "resume", half, "stopped", "--stop")
    resumed = _measured(bench, "resume", half, "stopped")
    return {
        "scaling": scaling(bench),
        "curves": {
            "losses": losses,
            "steps_per_point": CURVE_STEPS[bench.device],
            "largest_relative_difference": round(
                max(abs(a - b) / b for a, b in zip(losses[half], losses["fp32"], strict=True)), 5
            ),
        },
        "documents_per_second": {name: curve["documents_per_second"] for name, curve in curves.items()},
        "compiled_graphs": {name: curves[half][name] for name in ("after_first_epoch", "at_the_end")},
        "resumption": {
            "exact": whole == resumed, "precision": half, "stopped_after_steps": [1, 2],
            "steps": RESUME_EPOCHS * RESUME_STEPS,
        },
    }  # fmt: skip


def sentences(checks: dict[str, Any]) -> list[str]:
    """The results of the checks as sentences."""
    curves, graphs, resumption = checks["curves"], checks["compiled_graphs"], checks["resumption"]
    points = len(next(iter(curves["losses"].values())))
    again = graphs["at_the_end"] - graphs["after_first_epoch"]
    rates = ", ".join(f"{rate:,.1f} with {ranks}" for ranks, rate in checks["scaling"].items())
    ways = ", ".join(f"{rate:,.1f} ({way})" for way, rate in checks["documents_per_second"].items())
    return [
        f"- documents/s by number of ranks: {rates}",
        f"- documents/s of training by precision and options: {ways}",
        f"- {' and '.join(curves['losses'])} curves: over {points * curves['steps_per_point']} steps, losses differ by "
        f"at most {curves['largest_relative_difference']:.2%} (points of {curves['steps_per_point']} steps)",
        f"- compiled graphs: {graphs['after_first_epoch']} after the first epoch of {curves['steps_per_point']} steps, "
        f"{again} more after that" if graphs["at_the_end"] else "- compiled graphs: nothing was compiled",
        f"- stopped after steps {' and '.join(map(str, resumption['stopped_after_steps']))} of {resumption['steps']} "
        f"and resumed ({resumption['precision']}, deterministic algorithms): weights are "
        f"{'the same, bit for bit' if resumption['exact'] else 'NOT the same'}",
    ]  # fmt: skip


def scaling(bench: "Bench") -> dict[str, float]:
    """Documents per second of `ipcascade train` by number of ranks: all GPUs, or two ranks of one CPU thread each."""
    corpus, splits = bench.folder / "corpus.parquet", bench.folder / "splits.parquet"
    common = {"corpus": corpus, "splits": splits}
    if not splits.exists():
        config = write_config(bench.folder / "splits.yaml", {"splits": {"rare_labels": "keep"}})
        run_command("splits", config, **common, audit=bench.folder / "audit.json")
    rates = {}
    several = max(2, torch.cuda.device_count()) if bench.device == "cuda" else 2
    for ranks in (1, several):
        if bench.device == "cuda" and ranks > torch.cuda.device_count():
            continue
        own = bench.folder / f"ranks-{ranks}"
        options = {
            "epochs": SCALING_EPOCHS, "batch_size": ranks * BATCH[bench.device], "devices": ranks,
            "accelerator": bench.device,
        }  # fmt: skip
        run_command(
            "train", write_config(own / "config.yaml", {"training": options}), **common, tokens=bench.folder / "tokens",
            encoder=bench.encoder, checkpoints=own / "checkpoints", model=own / "model",
            epochs=own / "epochs.parquet", validation_scores=own / "validation_scores.parquet",
            threads=ranks if bench.device == "cpu" else bench.threads,
        )  # fmt: skip
        rates[str(ranks)] = round(read_parquet(own / "epochs.parquet")["documents_per_second"][-1], 2)
    return rates


def _measured(bench: "Bench", check: str, precision: str, name: str, *words: str) -> dict[str, Any]:
    out = bench.folder / "check.json"
    out.unlink(missing_ok=True)
    checkpoints = bench.folder / f"{check}-{precision}-{name}"
    bench.call(
        "engine_gpu", check, "--precision", precision, "--checkpoints", str(checkpoints), "--out", str(out), *words
    )
    if not out.exists():
        sys.exit(f"the check {check} ({precision}, {name}) was killed")
    return json.loads(out.read_text(encoding="utf-8"))


class EpochGraphs(logging.Handler):
    """How many graphs had been compiled at the end of each epoch, which training marks with a log message."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.counts: list[int] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Count the graphs when the message of an epoch's end comes."""
        if record.getMessage().startswith("epoch "):
            self.counts.append(compiled_graphs())


def compiled_graphs() -> int:
    """Graphs that torch.compile has made in this process so far, recompilations included."""
    from torch._dynamo.utils import counters

    return counters["stats"]["unique_graphs"]


def curve(inputs: Inputs, precision: ResolvedPrecision, checkpoints: Path, changes: dict[str, Any]) -> dict[str, Any]:
    """The losses of a training from the start, its speed (median over epochs), and the number of compiled graphs.

    changes: options of the training that differ from the recipe's.
    """
    device = inputs.device.type
    documents = inputs.order[: CURVE_STEPS[device] * BATCH[device]]
    options = RECIPE.model_copy(update={"epochs": CURVE_EPOCHS, "batch_size": BATCH[device], **changes})
    graphs = EpochGraphs()
    log = logging.getLogger("ipcascade.training.loop")
    log.setLevel(logging.INFO)
    log.addHandler(graphs)
    _, trained = own_training(inputs, documents, options, precision, checkpoints)
    return {
        "losses": [round(epoch["train_loss"], 6) for epoch in trained.epochs],
        "documents_per_second": round(
            statistics.median(epoch["documents_per_second"] for epoch in trained.epochs[1:]), 2
        ),
        "after_first_epoch": graphs.counts[0],
        "at_the_end": graphs.counts[-1],
    }


def resume(inputs: Inputs, precision: ResolvedPrecision, checkpoints: Path, stop: bool) -> dict[str, Any]:
    """Go on training from `checkpoints`: one step (nothing is returned), or to the end (the weights' SHA-256)."""
    batch_size = BATCH[inputs.device.type]
    options: TrainingOptions = RECIPE.model_copy(update={"epochs": RESUME_EPOCHS, "batch_size": batch_size})
    documents = inputs.order[: RESUME_STEPS * batch_size]
    stop_at = time.monotonic() if stop else math.inf
    try:
        training, _ = own_training(inputs, documents, options, precision, checkpoints, stop_at)
    except OutOfTime:
        return {}
    digest = hashlib.sha256()
    for tensor in training.model.state_dict().values():
        digest.update(tensor.cpu().numpy().tobytes())
    return {"weights": digest.hexdigest()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one check's training."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("check", choices=("curve", "resume"))
    parser.add_argument("--folder", type=Path, required=True, help="prepared by engine.py")
    parser.add_argument("--device", choices=("cpu", "cuda"), required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--precision", choices=("fp16", "bf16", "fp32"), required=True)
    parser.add_argument("--checkpoints", type=Path, required=True)
    parser.add_argument("--options", type=json.loads, default={}, help="training options as JSON (curve)")
    parser.add_argument("--stop", action="store_true", help="after one step (resume)")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    if args.check == "resume":  # compiled again each time, as on another node
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(args.folder / f"compiled-{os.getpid()}")
    inputs = Inputs.open(args.folder, start(args.device, args.threads))
    facts = (
        curve(inputs, args.precision, args.checkpoints, args.options)
        if args.check == "curve"
        else resume(inputs, args.precision, args.checkpoints, args.stop)
    )
    args.out.write_text(json.dumps(facts), encoding="utf-8")


if __name__ == "__main__":
    main()
