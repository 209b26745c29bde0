"""The contenders of the engine benchmark, and the process in which one of them is measured.

Each gets the same documents of one corpus in one random order (or a prefix of it), the same encoder with the same
heads, the same loss, and the same numerics: weights in fp32, computed under autocast or not. Each processes its
documents twice, and the second time is measured; only the published system, whose batches all have one shape, warms up
on a single batch. Saving and validation are not timed.

A contender is what somebody who chooses that approach would run, in its best form: fused AdamW, attention dropout 0 (it
keeps SDPA on its fast kernels), no logging, no reading back of the loss that an option can avoid, and on a GPU workers
that load data ahead. How this package sets up a process (malloc, TF32) is part of it, so the others do without the
former; TF32 is on for all.

published         the published system: tokenises in `Dataset.__getitem__`, pads all to the longest length, masks in
                  Python loops over documents and labels. The loops run over numbers copied once per batch, their
                  cheapest form.
trainer-dynamic   Hugging Face Trainer on documents tokenised before, padded to the longest of a batch.
                  Not compiled, on a GPU either: its batches have many shapes.
trainer-grouped   the same with `train_sampling_strategy="group_by_length"`, which also orders prediction.
ipcascade-padded  this package, padded micro-batches of similar lengths.
ipcascade         this package with its defaults, packed; compiled on a GPU.
"""

import argparse
import gc
import json
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from ipcascade.core.documents import read_tree, truth_of
from ipcascade.core.errors import UserError
from ipcascade.core.files import read_parquet
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.options import Batching
from ipcascade.core.random_streams import stream, stream_seed
from ipcascade.encoder.tokens import TokenCache
from ipcascade.inference.forward import probabilities
from ipcascade.model.network import Classifier
from ipcascade.runtime import memory
from ipcascade.runtime.compilation import can_compile, compiled, set_up
from ipcascade.runtime.precision import ResolvedPrecision, autocast
from ipcascade.training.distributed import Ranks
from ipcascade.training.initialisation import new_classifier
from ipcascade.training.loop import Checkpoints, Trained, Training, TrainingData
from ipcascade.training.loss import Loss
from ipcascade.training.options import SoftMaskOptions, TrainingOptions
from ipcascade.training.run import fine_tune

PUBLISHED, OWN, OWN_PADDED = "published", "ipcascade", "ipcascade-padded"
SEED = 42
# The published recipe's loss and mask, so that every contender computes the same. Two epochs: the second is timed.
RECIPE = TrainingOptions(
    # What the others do, too.
    label_attention=False, title_examples=False, finer_level_weight=0, token_dropout=0,
    epochs=2, encoder_learning_rate=2e-5, head_learning_rate=2e-5, loss_reduction="mean", head_bias=-2.0,
    soft_mask=SoftMaskOptions(confidence=0.1, factor=0.1),
)  # fmt: skip
VALIDATION_DOCUMENTS = 8
# Of the Trainer's dynamic padding. Tensor cores need multiples of 8; on a CPU, kernels for bf16 are prepared anew for
# each shape, so few shapes make the Trainer faster, while fp32 takes any width.
PAD_TO_MULTIPLE = {"fp16": 8, "bf16": 32, "fp32": 1}


@dataclass(frozen=True)
class Setting:
    """What a contender may choose. size: documents per batch; in this package's scoring, tokens per micro-batch."""

    size: int
    precision: ResolvedPrecision

    @classmethod
    def parse(cls, text: str) -> "Setting":
        """From `32:bf16`."""
        size, precision = text.split(":")
        return cls(int(size), precision)  # type: ignore[arg-type]

    def __str__(self) -> str:
        return f"{self.size}:{self.precision}"


class LevelPair(NamedTuple):
    """Two levels of the label tree, one above the other: their columns, and the parents of the labels below.

    parents: positions within the level above.
    """

    above: slice
    below: slice
    parents: list[int]


def level_pairs(tree: LabelTree) -> list[LevelPair]:
    """All levels of a tree in pairs, from the top down."""
    return [
        LevelPair(above, below, (tree.parent[below] - above.start).tolist())
        for above, below in pairwise(tree.columns.values())
    ]


