"""The training loop: fp16, bf16 or fp32; scored on validation each epoch; resumable at any step to the same weights.

All randomness of a step (dropout) is seeded from (seed, step), and an epoch's batches from (seed, epoch). So there is
no generator state to save: weights, optimizer and a step number are all that a resumed run needs.

With several ranks (see distributed.py) each takes its share of every batch and of the validation documents; the first
one writes the checkpoints, and whatever ends a run early ends it for all after the same step.
"""

import logging
import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.options import by_level
from ipcascade.core.progress import Progress
from ipcascade.core.random_streams import stream, stream_seed
from ipcascade.encoder.tokens import TokenCache
from ipcascade.evaluation.epoch_selection import is_better, selection_value, validation_loss
from ipcascade.evaluation.options import VALIDATION_LOSS
from ipcascade.inference.forward import probabilities
from ipcascade.model.batching import MicroBatch, Packing, Padding
from ipcascade.model.network import Classifier, inputs_of
from ipcascade.runtime.compilation import can_compile, compiled
from ipcascade.runtime.device import on_device
from ipcascade.runtime.dropout import use_cpu_dropout
from ipcascade.runtime.memory import out_of_memory_explained
from ipcascade.runtime.precision import ResolvedPrecision, autocast
from ipcascade.training import checkpoint
from ipcascade.training.batches import epoch_batches, steps_per_epoch
from ipcascade.training.distributed import Ranks
from ipcascade.training.loss import Loss
from ipcascade.training.optimizer import learning_rate_factor, parameter_groups
from ipcascade.training.options import TrainingOptions, selected_by
from ipcascade.training.throughput import EpochCounts
from ipcascade.training.token_dropout import without_some_tokens

log = logging.getLogger(__name__)
# Steps after which the loss is read back (which on a GPU waits for them) to show it and to check that it is finite.
READ_LOSS_EVERY = 50
# GradScaler starts at 65,536 and halves at every overflow; a scale far below 1 means that no step went through.
SMALLEST_GRADIENT_SCALE = 1e-4


@dataclass(frozen=True)
class TrainingData:
    """What to learn.

    tree: of the levels that are reported; trained_tree: of all levels that are trained, the same or one level more;
    cache and truth (bool [documents, labels of trained_tree]) of the corpus; train and val: positions in both.
    """

    tree: LabelTree
    trained_tree: LabelTree
    cache: TokenCache
    truth: np.ndarray
    train: np.ndarray
    val: np.ndarray

    @property
    def has_finer_level(self) -> bool:
        """Whether a level is trained that is not reported."""
        return self.trained_tree.levels != self.tree.levels

    @property
    def val_truth(self) -> np.ndarray:
        """bool [validation documents, labels of tree]."""
        return self.truth[self.val, : len(self.tree.labels)]


@dataclass(frozen=True)
class Checkpoints:
    """Where checkpoints of a training are, and how often one is saved beside one per epoch; it changes no result.

    folder, fingerprint: as `checkpoint.folder_for` gives them.
    """

    folder: Path
    fingerprint: str
    minutes: float = 5.0


@dataclass
class _State:
    """Where a run is; all of it goes into a checkpoint. epochs: the facts of each finished epoch."""

    step: int = 0
    epoch_loss: float = 0.0
    counts: EpochCounts = field(default_factory=EpochCounts)
    best_epoch: int = 0
    best_value: float | None = None
    compiled: bool | None = None
    epochs: list[dict[str, Any]] = field(default_factory=list)


class _Action(IntEnum):
    """What follows a step. Ranks agree on the largest of theirs."""

    CONTINUE = 0
    SAVE = 1
    STOP_OUT_OF_TIME = 2
    STOP_ON_SIGNAL = 3


class OutOfTime(UserError):
    """The time limit is near; a checkpoint was saved, and the same command goes on from there."""


