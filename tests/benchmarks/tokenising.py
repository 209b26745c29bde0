"""Our token cache beside plain `tokenizers`: python tests/benchmarks/tokenising.py --corpus FILE --encoder FOLDER

The baseline is what Hugging Face `tokenizers` does with all texts already in memory, on as many cores: encode_batch,
and encode_batch_fast, which leaves out what only offsets need. Only the call itself is timed. `write_cache` is timed as
the command runs it: from the Parquet file to the files on disk. Every measurement has a process of its own, with
transformers imported and the tokenizer loaded once before; contenders take turns, and ratios are medians over the
rounds.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BASELINE = "encode_batch_fast"
CONTENDERS = (BASELINE, "encode_batch", "write_cache")


def main() -> None:
    """Print documents per second, their ratio to the baseline and peak memory of each contender."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="corpus.parquet of a run")
    parser.add_argument("--encoder", type=Path, required=True, help="encoder folder of a run")
    parser.add_argument("--max-length", type=int, default=512, help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="cores to use (default: all)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--contender", choices=CONTENDERS, help="measure this one, once, in this process")
    args = parser.parse_args()
    if args.contender:
        print(json.dumps(measure(args.contender, args.corpus, args.encoder, args.max_length)))
        return
    environment = os.environ | {"RAYON_NUM_THREADS": str(args.threads), "TOKENIZERS_PARALLELISM": "true"}
    # What Python does beside the tokenizer's threads must not get a core more than they have.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])
    rounds = []
    for _ in range(args.rounds):
        rounds.append({})
        for contender in CONTENDERS:
            command = [sys.executable, *sys.argv, "--contender", contender]
            output = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
            rounds[-1][contender] = json.loads(output)
    print(f"{rounds[0][BASELINE]['documents']:,} documents, {args.threads} threads, medians of {args.rounds} rounds\n")
    print(markdown(rounds))


def measure(contender: str, corpus: Path, encoder: Path, max_length: int) -> dict[str, float]:
    """Documents, documents per second, and this process's peak memory in MiB: at the end, and before the first text."""
    # Here and not above: a process that starts another one passes on its own peak.
    from ipcascade.core.files import read_parquet
    from ipcascade.encoder.tokenise import write_cache
    from ipcascade.encoder.tokenizer import load_tokenizer

    backend = load_tokenizer(encoder, max_length).backend_tokenizer
    before = peak_mib()
    with tempfile.TemporaryDirectory() as folder:
        if contender == "write_cache":
            started = time.perf_counter()
            documents = write_cache(corpus, encoder, max_length, Path(folder))["documents"]
        else:
            texts = read_parquet(corpus, ["text"])["text"].to_list()
            started = time.perf_counter()
            documents = len(getattr(backend, contender)(texts))
        seconds = time.perf_counter() - started
    return {"documents": documents, "rate": documents / seconds, "before": before, "peak": peak_mib()}


def peak_mib() -> float:
    """Peak memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def markdown(rounds: list[dict[str, dict[str, float]]]) -> str:
    """One row per contender. What the peak has above `before` is texts, encodings and ids."""
    rows = ["| | documents/s | of the baseline | peak MiB | before MiB |", "| --- | ---: | ---: | ---: | ---: |"]
    for contender in CONTENDERS:
        rate, peak, before = (
            statistics.median(measured[contender][name] for measured in rounds) for name in ("rate", "peak", "before")
        )
        ratio = statistics.median(measured[contender]["rate"] / measured[BASELINE]["rate"] for measured in rounds)
        rows.append(f"| {contender} | {rate:,.0f} | {ratio:.2f} | {peak:,.0f} | {before:,.0f} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
