"""The contenders of the engine benchmark, and the process in which one of them is measured.

Each gets the same documents of one corpus in one random order (or a prefix of it), the same encoder with the same two
heads, the same loss, and the same numerics: weights in fp32, computed under autocast or not. Each makes two passes over
its documents, and the second is timed; only the reference, whose batches all have one shape, warms up on a single
batch. Saving and validation are in no timing.

A contender is what somebody who takes that road would run, in its best form: fused AdamW, attention dropout 0 (it
keeps SDPA on its fast kernels), no logging, no read-back of the loss that an option can spare, and on a GPU workers
that load data ahead. How this package sets up a process (malloc, TF32) is part of it, so the others do without the
former; TF32 is on for all.

reference         tokenises in `Dataset.__getitem__`, pads all to the longest length, masks in Python loops over
                  documents and classes. The loops run over numbers copied once a batch, their cheapest form.
trainer-dynamic   Hugging Face Trainer on documents tokenised before, padded to the longest of a batch.
                  Not compiled, on a GPU either: its batches have many shapes.
trainer-grouped   the same with `train_sampling_strategy="group_by_length"`, which also orders prediction.
ipcascade-padded  this package, padded passes of similar lengths.
ipcascade         this package as it comes, packed; compiled on a GPU.
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
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from ipcascade import engine
from ipcascade.batching import Batching
from ipcascade.config import SoftMaskOptions, TrainingOptions
from ipcascade.doors import read_parquet
from ipcascade.engine import Precision, autocast, can_compile, set_up
from ipcascade.errors import UserError
from ipcascade.loss import Loss
from ipcascade.model import CascadeModel, new_model
from ipcascade.randomness import stream, stream_seed
from ipcascade.ranks import Ranks
from ipcascade.scoring import probabilities
from ipcascade.taxonomy import Taxonomy
from ipcascade.tokens import TokenCache
from ipcascade.training import Training, TrainingData

SEED = 42
# The published recipe's loss and mask, so that every contender computes the same. Two epochs: the second is timed.
RECIPE = TrainingOptions(
    epochs=2, encoder_learning_rate=2e-5, head_learning_rate=2e-5, loss_reduction="mean", head_bias=-2.0,
    soft_mask=SoftMaskOptions(confidence=0.1, factor=0.1),
)  # fmt: skip
VALIDATION_DOCUMENTS = 8
# Of the Trainer's dynamic padding. Tensor cores want multiples of 8; on a CPU, kernels for bf16 are made anew for each
# shape, so few shapes are to the Trainer's good, while fp32 takes any width.
PAD_TO_MULTIPLE = {"fp16": 8, "bf16": 32, "fp32": 1}


@dataclass(frozen=True)
class Setting:
    """What a contender may choose for itself. size: documents a batch; in this package's scoring, tokens a pass."""

    size: int
    precision: Precision

    @classmethod
    def parse(cls, text: str) -> "Setting":
        """From `32:bf16`."""
        size, precision = text.split(":")
        return cls(int(size), precision)  # type: ignore[arg-type]

    def __str__(self) -> str:
        return f"{self.size}:{self.precision}"


@dataclass(frozen=True)
class Inputs:
    """A prepared folder (see engine.py): what every contender reads, and where it computes."""

    encoder: Path
    texts: list[str]
    truth: np.ndarray
    cache: TokenCache
    taxonomy: Taxonomy
    device: torch.device

    @classmethod
    def open(cls, folder: Path, device: torch.device) -> "Inputs":
        """Read `corpus.parquet`, `tokens/` and `encoder/`."""
        taxonomy = Taxonomy.ipc()
        corpus = read_parquet(folder / "corpus.parquet", ["document_id", "text", "sections", "classes"])
        truth = taxonomy.encode(
            [*sections, *classes] for sections, classes in corpus.select("sections", "classes").iter_rows()
        )
        cache = TokenCache.open(folder / "tokens", corpus["document_id"].to_list())
        return cls(folder / "encoder", corpus["text"].to_list(), truth, cache, taxonomy, device)

    @property
    def order(self) -> np.ndarray:
        """All documents in random order: any prefix has the lengths of the whole."""
        return stream(SEED, "benchmark").permutation(len(self.texts))

    @property
    def max_length(self) -> int:
        """What the reference pads to."""
        return int(self.cache.facts["max_length"])

    @property
    def workers(self) -> int:
        """Processes that load data: on a CPU they would take the cores that compute."""
        return min(4, len(os.sched_getaffinity(0)) - 1) if self.device.type == "cuda" else 0

    def ids(self, document: int) -> np.ndarray:
        """The document's tokens."""
        return self.cache.ids[self.cache.offsets[document] : self.cache.offsets[document + 1]]