@dataclass(frozen=True)
class Trained:
    """A finished training.

    epochs: one row per epoch (the columns of epochs.parquet but `selected`); best_epoch, best_value: the selected
    epoch, from 1, and its value of the selection measure; weights: those of that epoch.
    """

    epochs: list[dict[str, Any]]
    best_epoch: int
    best_value: float | None
    weights: dict[str, Tensor]


class Training:
    """One run: `run` trains, or goes on training, until the last epoch is scored."""

    def __init__(
        self,
        model: Classifier,
        data: TrainingData,
        options: TrainingOptions,
        seed: int,
        precision: ResolvedPrecision,
        ranks: Ranks,
        checkpoints: Checkpoints,
        stop_at: float = math.inf,
    ) -> None:
        """The model is on the ranks' device already; stop_at: when to save and stop, in seconds of `time.monotonic`."""
        self.model, self.data, self.options, self.seed = model, data, options, seed
        self.precision, self.ranks, self.checkpoints, self.stop_at = precision, ranks, checkpoints, stop_at
        self.device = ranks.device
        if self.device.type == "cpu":
            use_cpu_dropout(model)
        self.loss = Loss(options, data.trained_tree, data.truth[data.train], self.device, data.has_finer_level)
        groups = parameter_groups(
            model, options.encoder_learning_rate, options.head_learning_rate, options.weight_decay
        )
        self.optimizer = torch.optim.AdamW(groups, fused=True)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision == "fp16")
        self.lengths = data.cache.lengths[data.train]
        self.own_batch_size = options.batch_size // ranks.size
        self.steps_per_epoch = steps_per_epoch(len(data.train), options.batch_size)
        self.steps = self.steps_per_epoch * options.epochs
        self.is_static = options.compile and can_compile(model, options.batching)
        self.layout: Packing | Padding = (
            Packing.for_steps(
                self.lengths, self.own_batch_size, options.max_tokens, self.is_static, 1 - options.token_dropout
            )
            if options.batching == "packed"
            else Padding(options.max_tokens)
        )
        # Wrapped before it is compiled, since within the wrapper the backward pass is compiled in pieces, between which
        # gradients are exchanged.
        self.parallel_model = ranks.parallel(model)
        self.selection = selected_by(options, data.tree.levels)
        self.state = _State()
        self.saved_step = 0
        self.stop_requested = False

    def run(self) -> Trained:
        """Train to the end.

        Raises UserError when the loss is no longer finite; OutOfTime when `stop_at` is near; SystemExit after SIGTERM.
        Before the latter two a checkpoint is saved.
        """
        self._resume()
        effect = "training then starts from the beginning, as good but with other rounding and dropout"
        documents = self.options.batch_size
        with (
            Progress("training", self.steps * documents, "documents", done=self.state.step * documents) as progress,
            self._stop_requested_by_sigterm(),
            out_of_memory_explained("training.max_tokens", self.layout.max_tokens, effect),
        ):
            if not self._finished():
                self._compile()
            while not self._finished():
                self._train_epoch(progress)
                self._close_epoch()
        self.ranks.barrier()  # until the first one has written the weights of the best epoch
        best = checkpoint.load_best(self.checkpoints.folder, self.state.best_epoch, self.model)
        return Trained(self.state.epochs, self.state.best_epoch, self.state.best_value, best)

    def _finished(self) -> bool:
        epoch, patience = len(self.state.epochs), self.options.early_stopping
        return epoch == self.options.epochs or (patience is not None and epoch - self.state.best_epoch >= patience)

    # ---- Compiling ----

    def _compile(self) -> None:
        """Compile the model where micro-batches have one shape; a resumed run says where it is compiled otherwise."""
        is_compiled = self.is_static and compiled(self.model, self._trial)
        if self.state.compiled not in (None, is_compiled):
            log.warning(
                "steps until now were %scompiled, those to come are%s: the model will differ by rounding from that of "
                "an undisturbed run", "" if self.state.compiled else "not ", "" if is_compiled else " not",
            )  # fmt: skip
        self.state.compiled = is_compiled

    def _trial(self) -> None:
        """A step's first micro-batch, forward and backward, without a step."""
        self.model.train()
        first = epoch_batches(self.lengths, self.options.batch_size, self.seed, epoch=0)[0]
        try:
            with self.ranks.gradients_averaged(self.parallel_model, last=False):
                losses = self._losses_of(self._micro_batches(first)[0])
                losses.sum().backward()  # type: ignore[no-untyped-call]
        finally:
            self.optimizer.zero_grad(set_to_none=True)

    # ---- An epoch's steps ----

    def _train_epoch(self, progress: Progress) -> None:
        epoch = len(self.state.epochs)
        batches = epoch_batches(self.lengths, self.options.batch_size, self.seed, epoch)
        self.model.train()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        loss = torch.tensor(self.state.epoch_loss, dtype=torch.float64, device=self.device)
        clock = _Clock(self.state.counts.seconds)
        for done in range(self.state.step - epoch * self.steps_per_epoch, self.steps_per_epoch):
            loss += self._step(batches[done])
            self.state.step += 1
            progress.advance(self.options.batch_size)
            is_last = done + 1 == self.steps_per_epoch
            action = self._next_action(clock, is_last)
            if action != _Action.CONTINUE or is_last or self.state.step % READ_LOSS_EVERY == 0:
                self.state.epoch_loss = self._finite(loss)  # which waits for the device, so that its time counts
                self.state.counts.seconds = clock.seconds()
                self.state.counts.note_peak_memory(self.device)
                progress.note(f"epoch {epoch + 1}, loss {self.state.epoch_loss / (done + 1):.4f}")
            if action != _Action.CONTINUE:
                self._save()
                self.ranks.barrier()  # a rank that left before the first one has saved would end that one, too
                clock.saved()
            self._stop_if(action)

    def _next_action(self, clock: "_Clock", is_last: bool) -> _Action:
        """What all ranks do after this step."""
        # A document is scored faster than it is trained on, so this is the most that validation takes, during which
        # nothing can be saved.
        validation = clock.seconds() * len(self.data.val) / len(self.data.train) if is_last else 0.0
        if self.stop_requested:
            own = _Action.STOP_ON_SIGNAL
        elif time.monotonic() + validation > self.stop_at:
            own = _Action.STOP_OUT_OF_TIME
        else:
            own = _Action.SAVE if clock.since_saved() > self.checkpoints.minutes * 60 else _Action.CONTINUE
        return _Action(self.ranks.all_reduce_max(own))

    def _stop_if(self, action: _Action) -> None:
        """Leave where the action is to stop; the checkpoint is saved already."""
        if action == _Action.STOP_OUT_OF_TIME:
            raise OutOfTime(
                f"the time limit is near: stopped after step {self.state.step} of {self.steps}, and a checkpoint is "
                f"saved in {self.checkpoints.folder}; submitted again (a rule's retries do that) training goes on from "
                "it"
            )
        if action == _Action.STOP_ON_SIGNAL:
            log.error(
                "stopped by SIGTERM: a checkpoint of step %d is saved in %s", self.state.step, self.checkpoints.folder
            )
            raise SystemExit(128 + signal.SIGTERM)

    @contextmanager
    def _stop_requested_by_sigterm(self) -> Iterator[None]:
        """After SIGTERM, as `kill` sends it, finish the step, then save and stop.

        In a Slurm job the signal does not arrive here: Snakemake, which runs the command, does not pass it on.
        """

        def request(*_: object) -> None:
            self.stop_requested = True

        before = signal.signal(signal.SIGTERM, request)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    # ---- One step ----

    def _step(self, batch: np.ndarray) -> Tensor:
        """Update the weights by one batch, given as positions among the training documents.

        Returns the loss of this rank's share at the levels that are reported, as that of validation is.
        """
        # The first rank's numbers are those of a single process.
        rank = (self.ranks.rank,) if self.ranks.rank else ()
        torch.manual_seed(stream_seed(self.seed, "dropout", self.state.step, *rank))
        factor = self._learning_rate_factor(self.state.step)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * factor
        micro_batches = self._micro_batches(batch, self.state.counts)
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for number, micro_batch in enumerate(micro_batches, start=1):
            with self.ranks.gradients_averaged(self.parallel_model, last=number == len(micro_batches)):
                losses = self._losses_of(micro_batch)
                self.scaler.scale(losses.sum()).backward()  # type: ignore[no-untyped-call]
            total += losses.detach()[: len(self.data.tree.levels)].sum()
        self.scaler.unscale_(self.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.options.gradient_clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        # The scaler leaves out a step whose gradients overflow; without it such a step has spoiled the weights.
        return total if self.scaler.is_enabled() else torch.where(torch.isfinite(norm), total, torch.nan)

    def _learning_rate_factor(self, step: int) -> float:
        return learning_rate_factor(step, self.steps, self.options.warmup)

    def _losses_of(self, batch: MicroBatch) -> Tensor:
        with autocast(self.precision, self.device):
            logits = self.parallel_model(**inputs_of(batch, self.device))
        truth = on_device(self.data.truth[batch.documents].astype(np.float32), self.device)
        documents = len(batch.documents)
        return self.loss([of_level[:documents] for of_level in logits], truth, of=self.own_batch_size)

    def _micro_batches(self, batch: np.ndarray, counts: EpochCounts | None = None) -> list[MicroBatch]:
        """The micro-batches of this rank's share of a batch (positions among the training documents), counted."""
        started = time.monotonic()
        documents, cache = self.data.train[batch], self.data.cache
        places = documents
        if self.options.token_dropout:
            random = stream(self.seed, "token dropout", self.state.step)  # of the whole batch: the same in all ranks
            cache = without_some_tokens(cache, documents, self.options.token_dropout, random)
            places = np.arange(len(documents))
        lengths, own = cache.lengths_of(places), self.ranks.share(np.arange(len(documents)))
        micro_batches = [
            replace(self.layout.collate(cache, places[own[chosen]]), documents=documents[own[chosen]])
            for chosen in self.layout.split(lengths[own])
        ]
        if counts is not None:
            counts.add_step(lengths, lengths[own], micro_batches, time.monotonic() - started)
        return micro_batches

    def _finite(self, loss: Tensor) -> float:
        """The mean of the ranks' losses so far in this epoch. Raises UserError where training has diverged."""
        value = float(self.ranks.all_reduce_mean(loss))
        where = (
            f"by step {self.state.step}; the last good checkpoint, of step {self.saved_step}, is in "
            f"{self.checkpoints.folder}"
        )
        if not math.isfinite(value):
            raise UserError(
                f"training diverged: the loss or the gradient is no longer finite {where}; lower "
                "training.encoder_learning_rate or training.head_learning_rate, or set training.precision to fp32"
            )
        if self.scaler.is_enabled() and self.scaler.get_scale() < SMALLEST_GRADIENT_SCALE:
            raise UserError(
                f"training diverged: gradients overflow fp16 at every step, whatever their scale, {where}; set "
                "training.precision to bf16 or fp32"
            )
        return value

    # ---- The end of an epoch ----

    def _close_epoch(self) -> None:
        """Score the validation documents, note the epoch's facts, and save."""
        epoch = len(self.state.epochs) + 1
        scores = self._validation_scores(epoch)
        facts = self._facts(epoch, scores)
        value = facts["val_loss"] if self.selection == VALIDATION_LOSS else self._selection_value(scores)
        self.state.epochs.append(facts)
        self.state.epoch_loss, self.state.counts = 0.0, EpochCounts()
        if self.ranks.first:
            checkpoint.save_validation(self.checkpoints.folder, epoch, scores)
        # Some epoch has to be the best one, even where the measure has no value.
        if epoch == 1 or is_better(self.selection, value, self.state.best_value):
            self.state.best_epoch, self.state.best_value = epoch, value
            if self.ranks.first:
                checkpoint.save_best(self.checkpoints.folder, epoch, self.model.state_dict())
        self._save()
        log.info(
            "epoch %d: loss %.4f, validation loss %.4f, %s %s%s, %.1f documents/s",
            epoch, facts["train_loss"], facts["val_loss"], self.selection, "none" if value is None else f"{value:.4f}",
            " (best)" if self.state.best_epoch == epoch else "", facts["documents_per_second"],
        )  # fmt: skip

    def _facts(self, epoch: int, scores: np.ndarray) -> dict[str, Any]:
        """The row of epochs.parquet, but for `selected`."""
        tree, options = self.data.tree, self.options
        weights = by_level(options.loss_weights, tree.levels)
        return {
            "epoch": epoch,
            "train_loss": self.state.epoch_loss / self.steps_per_epoch,
            "val_loss": validation_loss(self.data.val_truth, scores, tree, weights, options.loss_reduction),
            # Of the encoder, at the epoch's last step.
            "learning_rate": options.encoder_learning_rate * self._learning_rate_factor(self.state.step - 1),
            "skipped_steps": self._skipped_steps() - sum(before["skipped_steps"] for before in self.state.epochs),
            "compiled": self.state.compiled,
            **self.state.counts.figures(self.model.encoder, self.device, self.ranks.size, self.precision),
        }

    def _selection_value(self, scores: np.ndarray) -> float | None:
        data = self.data
        return selection_value(self.selection, data.val_truth, scores, data.tree, self.options.mask_confidence)

    def _skipped_steps(self) -> int:
        """Steps so far that the scaler left out, since their gradients overflowed: AdamW counts those that it did."""
        done = next(iter(self.optimizer.state.values()))["step"]
        return self.state.step - round(float(done))

    def _validation_scores(self, epoch: int) -> np.ndarray:
        """float32 [validation documents, labels], the same in all ranks."""
        documents = self.ranks.share(self.data.val)
        with Progress(f"validation {epoch}", len(documents), "documents") as progress:

            def advance(count: int) -> None:
                progress.advance(count)
                if self.stop_requested:  # the weights are those after the epoch's last step: this state can be saved
                    self._save()
                    self._stop_if(_Action.STOP_ON_SIGNAL)

            scores = probabilities(
                self.model, self.data.cache, documents, self.options.batching, self.options.max_tokens, self.precision,
                advance,
            )  # fmt: skip
        return self.ranks.all_gather_rows(scores, len(self.data.val))

    # ---- Checkpoints ----

    def _save(self) -> None:
        self.saved_step = self.state.step
        if self.ranks.first:
            facts = {**asdict(self.state), "scaler": self.scaler.state_dict()}
            checkpoint.save(self.checkpoints.folder, self.checkpoints.fingerprint, self.model, self.optimizer, facts)

    def _resume(self) -> None:
        facts = checkpoint.load(self.checkpoints.folder, self.checkpoints.fingerprint, self.model, self.optimizer)
        if facts is None:
            return
        self.scaler.load_state_dict(facts.pop("scaler"))
        self.state = _State(**{**facts, "counts": EpochCounts(**facts["counts"])})
        self.saved_step = self.state.step
        log.info("resuming at step %d of %d", self.state.step, self.steps)


class _Clock:
    """Seconds of an epoch, those before a resumption included, and since the last checkpoint."""

    def __init__(self, before: float) -> None:
        self._before = before
        self._started = self._saved = time.monotonic()

    def seconds(self) -> float:
        return self._before + time.monotonic() - self._started

    def since_saved(self) -> float:
        return time.monotonic() - self._saved

    def saved(self) -> None:
        self._saved = time.monotonic()