@dataclass(frozen=True)
class Inputs:
    """A prepared folder (see engine.py): what every contender reads, and where it computes."""

    encoder: Path
    texts: list[str]
    truth: np.ndarray
    cache: TokenCache
    tree: LabelTree
    device: torch.device

    @classmethod
    def open(cls, folder: Path, device: torch.device) -> "Inputs":
        """Read `corpus.parquet`, `tokens/` and `encoder/`."""
        path = folder / "corpus.parquet"
        tree = read_tree(path)
        corpus = read_parquet(path, ["document_id", "text", *tree.levels])
        cache = TokenCache.open(folder / "tokens", corpus["document_id"].to_list())
        return cls(folder / "encoder", corpus["text"].to_list(), truth_of(corpus, tree), cache, tree, device)

    @property
    def order(self) -> np.ndarray:
        """All documents in random order: any prefix has the lengths of the whole."""
        return stream(SEED, "benchmark").permutation(len(self.texts))

    @property
    def max_length(self) -> int:
        """What the published system pads to."""
        return int(self.cache.facts["max_length"])

    @property
    def workers(self) -> int:
        """Processes that load data; none on a CPU, where they would take the cores that compute."""
        return min(4, len(os.sched_getaffinity(0)) - 1) if self.device.type == "cuda" else 0

    def ids(self, document: int) -> np.ndarray:
        """The document's tokens."""
        return self.cache.ids[self.cache.offsets[document] : self.cache.offsets[document + 1]]


def now(device: torch.device) -> float:
    """Seconds, after the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


# --- What the contenders without this package share: the model as Hugging Face gives it.


class PlainModel(nn.Module):
    """The same as this package's model, built without it: an encoder and one head per level on [CLS]."""

    def __init__(self, encoder: Any, sizes: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.ModuleList(nn.Linear(encoder.config.hidden_size, size) for size in sizes)

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        """Logits per level of a padded batch."""
        hidden = self.dropout(self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0])
        return tuple(head(hidden) for head in self.heads)


def plain_model(inputs: Inputs) -> PlainModel:
    """The weights are those that `own_model` starts from."""
    from transformers import AutoModel

    encoder = AutoModel.from_pretrained(
        inputs.encoder, attention_probs_dropout_prob=0.0, attn_implementation="sdpa", add_pooling_layer=False
    )
    model = PlainModel(encoder, inputs.tree.sizes, RECIPE.dropout)
    generator = torch.Generator().manual_seed(stream_seed(SEED, "heads"))
    for head in model.heads:
        nn.init.xavier_uniform_(head.weight, generator=generator)
        nn.init.constant_(head.bias, -2.0)
    return model.to(inputs.device)


# --- The published system.


class TokenisedOnTheFly(Dataset):
    """Texts become padded tokens one by one, when they are read."""

    def __init__(self, inputs: Inputs, documents: np.ndarray) -> None:
        from transformers import AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(inputs.encoder)
        self.max_length = inputs.max_length
        self.texts = [inputs.texts[document] for document in documents]
        self.labels = torch.from_numpy(inputs.truth[documents]).float()

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        encoded = self.tokenizer(
            self.texts[index], truncation=True, padding="max_length", max_length=self.max_length, return_tensors="pt"
        )
        return {
            "ids": encoded["input_ids"].squeeze(0),
            "mask": encoded["attention_mask"].squeeze(0),
            "labels": self.labels[index],
        }


def published_loader(inputs: Inputs, documents: np.ndarray, batch_size: int, shuffle: bool) -> DataLoader:
    """The published system's batches."""
    return DataLoader(
        TokenisedOnTheFly(inputs, documents), batch_size, shuffle=shuffle, num_workers=inputs.workers,
        pin_memory=inputs.device.type == "cuda", persistent_workers=inputs.workers > 0,
    )  # fmt: skip


def soft_mask_by_loop(logits_above: Tensor, parents: list[int]) -> Tensor:
    """Factors on the logits of a level, float [documents, labels]: small below implausible parents."""
    mask = RECIPE.soft_mask
    assert mask is not None
    factors = []
    for plausibility in torch.sigmoid(logits_above.detach().float()).tolist():
        row = []
        for parent in parents:
            row.append(mask.factor if plausibility[parent] <= mask.confidence else 1.0)
        factors.append(row)
    return torch.tensor(factors, device=logits_above.device)


def hard_mask_by_loop(scores: list[list[float]], pairs: Sequence[LevelPair]) -> list[list[float]]:
    """Labels count only below labels above the confidence; all of a level do where no label above it has as much."""
    assert RECIPE.soft_mask is not None
    for row in scores:
        for above, below, parents in pairs:
            confident = [probability > RECIPE.soft_mask.confidence for probability in row[above]]
            if not any(confident):
                continue
            for position, parent in enumerate(parents):
                if not confident[parent]:
                    row[below.start + position] = 0.0
    return scores


