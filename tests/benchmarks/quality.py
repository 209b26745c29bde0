"""Does speed cost quality? python tests/benchmarks/quality.py --source FOLDER

Trains packed and padded models on one delivery, some seeds each, all on the same corpus, splits and tokens, with the
options of a config file (--configfile, default config/patents_us.yaml). A seed draws the heads, the order of documents
and the dropout; packed and padded runs of one seed differ by dropout masks and rounding. Each model is measured
on the test split, with thresholds fitted on validation; the packed ones a second time with linear layers in int8
(`scoring.precision: int8`, for validation and test). Prints means and standard deviations over seeds, and how far each
way lies from the packed one of the same seed, beside the standard error of that mean difference. A run that was stopped
goes on where it was: --folder keeps what there is, so delete it after a change of code or config.
"""

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

# As a script this file's own folder is searched, under pytest the one above.
sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.engine import run_step
from ipcascade.doors import read_json
from ipcascade.taxonomy import IPC_SCHEME

MEASURES = tuple(
    (level, name) for level in ("section", "class") for name in ("f1_micro", "f1_macro", "average_precision_micro")
)
FOLDER = Path("results/benchmarks/quality")
CONFIG = Path(__file__).parents[2] / "config/patents_us.yaml"


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, score, and print the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--source", type=Path, required=True, help="folder of a PATSTAT delivery")
    parser.add_argument("--configfile", type=Path, default=CONFIG, help="(default: config/patents_us.yaml)")
    parser.add_argument("--seeds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="(default: %(default)s)")
    args = parser.parse_args(arguments)
    config = yaml.safe_load(args.configfile.read_text(encoding="utf-8"))
    prepare(args.folder, args.source, config)
    found: dict[str, list[dict[str, float]]] = {"packed": [], "padded": [], "packed, int8": []}
    for seed in range(1, args.seeds + 1):
        for batching in ("packed", "padded"):
            own = trained(args.folder, config, batching, seed, args.threads)
            found[batching].append(measured(own, batching, "auto", args.threads))
            if batching == "packed":
                found["packed, int8"].append(measured(own, batching, "int8", args.threads))
    print(markdown(found))


def prepare(folder: Path, source: Path, config: Mapping[str, Any]) -> None:
    """Corpus, splits, encoder and tokens, once for all runs."""
    folder.mkdir(parents=True, exist_ok=True)
    corpus, encoder = folder / "corpus.parquet", folder / "encoder"
    run_step("corpus", config, taxonomy=IPC_SCHEME, delivery=source, corpus=corpus, funnel=folder / "funnel.json")
    run_step(
        "splits", config, taxonomy=IPC_SCHEME, corpus=corpus, splits=folder / "splits.parquet",
        audit=folder / "audit.json",
    )  # fmt: skip
    run_step("encoder", config, folder=encoder)
    run_step("tokens", config, corpus=corpus, encoder=encoder, tokens=folder / "tokens")


def trained(folder: Path, config: Mapping[str, Any], batching: str, seed: int, threads: int) -> Path:
    """Train one model; the folder that holds it."""
    own = folder / f"{batching}-{seed}"
    own.mkdir(exist_ok=True)
    if not all((own / name).exists() for name in ("history.parquet", "model")):
        run_step(
            "train", {"seed": seed, "training": {**config["training"], "batching": batching}}, **_documents(folder),
            tokens=folder / "tokens", encoder=folder / "encoder", model=own / "model", threads=threads,
            checkpoints=own / "checkpoints", history=own / "history.parquet",
        )  # fmt: skip
    return own


def measured(own: Path, batching: str, precision: str, threads: int) -> dict[str, float]:
    """`level.measure` to its value on the test split, scored in the given way."""
    common = _documents(own.parent)
    scores = {split: own / f"{precision}-{split}.parquet" for split in ("val", "test")}
    thresholds, metrics = own / f"{precision}-thresholds.json", own / f"{precision}-test.json"
    if not metrics.exists():
        for split, path in scores.items():
            run_step(
                "score", {"scoring": {"batching": batching, "precision": precision}}, **common, scores=path,
                tokens=own.parent / "tokens", model=own / "model", split=split, threads=threads,
            )  # fmt: skip
        run_step("thresholds", {}, **common, scores=scores["val"], thresholds=thresholds)
        run_step(
            "metrics", {"evaluation": {"bootstrap": 0}}, **common, split="test", scores=scores["test"],
            thresholds=thresholds, metrics=metrics,
        )  # fmt: skip
    measures = read_json(metrics)["measures"]
    values = {f"{level}.{name}": measures[level][name] for level, name in MEASURES}
    print(f"{own.name}, {precision}: {values}", file=sys.stderr, flush=True)
    return values


def _documents(folder: Path) -> dict[str, Path]:
    return {"taxonomy": IPC_SCHEME, "corpus": folder / "corpus.parquet", "splits": folder / "splits.parquet"}


def markdown(found: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """A row a measure: mean and standard deviation over seeds, and each way's difference from the first one."""
    first, *others = found
    lines = [
        f"| test | {first} | " + " | ".join(f"{other} | difference ± its standard error" for other in others) + " |",
        f"|---|---:|{'---:|' * 2 * len(others)}",
    ]
    for level, name in MEASURES:
        values = {way: [run[f"{level}.{name}"] for run in runs] for way, runs in found.items()}
        cells = [_mean_and_spread(values[first])]
        for other in others:
            cells += [_mean_and_spread(values[other]), _difference(values[other], values[first])]
        lines.append(f"| {level} {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _mean_and_spread(runs: Sequence[float]) -> str:
    return f"{statistics.mean(runs):.4f} ± {_spread(runs):.4f}"


def _difference(runs: Sequence[float], others: Sequence[float]) -> str:
    by_seed = [run - other for run, other in zip(runs, others, strict=True)]
    return f"{statistics.mean(by_seed):+.4f} ± {_spread(by_seed) / len(by_seed) ** 0.5:.4f}"


def _spread(runs: Sequence[float]) -> float:
    return statistics.stdev(runs) if len(runs) > 1 else 0.0


if __name__ == "__main__":
    main()
