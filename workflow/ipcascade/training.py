"""The training loop: fp16, bf16 or fp32; measured on validation each epoch; resumable at any step to the same weights.

All randomness of a step (dropout) is seeded from (seed, step), and an epoch's batches from (seed, epoch). So there is
no generator state to save: weights, optimizer and a step number are all that a resumed run needs.

With several ranks (see devices.py) each takes its share of every batch and of the validation documents; the first one
writes the checkpoints, and whatever ends a run early ends it for all after the same step.
"""

import logging
import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from . import checkpoint
from .batching import Packing, Padding, Pass, epoch_batches, steps_an_epoch
from .config import TrainingOptions
from .curve import measures_of_epoch
from .dropout import use_cpu_dropout
from .engine import Precision, autocast, can_compile, compiled, inputs_of, on_device, too_little_memory_said
from .errors import UserError
from .loss import Loss
from .model import CascadeModel, learning_rate_factor, parameter_groups
from .progress import Progress
from .randomness import stream_seed
from .ranks import Ranks
from .scoring import probabilities
from .speed import EpochCounts
from .taxonomy import Taxonomy
from .tokens import TokenCache

log = logging.getLogger(__name__)
# How often the loss is read back (which on a GPU waits for the step) to show it and to check that it is finite.
LOOK_EVERY = 50
# GradScaler starts at 65,536 and halves at every overflow; a scale far below 1 means that no step went through.
SMALLEST_SCALE = 1e-4
# What ranks agree on after a step; the largest counts.
GO_ON, SAVE, OUT_OF_TIME, TOLD_TO_STOP = range(4)


@dataclass(frozen=True)
class TrainingData:
    """cache and truth (bool [documents, labels]) of the corpus; train and val: positions in both."""

    cache: TokenCache
    truth: np.ndarray
    train: np.ndarray
    val: np.ndarray


@dataclass
class _State:
    """Where a run stands; all of it goes into a checkpoint."""

    step: int = 0
    epoch_loss: float = 0.0
    counts: EpochCounts = field(default_factory=EpochCounts)
    best_epoch: int = 0
    compiled: bool | None = None
    history: list[dict[str, Any]] = field(default_factory=list)


class OutOfTime(UserError):
    """The time limit is near; a checkpoint was saved, and the same command goes on from there."""