def train_published(inputs: Inputs, documents: np.ndarray, setting: Setting) -> float:
    """Documents per second."""
    from transformers import get_linear_schedule_with_warmup

    device = inputs.device
    model = plain_model(inputs).train()
    level_losses = Loss(RECIPE.model_copy(update={"soft_mask": None}), inputs.tree, inputs.truth[documents], device)
    pairs = level_pairs(inputs.tree)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=RECIPE.encoder_learning_rate, weight_decay=RECIPE.weight_decay, fused=True
    )
    loader = published_loader(inputs, documents, setting.size, shuffle=True)
    steps = len(loader) + 1
    schedule = get_linear_schedule_with_warmup(optimizer, math.ceil(RECIPE.warmup * steps), steps)
    scaler = torch.amp.GradScaler(device.type, enabled=setting.precision == "fp16")

    def step(batch: dict[str, Tensor]) -> float:
        ids, mask, labels = (batch[name].to(device, non_blocking=True) for name in ("ids", "mask", "labels"))
        optimizer.zero_grad()
        with autocast(setting.precision, device):
            top, *lower = logits = model(ids, mask)
            factors = [soft_mask_by_loop(above, pair.parents) for above, pair in zip(logits, pairs, strict=False)]
            masked = [of_level * factor for of_level, factor in zip(lower, factors, strict=True)]
        loss = level_losses([top, *masked], labels, of=len(labels)).sum()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), RECIPE.gradient_clip)
        scaler.step(optimizer)
        scaler.update()
        schedule.step()
        return loss.item()

    step(next(iter(loader)))
    started = now(device)
    total = 0.0
    for batch in loader:
        total += step(batch)
    return len(documents) / (now(device) - started)


@torch.inference_mode()
def score_published(inputs: Inputs, documents: np.ndarray, setting: Setting) -> tuple[float, np.ndarray]:
    """Documents per second, and the scores after the hard mask."""
    device = inputs.device
    model = plain_model(inputs).eval()
    pairs = level_pairs(inputs.tree)
    loader = published_loader(inputs, documents, setting.size, shuffle=False)

    def step(batch: dict[str, Tensor]) -> list[list[float]]:
        with autocast(setting.precision, device):
            logits = model(batch["ids"].to(device), batch["mask"].to(device))
        return hard_mask_by_loop(torch.sigmoid(torch.cat(logits, dim=1).float()).tolist(), pairs)

    step(next(iter(loader)))
    started = now(device)
    scores = [row for batch in loader for row in step(batch)]
    return len(documents) / (now(device) - started), np.array(scores, dtype=np.float32)


# --- Hugging Face Trainer.


class TokenisedBefore(Dataset):
    """Documents from the token cache, unpadded; with labels for training."""

    def __init__(self, inputs: Inputs, documents: np.ndarray, labelled: bool) -> None:
        self.inputs, self.documents = inputs, documents
        self.labels = inputs.truth[documents].astype(np.float32) if labelled else None

    def __len__(self) -> int:
        return len(self.documents)

    def __getitem__(self, index: int) -> dict[str, Any]:
        ids = self.inputs.ids(self.documents[index]).tolist()
        item = {"input_ids": ids, "attention_mask": [1] * len(ids)}
        return item if self.labels is None else {**item, "labels": self.labels[index]}


