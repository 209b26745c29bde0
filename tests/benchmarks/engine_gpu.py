"""What is no race but must be seen on a GPU: half beside full precision, what options cost, resumption, several ranks.

Runs on a CPU as far as it goes: bf16 takes the place of fp16 there, and nothing is compiled.
Everything is trained through `ipcascade.training.Training`.
"""

import argparse
import hashlib
import json
import logging
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.engine_contenders import RECIPE, Inputs, own_training, start
from ipcascade.config import TrainingOptions
from ipcascade.doors import read_parquet
from ipcascade.engine import Precision
from ipcascade.taxonomy import IPC_SCHEME
from ipcascade.training import OutOfTime

if TYPE_CHECKING:
    from benchmarks.engine import Bench

# The curve: what a history can tell is the mean of an epoch, so epochs are short.
CURVE_EPOCHS = 10
CURVE_STEPS = {"cpu": 5, "cuda": 20}
BATCH = {"cpu": 8, "cuda": 64}
# Precision and options of the trainings that are on CUDA timed beside those that draw the curves.
ALSO_ON_CUDA: dict[str, tuple[Precision, dict[str, Any]]] = {
    "bf16": ("bf16", {}),
    "fp16, deterministic: false": ("fp16", {"deterministic": False}),
    "fp16, compile: false": ("fp16", {"compile": False}),
}
RESUME_EPOCHS, RESUME_STEPS = 2, 4
SCALING_EPOCHS = 3


def run_checks(bench: "Bench") -> dict[str, Any]:
    """Everything in here that takes a training, each in a process of its own."""
    half: Precision = "fp16" if bench.device == "cuda" else "bf16"
    ways: dict[str, tuple[Precision, dict[str, Any]]] = {half: (half, {}), "fp32": ("fp32", {})}
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
            "steps_a_point": CURVE_STEPS[bench.device],
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
    """The checks' outcome in words."""
    curves, graphs, resumption = checks["curves"], checks["compiled_graphs"], checks["resumption"]
    points = len(next(iter(curves["losses"].values())))
    again = graphs["at_the_end"] - graphs["after_first_epoch"]
    rates = ", ".join(f"{rate:,.1f} with {ranks}" for ranks, rate in checks["scaling"].items())
    ways = ", ".join(f"{rate:,.1f} ({way})" for way, rate in checks["documents_per_second"].items())
    return [
        f"- documents/s by number of ranks: {rates}",
        f"- documents/s of training by precision and options: {ways}",
        f"- {' and '.join(curves['losses'])} curves: over {points * curves['steps_a_point']} steps, losses differ by "
        f"at most {curves['largest_relative_difference']:.2%} (points of {curves['steps_a_point']} steps)",
        f"- compiled graphs: {graphs['after_first_epoch']} after the first epoch of {curves['steps_a_point']} steps, "
        f"{again} more after that" if graphs["at_the_end"] else "- compiled graphs: nothing was compiled",
        f"- stopped after steps {' and '.join(map(str, resumption['stopped_after_steps']))} of {resumption['steps']} "
        f"and resumed ({resumption['precision']}, deterministic algorithms): weights are "
        f"{'the same, bit for bit' if resumption['exact'] else 'NOT the same'}",
    ]  # fmt: skip


def scaling(bench: "Bench") -> dict[str, float]:
    """Documents a second of `ipcascade train` by number of ranks: all GPUs, or two processes of one CPU thread each."""
    splits, config = bench.folder / "splits.parquet", bench.folder / "splits.json"
    common = {"taxonomy": IPC_SCHEME, "corpus": bench.folder / "corpus.parquet", "splits": splits}
    if not splits.exists():
        bench.step("splits", {"splits": {"rare_labels": "keep"}}, **common, audit=config)
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
        bench.step(
            "train", {"training": options}, **common, tokens=bench.folder / "tokens", encoder=bench.encoder,
            checkpoints=own / "checkpoints", model=own / "model", history=own / "history.parquet",
            threads=ranks if bench.device == "cpu" else bench.threads,
        )  # fmt: skip
        rates[str(ranks)] = round(read_parquet(own / "history.parquet")["documents_per_second"][-1], 2)
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
    """How many graphs were compiled when each epoch was over: the training says so in a line."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.counts: list[int] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of the line that closes an epoch."""
        if record.getMessage().startswith("epoch "):
            self.counts.append(compiled_graphs())


def compiled_graphs() -> int:
    """Graphs that torch.compile has made in this process so far, those made anew among them."""
    from torch._dynamo.utils import counters

    return counters["stats"]["unique_graphs"]


def curve(inputs: Inputs, precision: Precision, checkpoints: Path, changes: dict[str, Any]) -> dict[str, Any]:
    """The training loss of a fresh model, its speed (median over epochs), and what was compiled meanwhile.

    changes: options of the training that are to be others.
    """
    device = inputs.device.type
    documents = inputs.order[: CURVE_STEPS[device] * BATCH[device]]
    options = RECIPE.model_copy(update={"epochs": CURVE_EPOCHS, "batch_size": BATCH[device], **changes})
    graphs = EpochGraphs()
    log = logging.getLogger("ipcascade.training")
    log.setLevel(logging.INFO)
    log.addHandler(graphs)
    history, _ = own_training(inputs, documents, options, precision, checkpoints).run()
    return {
        "losses": [round(loss, 6) for loss in history["train_loss"]],
        "documents_per_second": round(statistics.median(history["documents_per_second"][1:]), 2),
        "after_first_epoch": graphs.counts[0],
        "at_the_end": graphs.counts[-1],
    }


def resume(inputs: Inputs, precision: Precision, checkpoints: Path, stop: bool) -> dict[str, Any]:
    """Train on from what `checkpoints` holds: one step (nothing is returned), or to the end (the weights' SHA-256)."""
    batch_size = BATCH[inputs.device.type]
    options: TrainingOptions = RECIPE.model_copy(update={"epochs": RESUME_EPOCHS, "batch_size": batch_size})
    training = own_training(
        inputs, inputs.order[: RESUME_STEPS * batch_size], options, precision, checkpoints,
        **({"stop_at": time.monotonic()} if stop else {}),
    )  # fmt: skip
    try:
        training.run()
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
    parser.add_argument("--options", type=json.loads, default={}, help="of the training (curve)")
    parser.add_argument("--stop", action="store_true", help="after one step (resume)")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    if args.check == "resume":  # compiled anew each time, as on another node
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