def now(device: torch.device) -> float:
    """Seconds, after all that the device was told to do is done."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


# --- Both foreign roads: the model as Hugging Face gives it.


class TwoHeads(nn.Module):
    """What this package's model is, built without it: an encoder and two heads on [CLS]."""

    def __init__(self, encoder: nn.Module, hidden: int, sections: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.section_head = nn.Linear(hidden, sections)
        self.class_head = nn.Linear(hidden, classes)

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Section and class logits of a padded batch."""
        hidden = self.dropout(self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0])
        return self.section_head(hidden), self.class_head(hidden)


def plain_model(inputs: Inputs) -> TwoHeads:
    """The weights are those that `own_model` starts from."""
    from transformers import AutoModel

    encoder = AutoModel.from_pretrained(
        inputs.encoder, attention_probs_dropout_prob=0.0, attn_implementation="sdpa", add_pooling_layer=False
    )
    taxonomy = inputs.taxonomy
    model = TwoHeads(encoder, encoder.config.hidden_size, len(taxonomy.sections), len(taxonomy.classes), RECIPE.dropout)
    generator = torch.Generator().manual_seed(stream_seed(SEED, "heads"))
    for head in (model.section_head, model.class_head):
        nn.init.xavier_uniform_(head.weight, generator=generator)
        nn.init.constant_(head.bias, -2.0)
    return model.to(inputs.device)


# --- The reference's road.


class TokenisedOnTheFly(Dataset):
    """Texts become padded tokens one by one, when they are asked for."""

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


def reference_loader(inputs: Inputs, documents: np.ndarray, batch_size: int, shuffle: bool) -> DataLoader:
    """The reference's batches."""
    return DataLoader(
        TokenisedOnTheFly(inputs, documents), batch_size, shuffle=shuffle, num_workers=inputs.workers,
        pin_memory=inputs.device.type == "cuda", persistent_workers=inputs.workers > 0,
    )  # fmt: skip


def soft_mask_by_loop(section_logits: Tensor, parents: list[int]) -> Tensor:
    """Factors on class logits, float [documents, classes]: small below implausible sections."""
    mask = RECIPE.soft_mask
    assert mask is not None
    factors = []
    for plausibility in torch.sigmoid(section_logits.detach().float()).tolist():
        row = []
        for parent in parents:
            row.append(mask.factor if plausibility[parent] <= mask.confidence else 1.0)
        factors.append(row)
    return torch.tensor(factors, device=section_logits.device)


def hard_mask_by_loop(scores: list[list[float]], parents: list[int], sections: int) -> list[list[float]]:
    """Classes count only below sections above the confidence; all do where no section is above it."""
    assert RECIPE.soft_mask is not None
    for row in scores:
        confident = [probability > RECIPE.soft_mask.confidence for probability in row[:sections]]
        if not any(confident):
            continue
        for position, parent in enumerate(parents):
            if not confident[parent]:
                row[sections + position] = 0.0
    return scores


def train_reference(inputs: Inputs, documents: np.ndarray, setting: Setting) -> float:
    """Documents a second."""
    from transformers import get_linear_schedule_with_warmup

    device = inputs.device
    model = plain_model(inputs).train()
    level_losses = Loss(RECIPE.model_copy(update={"soft_mask": None}), inputs.taxonomy, inputs.truth[documents], device)
    parents = inputs.taxonomy.parent_index.tolist()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=RECIPE.encoder_learning_rate, weight_decay=RECIPE.weight_decay, fused=True
    )
    loader = reference_loader(inputs, documents, setting.size, shuffle=True)
    steps = len(loader) + 1
    schedule = get_linear_schedule_with_warmup(optimizer, math.ceil(RECIPE.warmup * steps), steps)
    scaler = torch.amp.GradScaler(device.type, enabled=setting.precision == "fp16")

    def step(batch: dict[str, Tensor]) -> float:
        ids, mask, labels = (batch[name].to(device, non_blocking=True) for name in ("ids", "mask", "labels"))
        optimizer.zero_grad()
        with autocast(setting.precision, device):
            section_logits, class_logits = model(ids, mask)
            class_logits = class_logits * soft_mask_by_loop(section_logits, parents)
        loss = level_losses(section_logits, class_logits, labels, of=len(labels))
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
def score_reference(inputs: Inputs, documents: np.ndarray, setting: Setting) -> tuple[float, np.ndarray]:
    """Documents a second, and the scores after the hard mask."""
    device = inputs.device
    model = plain_model(inputs).eval()
    parents, sections = inputs.taxonomy.parent_index.tolist(), len(inputs.taxonomy.sections)
    loader = reference_loader(inputs, documents, setting.size, shuffle=False)

    def step(batch: dict[str, Tensor]) -> list[list[float]]:
        with autocast(setting.precision, device):
            logits = model(batch["ids"].to(device), batch["mask"].to(device))
        return hard_mask_by_loop(torch.sigmoid(torch.cat(logits, dim=1).float()).tolist(), parents, sections)

    step(next(iter(loader)))
    started = now(device)
    scores = [row for batch in loader for row in step(batch)]
    return len(documents) / (now(device) - started), np.array(scores, dtype=np.float32)