class WithLoss(nn.Module):
    """A model as Trainer needs it: named tensors in, a dictionary out."""

    def __init__(self, model: PlainModel, loss: Loss) -> None:
        super().__init__()
        self.model, self.level_losses = model, loss

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Logits [documents, labels], and the loss where there are labels."""
        by_level = self.model(input_ids, attention_mask)
        logits = {"logits": torch.cat(by_level, dim=1)}
        if labels is None:
            return logits
        return {"loss": self.level_losses(by_level, labels, of=len(labels)).sum(), **logits}


def trainer(inputs: Inputs, documents: np.ndarray, setting: Setting, grouped: bool, folder: str) -> Any:
    """A Trainer that only trains and predicts. folder: the output folder, which it requires."""
    from torch.utils.data import Sampler
    from transformers import AutoTokenizer, DataCollatorWithPadding, PrinterCallback, Trainer, TrainingArguments
    from transformers.trainer_pt_utils import get_length_grouped_indices

    class LikeALongEpoch(Sampler):
        """Trainer's own groups of similar length, sorted over as many batches as in an epoch of a whole corpus.

        Its own sampler sorts 50 batches at a time there, but fewer (and pads more) where documents are few, as here.
        """

        def __init__(self) -> None:
            self.order: list[int] = []

        def __len__(self) -> int:
            return len(documents)

        def __iter__(self) -> Iterator[int]:
            lengths = inputs.cache.lengths[documents].tolist()
            self.order = get_length_grouped_indices(lengths, setting.size, mega_batch_mult=50)
            return iter(self.order)

    class GroupedTrainer(Trainer):
        """The option, with that sampler."""

        sampler = LikeALongEpoch()

        def _get_train_sampler(self, train_dataset: Any = None) -> Sampler:
            return self.sampler

        def _get_eval_sampler(self, eval_dataset: Any) -> Sampler:
            return self.sampler

    arguments = TrainingArguments(
        output_dir=folder, num_train_epochs=RECIPE.epochs, per_device_train_batch_size=setting.size,
        per_device_eval_batch_size=setting.size, learning_rate=RECIPE.encoder_learning_rate,
        weight_decay=RECIPE.weight_decay, warmup_steps=RECIPE.warmup, max_grad_norm=RECIPE.gradient_clip,
        optim="adamw_torch_fused", lr_scheduler_type="linear", fp16=setting.precision == "fp16",
        bf16=setting.precision == "bf16", use_cpu=inputs.device.type == "cpu",
        train_sampling_strategy="group_by_length" if grouped else "random", dataloader_num_workers=inputs.workers,
        dataloader_pin_memory=inputs.device.type == "cuda", dataloader_persistent_workers=inputs.workers > 0,
        remove_unused_columns=False, eval_strategy="no", save_strategy="no", logging_strategy="no", report_to=[],
        disable_tqdm=True, logging_nan_inf_filter=False, seed=SEED,
    )  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(inputs.encoder)
    made = (GroupedTrainer if grouped else Trainer)(
        model=WithLoss(plain_model(inputs), Loss(RECIPE, inputs.tree, inputs.truth[documents], inputs.device)),
        args=arguments,
        train_dataset=TokenisedBefore(inputs, documents, labelled=True),
        data_collator=DataCollatorWithPadding(tokenizer, pad_to_multiple_of=PAD_TO_MULTIPLE[setting.precision]),
    )
    made.remove_callback(PrinterCallback)
    return made


def train_by_trainer(grouped: bool) -> "Train":
    """A contender in training."""

    def train(inputs: Inputs, documents: np.ndarray, setting: Setting) -> float:
        from transformers import TrainerCallback

        class EpochClock(TrainerCallback):
            """Seconds of the last epoch."""

            started = seconds = 0.0

            def on_epoch_begin(self, *_: Any, **__: Any) -> None:
                self.started = now(inputs.device)

            def on_epoch_end(self, *_: Any, **__: Any) -> None:
                self.seconds = now(inputs.device) - self.started

        clock = EpochClock()
        with tempfile.TemporaryDirectory() as folder:
            made = trainer(inputs, documents, setting, grouped, folder)
            made.add_callback(clock)
            made.train()
        return len(documents) / clock.seconds

    return train


def score_by_trainer(grouped: bool) -> "Score":
    """A contender in scoring. Grouped, rows come in the order of the sampler, and are put back here."""

    def score(inputs: Inputs, documents: np.ndarray, setting: Setting) -> tuple[float, np.ndarray]:
        dataset = TokenisedBefore(inputs, documents, labelled=False)
        with tempfile.TemporaryDirectory() as folder:
            made = trainer(inputs, documents, setting, grouped, folder)
            made.predict(dataset)
            started = now(inputs.device)
            logits = made.predict(dataset).predictions
            scores = 1 / (1 + np.exp(-logits.astype(np.float32)))
            if grouped:
                scores[made.sampler.order] = scores.copy()
            seconds = now(inputs.device) - started
        return len(documents) / seconds, scores

    return score


# --- This package.


def own_model(inputs: Inputs, batching: Batching) -> Classifier:
    """The model as training starts from it, on the device."""
    options = RECIPE.model_copy(update={"batching": batching})
    model = new_classifier(inputs.encoder, inputs.tree, inputs.truth, options, SEED, inputs.max_length)
    return model.place(inputs.device)


def own_training(
    inputs: Inputs, documents: np.ndarray, options: TrainingOptions, precision: ResolvedPrecision, folder: Path,
    stop_at: float = math.inf,
) -> tuple[Training, Trained]:  # fmt: skip
    """Train as the command `train` does; `folder` is for its checkpoints, one per epoch."""
    tree, val = inputs.tree, inputs.order[-VALIDATION_DOCUMENTS:]
    data = TrainingData(tree, tree, inputs.cache, inputs.truth, documents, val)
    checkpoints = Checkpoints(folder, "benchmark", minutes=math.inf)
    ranks = Ranks(0, 1, inputs.device)
    return fine_tune(inputs.encoder, data, inputs.tree, options, SEED, precision, ranks, checkpoints, stop_at)


def train_by_package(batching: Batching) -> "Train":
    """A contender in training: documents per second of the second epoch, as training measures it."""

    def train(inputs: Inputs, documents: np.ndarray, setting: Setting) -> float:
        options = RECIPE.model_copy(update={"batch_size": setting.size, "batching": batching})
        with tempfile.TemporaryDirectory() as folder:
            _, trained = own_training(inputs, documents, options, setting.precision, Path(folder))
        return float(trained.epochs[-1]["documents_per_second"])

    return train


def score_by_package(batching: Batching) -> "Score":
    """A contender in scoring; compiled where that is possible, as it would be for a whole corpus."""

    def score(inputs: Inputs, documents: np.ndarray, setting: Setting) -> tuple[float, np.ndarray]:
        set_up(inputs.device, deterministic=False)
        model = own_model(inputs, batching)
        static = can_compile(model, batching)

        def scores() -> np.ndarray:
            return probabilities(
                model, inputs.cache, documents, batching, setting.size, setting.precision, static=static
            )

        if static:
            compiled(model, trial=scores)
        scores()
        started = now(inputs.device)
        found = scores()
        return len(documents) / (now(inputs.device) - started), found

    return score


Train = Callable[[Inputs, np.ndarray, Setting], float]
Score = Callable[[Inputs, np.ndarray, Setting], tuple[float, np.ndarray]]
TRAIN: dict[str, Train] = {
    PUBLISHED: train_published,
    "trainer-dynamic": train_by_trainer(grouped=False),
    "trainer-grouped": train_by_trainer(grouped=True),
    OWN_PADDED: train_by_package("padded"),
    OWN: train_by_package("packed"),
}
SCORE: dict[str, Score] = {
    PUBLISHED: score_published,
    "trainer-dynamic": score_by_trainer(grouped=False),
    "trainer-grouped": score_by_trainer(grouped=True),
    OWN_PADDED: score_by_package("padded"),
    OWN: score_by_package("packed"),
}


# --- The process that measures one contender.


def peak_memory(device: torch.device) -> tuple[float, float | None]:
    """MiB: the most that this process had resident, and the most that tensors took on the GPU (None without one)."""
    return memory.peak_memory(torch.device("cpu")), memory.peak_memory(device) if device.type == "cuda" else None


def measure(inputs: Inputs, task: str, contender: str, documents: int, setting: Setting) -> dict[str, Any]:
    """Facts of one timing; `documents_per_second` is None where the GPU has too little memory for the setting."""
    chosen = inputs.order[:documents]
    rate: float | None
    try:
        rate = (
            TRAIN[contender](inputs, chosen, setting)
            if task == "train"
            else SCORE[contender](inputs, chosen, setting)[0]
        )
    except (torch.OutOfMemoryError, UserError) as error:  # the latter is how this package reports the former
        if not isinstance(error.__cause__ or error, torch.OutOfMemoryError):
            raise
        rate = None
    resident, allocated = peak_memory(inputs.device)
    return {
        "size": setting.size, "precision": setting.precision, "documents_per_second": rate,
        "peak_mib": resident, "peak_gpu_mib": allocated,
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure one contender at one or several settings; append a line of JSON for each to --out."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("task", choices=("train", "score"))
    parser.add_argument("contender", choices=TRAIN)
    parser.add_argument("--folder", type=Path, required=True, help="prepared by engine.py")
    parser.add_argument("--device", choices=("cpu", "cuda"), required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--documents", type=int, required=True)
    parser.add_argument("--settings", type=Setting.parse, nargs="+", required=True, help="batch size:precision")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    inputs = Inputs.open(args.folder, start(args.device, args.threads))
    with args.out.open("a", encoding="utf-8") as out:
        for setting in args.settings:
            print(json.dumps(measure(inputs, args.task, args.contender, args.documents, setting)), file=out, flush=True)
            gc.collect()
            if inputs.device.type == "cuda":
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()


def start(device: str, threads: int) -> torch.device:
    """The device, after the settings that every measuring process makes first."""
    torch.set_num_threads(threads)
    if device == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32 where fp32 remains
    return torch.device(device)


if __name__ == "__main__":
    main()