class Training:
    """One run: `run` trains, or goes on training, until the last epoch is measured."""

    def __init__(
        self,
        model: CascadeModel,
        data: TrainingData,
        taxonomy: Taxonomy,
        options: TrainingOptions,
        precision: Precision,
        seed: int,
        folder: Path,
        fingerprint: str,
        checkpoint_minutes: float,
        ranks: Ranks,
        stop_at: float = math.inf,
    ) -> None:
        """folder: where checkpoints of this `fingerprint` stand; the model is on the ranks' device already.

        checkpoint_minutes: how often one is saved, beside one an epoch; it changes no result.
        stop_at: when to save and stop, in seconds of `time.monotonic`.
        """
        self.model, self.data, self.taxonomy, self.options = model, data, taxonomy, options
        self.precision, self.seed, self.folder, self.fingerprint = precision, seed, folder, fingerprint
        self.checkpoint_minutes, self.ranks, self.stop_at = checkpoint_minutes, ranks, stop_at
        self.device = ranks.device
        if self.device.type == "cpu":
            use_cpu_dropout(model)
        self.loss = Loss(options, taxonomy, data.truth[data.train], self.device)
        groups = parameter_groups(
            model, options.encoder_learning_rate, options.head_learning_rate, options.weight_decay
        )
        self.optimizer = torch.optim.AdamW(groups, fused=True)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision == "fp16")
        self.lengths = data.cache.lengths[data.train]
        self.own_batch_size = options.batch_size // ranks.size
        self.steps_an_epoch = steps_an_epoch(len(data.train), options.batch_size)
        self.steps = self.steps_an_epoch * options.epochs
        self.state = _State()
        self.saved_step = 0
        self.told_to_stop = False

    def run(self) -> tuple[pl.DataFrame, dict[str, Tensor]]:
        """Train to the end.

        Returns the history (one row an epoch) and the weights of the best epoch by `select_by`.
        Raises UserError when the loss is no longer finite; OutOfTime when `stop_at` is near; SystemExit after SIGTERM.
        Before the latter two a checkpoint is saved.
        """
        self._resume()
        static = self.options.compile and can_compile(self.model, self.options.batching)
        self.layout: Packing | Padding = (
            Packing.for_steps(self.lengths, self.own_batch_size, self.options.token_budget, static)
            if self.options.batching == "packed"
            else Padding(self.options.token_budget)
        )
        effect = "training then starts afresh, as good but with other rounding and dropout"
        with Progress("training", self.steps * self.options.batch_size, "documents",
                      done=self.state.step * self.options.batch_size) as progress, self._heeding_sigterm():  # fmt: skip
            if not self._finished():
                with too_little_memory_said("training.token_budget", self.layout.rows, effect):
                    self._get_ready(static)
                    while not self._finished():
                        self._epoch(progress)
        self.ranks.wait()  # until the first one has written the weights of the best epoch
        history = pl.DataFrame(self.state.history).with_columns(selected=pl.col("epoch") == self.state.best_epoch)
        return history, checkpoint.load_best(self.folder, self.state.best_epoch)

    def _get_ready(self, static: bool) -> None:
        """Let ranks start from the first one's weights, and compile where passes have one shape (`static`)."""
        # First, since within it the backward pass is compiled in pieces, between which gradients are exchanged.
        self.forward = self.ranks.parallel(self.model)
        is_compiled = static and compiled(self.model, self._trial)
        if self.state.compiled not in (None, is_compiled):
            log.warning(
                "steps until now were %scompiled, those to come are%s: the model will differ by rounding from that of "
                "an undisturbed run", "" if self.state.compiled else "not ", "" if is_compiled else " not",
            )  # fmt: skip
        self.state.compiled = is_compiled

    def _trial(self) -> None:
        """A step's first pass, there and back, without a step."""
        self.model.train()
        first = epoch_batches(self.lengths, self.options.batch_size, self.seed, epoch=0)[0]
        try:
            with self.ranks.synchronised(self.forward, last=False):
                self._loss_of(self._passes(self.data.train[self.ranks.share(first)])[0]).backward()  # type: ignore[no-untyped-call]
        finally:
            self.optimizer.zero_grad(set_to_none=True)

    def _finished(self) -> bool:
        epoch, patience = len(self.state.history), self.options.early_stopping
        return epoch == self.options.epochs or (patience is not None and epoch - self.state.best_epoch >= patience)

    def _epoch(self, progress: Progress) -> None:
        epoch = len(self.state.history)
        batches = epoch_batches(self.lengths, self.options.batch_size, self.seed, epoch)
        self.model.train()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        total = torch.tensor(self.state.epoch_loss, dtype=torch.float64, device=self.device)
        started = saved = time.monotonic()
        before = self.state.counts.seconds
        while (done := self.state.step - epoch * self.steps_an_epoch) < self.steps_an_epoch:
            total += self._step(batches[done])
            self.state.step += 1
            progress.advance(self.options.batch_size)
            last = done + 1 == self.steps_an_epoch
            seconds = before + time.monotonic() - started
            # A document is scored faster than it is learned from, so this is the most that validation takes.
            validation = seconds * len(self.data.val) / len(self.data.train) if last else 0.0
            next_move = self._agree_on_next_move(saved, time_ahead=validation)
            if next_move != GO_ON or last or self.state.step % LOOK_EVERY == 0:
                self.state.epoch_loss = self._finite(total)  # which waits for the device, so that its time counts
                self.state.counts.seconds = before + time.monotonic() - started
                progress.note(f"epoch {epoch + 1}, loss {self.state.epoch_loss / (done + 1):.4f}")
            if next_move != GO_ON:
                self._save()
                self.ranks.wait()  # a rank that left before the first one has saved would end that one, too
                saved = time.monotonic()
            if next_move == OUT_OF_TIME:
                raise OutOfTime(
                    f"the time limit is near: stopped after step {self.state.step} of {self.steps}, and a checkpoint "
                    f"is saved in {self.folder}; submitted again (a profile's retries do that) training goes on from it"
                )
            if next_move == TOLD_TO_STOP:
                self._leave()
        self._close_epoch(epoch)

    def _agree_on_next_move(self, saved: float, time_ahead: float) -> int:
        """What all ranks do after this step; `time_ahead`: seconds for which nothing can be saved after it."""
        now = time.monotonic()
        if self.told_to_stop:
            own = TOLD_TO_STOP
        elif now + time_ahead > self.stop_at:
            own = OUT_OF_TIME
        else:
            own = SAVE if now - saved > self.checkpoint_minutes * 60 else GO_ON
        return self.ranks.largest(own)

    @contextmanager
    def _heeding_sigterm(self) -> Iterator[None]:
        """Told to end by SIGTERM, as `kill` does, finish the step, then save and stop.

        In a Slurm job no such warning comes: Snakemake, which runs the step, keeps it to itself.
        """

        def take_note(*_: object) -> None:
            self.told_to_stop = True

        before = signal.signal(signal.SIGTERM, take_note)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def _leave(self) -> None:
        log.error("told to stop (SIGTERM): a checkpoint of step %d is saved in %s", self.state.step, self.folder)
        raise SystemExit(128 + signal.SIGTERM)

    def _step(self, batch: np.ndarray) -> Tensor:
        # The first rank's numbers are those of a single process.
        own = (self.ranks.rank,) if self.ranks.rank else ()
        torch.manual_seed(stream_seed(self.seed, "dropout", self.state.step, *own))
        factor = self._learning_rate_factor(self.state.step)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * factor
        passes = self._counted_passes(batch)
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for number, one in enumerate(passes):
            with self.ranks.synchronised(self.forward, last=number == len(passes) - 1):
                loss = self._loss_of(one)
                self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        self.scaler.unscale_(self.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.options.gradient_clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        # The scaler leaves out a step whose gradients overflow; without it such a step has spoiled the weights.
        return total if self.scaler.is_enabled() else torch.where(torch.isfinite(norm), total, torch.nan)

    def _loss_of(self, one: Pass) -> Tensor:
        with autocast(self.precision, self.device):
            section_logits, class_logits = self.forward(**inputs_of(one, self.device))
        truth = on_device(self.data.truth[one.documents].astype(np.float32), self.device)
        documents = len(one.documents)
        return self.loss(section_logits[:documents], class_logits[:documents], truth, of=self.own_batch_size)

    def _passes(self, documents: np.ndarray) -> list[Pass]:
        cache = self.data.cache
        return [
            self.layout.collate(cache, documents[chosen]) for chosen in self.layout.split(cache.lengths_of(documents))
        ]

    def _counted_passes(self, batch: np.ndarray) -> list[Pass]:
        """`_passes` of this rank's share of a step, counted for the history."""
        own = self.ranks.share(batch)
        started = time.monotonic()
        passes = self._passes(self.data.train[own])
        self.state.counts.add_step(self.lengths[batch], self.lengths[own], passes, time.monotonic() - started)
        return passes

    def _learning_rate_factor(self, step: int) -> float:
        return learning_rate_factor(step, self.steps, self.options.warmup)

    def _finite(self, total: Tensor) -> float:
        value = float(self.ranks.mean(total))
        where = f"by step {self.state.step}; the last good checkpoint, of step {self.saved_step}, is in {self.folder}"
        if not math.isfinite(value):
            raise UserError(
                f"training diverged: the loss or the gradient is no longer finite {where}; lower "
                "training.encoder_learning_rate or training.head_learning_rate, or set training.precision to fp32"
            )
        if self.scaler.is_enabled() and self.scaler.get_scale() < SMALLEST_SCALE:
            raise UserError(
                f"training diverged: gradients overflow fp16 at every step, whatever their scale, {where}; set "
                "training.precision to bf16 or fp32"
            )
        return value

    def _skipped(self) -> int:
        """Steps so far that the scaler left out, since their gradients overflowed: AdamW counts those that it did."""
        done = next(iter(self.optimizer.state.values()))["step"]
        return self.state.step - round(float(done))

    def _close_epoch(self, epoch: int) -> None:
        scores = self._validation_scores(epoch)
        truth = self.data.truth[self.data.val]
        row: dict[str, Any] = {
            "epoch": epoch + 1,
            "train_loss": self.state.epoch_loss / self.steps_an_epoch,
            "val_loss": self.loss.of_probabilities(scores, truth),
            # Of the encoder, at the epoch's last step.
            "learning_rate": self.options.encoder_learning_rate * self._learning_rate_factor(self.state.step - 1),
            "skipped_steps": self._skipped() - sum(before["skipped_steps"] for before in self.state.history),
            "compiled": self.state.compiled,
            **self.state.counts.figures(self.model.encoder, self.device, self.ranks.size, self.precision),
            **measures_of_epoch(truth, scores, self.taxonomy, self.options.validation),
        }
        best = self.state.history[self.state.best_epoch - 1] if self.state.best_epoch else None
        selected = self.options.select_by
        self.state.history.append(row)
        self.state.epoch_loss, self.state.counts = 0.0, EpochCounts()
        if best is None or row[selected] > best[selected]:
            self.state.best_epoch = epoch + 1
            if self.ranks.first:
                checkpoint.save_best(self.folder, epoch + 1, self.model.state_dict())
        self._save()
        log.info(
            "epoch %d: loss %.4f, validation loss %.4f, %s %.4f%s, %.1f documents/s",
            epoch + 1, row["train_loss"], row["val_loss"], selected, row[selected],
            " (best)" if self.state.best_epoch == epoch + 1 else "", row["documents_per_second"],
        )  # fmt: skip

    def _validation_scores(self, epoch: int) -> np.ndarray:
        documents = self.ranks.share(self.data.val)
        with Progress(f"validation {epoch + 1}", len(documents), "documents") as progress:

            def advance(count: int) -> None:
                progress.advance(count)
                if self.told_to_stop:  # the weights are those after the epoch's last step, so this state can be saved
                    self._save()
                    self._leave()

            scores = probabilities(
                self.model, self.data.cache, documents, self.options.batching, self.options.token_budget,
                self.precision, advance,
            )  # fmt: skip
        return self.ranks.joined(scores, len(self.data.val))

    def _save(self) -> None:
        self.saved_step = self.state.step
        if not self.ranks.first:
            return
        facts = {**asdict(self.state), "scaler": self.scaler.state_dict()}
        checkpoint.save(self.folder, self.fingerprint, self.model, self.optimizer, facts)

    def _resume(self) -> None:
        facts = checkpoint.load(self.folder, self.fingerprint, self.model, self.optimizer)
        if facts is None:
            return
        self.scaler.load_state_dict(facts.pop("scaler"))
        self.state = _State(**{**facts, "counts": EpochCounts(**facts["counts"])})
        self.saved_step = self.state.step
        log.info("resuming at step %d of %d", self.state.step, self.steps)