# --- Hugging Face Trainer's road.


class TokenisedBefore(Dataset):
    """Documents out of the token cache, unpadded; with labels for training."""

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
    """What Trainer wants of a model: named tensors in, a dictionary out."""

    def __init__(self, model: TwoHeads, loss: Loss) -> None:
        super().__init__()
        self.model, self.level_losses = model, loss

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Logits [documents, labels], and the loss where there are labels."""
        section_logits, class_logits = self.model(input_ids, attention_mask)
        logits = {"logits": torch.cat((section_logits, class_logits), dim=1)}
        if labels is None:
            return logits
        return {"loss": self.level_losses(section_logits, class_logits, labels, of=len(labels)), **logits}


def trainer(inputs: Inputs, documents: np.ndarray, setting: Setting, grouped: bool, folder: str) -> Any:
    """A Trainer that does nothing beside training and predicting. `folder`: it insists on one."""
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
        model=WithLoss(plain_model(inputs), Loss(RECIPE, inputs.taxonomy, inputs.truth[documents], inputs.device)),
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


# --- This package's road. What changes with the engine's doors changes in these functions.


def own_model(inputs: Inputs, batching: Batching) -> CascadeModel:
    """The model as the step `train` makes it."""
    bias = np.full(len(inputs.taxonomy.labels), RECIPE.head_bias, dtype=np.float32)
    model = new_model(
        inputs.encoder, inputs.taxonomy, RECIPE.dropout, RECIPE.attention_dropout, bias, stream_seed(SEED, "heads"),
        inputs.max_length, batching,
    )  # fmt: skip
    return model.to(inputs.device)


def own_training(
    inputs: Inputs, documents: np.ndarray, options: TrainingOptions, precision: Precision, folder: Path,
    stop_at: float = math.inf,
) -> Training:  # fmt: skip
    """A training as the step `train` makes it; `folder` for its checkpoints, of which there is one an epoch."""
    set_up(inputs.device, options.deterministic)
    data = TrainingData(inputs.cache, inputs.truth, documents, inputs.order[-VALIDATION_DOCUMENTS:])
    return Training(
        own_model(inputs, options.batching), data, inputs.taxonomy, options, precision, SEED, folder, "benchmark",
        checkpoint_minutes=math.inf, ranks=Ranks(0, 1, inputs.device), stop_at=stop_at,
    )  # fmt: skip


def train_by_package(batching: Batching) -> "Train":
    """A contender in training: documents a second of the second epoch, from the history."""

    def train(inputs: Inputs, documents: np.ndarray, setting: Setting) -> float:
        options = RECIPE.model_copy(update={"batch_size": setting.size, "batching": batching})
        with tempfile.TemporaryDirectory() as folder:
            history, _ = own_training(inputs, documents, options, setting.precision, Path(folder)).run()
        return float(history["documents_per_second"][-1])

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
            engine.compiled(model, trial=scores)
        scores()
        started = now(inputs.device)
        found = scores()
        return len(documents) / (now(inputs.device) - started), found

    return score


Train = Callable[[Inputs, np.ndarray, Setting], float]
Score = Callable[[Inputs, np.ndarray, Setting], tuple[float, np.ndarray]]
OWN, OWN_PADDED = "ipcascade", "ipcascade-padded"
TRAIN: dict[str, Train] = {
    "reference": train_reference,
    "trainer-dynamic": train_by_trainer(grouped=False),
    "trainer-grouped": train_by_trainer(grouped=True),
    OWN_PADDED: train_by_package("padded"),
    OWN: train_by_package("packed"),
}
SCORE: dict[str, Score] = {
    "reference": score_reference,
    "trainer-dynamic": score_by_trainer(grouped=False),
    "trainer-grouped": score_by_trainer(grouped=True),
    OWN_PADDED: score_by_package("padded"),
    OWN: score_by_package("packed"),
}


# --- The process that measures one contender.


def peak_memory(device: torch.device) -> tuple[float, float | None]:
    """MiB: the most that this process had resident, and the most that tensors took on the GPU (None without one)."""
    return engine.peak_memory(torch.device("cpu")), engine.peak_memory(device) if device.type == "cuda" else None


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
    except (torch.OutOfMemoryError, UserError) as error:  # this package says it in a sentence
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
    """What every measuring process sets first."""
    torch.set_num_threads(threads)
    if device == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32 where fp32 remains
    return torch.device(device)


if __name__ == "__main__":
    main()
