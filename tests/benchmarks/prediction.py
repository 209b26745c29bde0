"""Labelling tables of any size: python tests/benchmarks/prediction.py --model results/release [--rows 100000 1000000]

Synthetic texts, of words of the linear model's vocabulary, go through the whole of `ipcascade predict` (checking,
tokens, evidence, decoding, writing) with a stub in place of the network, whose probabilities and vectors are random: so
many texts that the memory can be seen, in minutes. The network's own time per text is measured on a sample of the same
texts. Its share of the whole is network / (network + all else).

Prints a Markdown table with a row per number of texts; with --json also writes it. Each row is a process of its own,
whose peak of memory is the operating system's.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from commands import run_process

WORDS_PER_TEXT = 120
SAMPLE = 512


def main() -> None:
    """Measure each number of texts in a process of its own, or be such a process."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of a released model")
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000], help="numbers of texts")
    parser.add_argument("--threads", type=int, default=2, help="cores to use (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)  # in a process of its own: where to write
    args = parser.parse_args()
    if args.work:
        args.work.write_text(json.dumps(measured(args.model, args.rows[0], args.threads)))
        return
    found = []
    print("| texts | network, ms per text | all else, ms per text | share of the network | peak MiB |")
    print("|---:|---:|---:|---:|---:|")
    for rows in args.rows:
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder) / "figures.json"
            words = [
                "--model",
                str(args.model),
                "--rows",
                str(rows),
                "--threads",
                str(args.threads),
                "--work",
                str(work),
            ]
            run_process([sys.executable, __file__, *words], {"OMP_NUM_THREADS": str(args.threads)})
            found.append(json.loads(work.read_text()))
        row = found[-1]
        print(
            f"| {rows:,} | {row['network_ms']:.1f} | {row['other_ms']:.2f} | {100 * row['network_share']:.1f}% | "
            f"{row['peak_mib']:,.0f} |",
            flush=True,
        )
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n")


def measured(model: Path, rows: int, threads: int) -> dict[str, Any]:
    """The figures of one number of texts."""
    import torch

    from ipcascade import load
    from ipcascade.inference import prediction
    from ipcascade.inference.labelling import label_table
    from ipcascade.inference.options import PredictionOptions
    from ipcascade.inference.texts import TextTable

    torch.set_num_threads(threads)
    classifier = load(model)
    words = classifier.evidence.linear.vocabulary if classifier.evidence.linear else ["pump", "valve", "signal"]
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "texts.parquet"
        sample = write_texts(table, rows, words)
        cache = prediction.TokenCache.of_texts(classifier.tokenizer, sample)
        everyone = np.arange(len(sample))
        network = [0.0, 0.0]
        for turn in range(2):  # the first one warms up
            started = time.perf_counter()
            prediction.score(
                classifier.model, cache, everyone, classifier.options, classifier.device, lambda count: None
            )
            network[turn] = (time.perf_counter() - started) / len(sample)
        prediction.score = stub(classifier.model.hidden_size, classifier.tree)
        started = time.perf_counter()
        label_table(TextTable.open(table), classifier, PredictionOptions(), Path(folder) / "p.parquet", {})
        other = (time.perf_counter() - started) / rows
    return {
        "rows": rows, "threads": threads, "network_ms": 1000 * network[1], "other_ms": 1000 * other,
        "network_share": network[1] / (network[1] + other),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }  # fmt: skip


def stub(hidden_size: int, tree: Any) -> Any:
    """In place of `score`: random probabilities and vectors, the same from run to run."""
    random = np.random.default_rng(0)

    def score(model: Any, cache: Any, documents: np.ndarray, options: Any, device: Any, advance: Any) -> Any:
        advance(len(documents))
        probabilities = random.random((len(documents), len(tree.labels)), dtype=np.float32) ** 4
        return probabilities, random.standard_normal((len(documents), hidden_size)).astype(np.float16)

    return score


def write_texts(path: Path, rows: int, words: list[str]) -> list[str]:
    """Write a table of so many random texts, block by block; return some of them."""
    random, vocabulary = np.random.default_rng(1), np.array(words, dtype=object)
    sample: list[str] = []
    writer = None
    for start in range(0, rows, 16_384):
        size = min(16_384, rows - start)
        drawn = vocabulary[(len(vocabulary) * random.random((size, WORDS_PER_TEXT)) ** 2).astype(np.int64)]
        texts = [" ".join(text) for text in drawn.tolist()]
        sample = sample or texts[:SAMPLE]
        ids = pl.int_range(start, start + size, eager=True).cast(pl.String)
        frame = pl.DataFrame({"document_id": ids, "text": texts, "funder": ["a funder"] * size}).to_arrow()
        writer = writer or pq.ParquetWriter(path, frame.schema)
        writer.write_table(pa.table(frame))
    if writer:
        writer.close()
    return sample


if __name__ == "__main__":
    main()
