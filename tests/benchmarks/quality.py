"""Does speed cost quality, and how good are more levels? python tests/benchmarks/quality.py --source FOLDER

Trains packed and padded models on one delivery, with several seeds each, all on the same corpus, splits and tokens,
with the options of a config file (--configfile, default config/patents_us.yaml). A seed determines the start of the
heads, the order of documents and the dropout; packed and padded runs of one seed differ by dropout masks and rounding.
Each model is measured on the test split, with thresholds fitted on validation; the packed ones a second time with
linear layers in int8 (`scoring.precision: int8`, for validation and test). Prints, per level and measure, means and
standard deviations over seeds, and the differences of each way from the first one, by seed, with the standard error of
their mean; and the training time per epoch.

--levels section class subclass measures three levels in the same way; --ways packed leaves out the other ways. An
interrupted run goes on where it stopped: --folder keeps finished results, in a folder for each set of levels, so delete
it after a change of code or config.
"""

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml

# As a script this file's own folder is searched, under pytest the one above.
sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.commands import run_command, write_config
from ipcascade.core.errors import UserError
from ipcascade.core.files import read_json, read_parquet
from ipcascade.runtime.precision import resolve_precision

MEASURES = ("f1_micro", "f1_macro", "average_precision_micro")
SECONDS = "seconds per epoch"
FOLDER = Path("results/benchmarks/quality")
CONFIG = Path(__file__).parents[2] / "config/patents_us.yaml"


class Way(NamedTuple):
    """How a model is trained and scored: `training.batching` (also of scoring) and `scoring.precision`."""

    batching: str
    precision: str


WAYS = {"packed": Way("packed", "auto"), "padded": Way("padded", "auto"), "int8": Way("packed", "int8")}


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, score, and print the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--source", type=Path, required=True, help="folder of a PATSTAT delivery")
    parser.add_argument("--configfile", type=Path, default=CONFIG, help="(default: config/patents_us.yaml)")
    parser.add_argument(
        "--levels",
        nargs="+",
        default=["section", "class"],
        help="corpus.levels, from the top down (default: %(default)s)",
    )
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="(default: all)")
    parser.add_argument("--seeds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="(default: %(default)s)")
    args = parser.parse_args(arguments)
    if "int8" in args.ways:
        try:
            resolve_precision("int8", torch.device("cuda" if torch.cuda.is_available() else "cpu"), "scoring")
        except UserError as error:
            parser.error(f"--ways int8: {error}; or leave int8 out")
    config = with_options(yaml.safe_load(args.configfile.read_text(encoding="utf-8")), "corpus", levels=args.levels)
    folder = args.folder / "-".join(args.levels)
    prepare(folder, args.source, config)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in args.ways}
    for seed in range(1, args.seeds + 1):
        for name in args.ways:
            way = WAYS[name]
            own = trained(folder, config, way.batching, seed, args.threads)
            found[name].append({**measured(own, config, way, args.threads), SECONDS: seconds_per_epoch(own)})
    print(markdown(found, args.levels))


def with_options(config: Mapping[str, Any], section: str, **options: Any) -> dict[str, Any]:
    """A config with some options of a section replaced."""
    return {**config, section: {**config.get(section, {}), **options}}


def prepare(folder: Path, source: Path, config: Mapping[str, Any]) -> None:
    """Corpus, splits, encoder and tokens, once for all runs."""
    file = write_config(folder / "config.yaml", config)
    corpus, encoder = folder / "corpus.parquet", folder / "encoder"
    run_command("corpus", file, source=source, corpus=corpus, funnel=folder / "funnel.json")
    run_command("splits", file, **documents(folder), audit=folder / "audit.json")
    run_command("encoder", file, folder=encoder)
    run_command("tokens", file, corpus=corpus, encoder=encoder, tokens=folder / "tokens")


def documents(folder: Path) -> dict[str, Path]:
    """The arguments of commands that read labelled documents."""
    return {"corpus": folder / "corpus.parquet", "splits": folder / "splits.parquet"}


def trained(folder: Path, config: Mapping[str, Any], batching: str, seed: int, threads: int) -> Path:
    """Train one model, unless it is there; the folder that holds it."""
    own = folder / f"{batching}-{seed}"
    if not all((own / name).exists() for name in ("epochs.parquet", "model")):
        file = write_config(own / "config.yaml", with_options({**config, "seed": seed}, "training", batching=batching))
        run_command(
            "train", file, **documents(folder), tokens=folder / "tokens", encoder=folder / "encoder",
            model=own / "model", checkpoints=own / "checkpoints", epochs=own / "epochs.parquet",
            validation_scores=own / "validation_scores.parquet", threads=threads,
        )  # fmt: skip
    return own


def seconds_per_epoch(own: Path) -> float:
    """Training time of a model: the median over its epochs, without validation."""
    return float(read_parquet(own / "epochs.parquet")["seconds"].median())  # type: ignore[arg-type]


def measured(own: Path, config: Mapping[str, Any], way: Way, threads: int) -> dict[str, float]:
    """`level.measure` to its value on the test split, scored in the given way."""
    common = documents(own.parent)
    scores = {split: own / f"{way.precision}-{split}.parquet" for split in ("val", "test")}
    thresholds, metrics = own / f"{way.precision}-thresholds.json", own / f"{way.precision}-test.json"
    if not metrics.exists():
        options = with_options(config, "scoring", batching=way.batching, precision=way.precision)
        file = write_config(own / f"{way.precision}.yaml", with_options(options, "evaluation", bootstrap=0))
        for split, path in scores.items():
            run_command(
                "score", file, **common, scores=path, vectors=path.with_name(f"{path.stem}_vectors.safetensors"),
                tokens=own.parent / "tokens", model=own / "model", split=split, threads=threads,
            )  # fmt: skip
        run_command("thresholds", file, **common, scores=scores["val"], thresholds=thresholds)
        run_command(
            "metrics", file, **common, split="test", scores=scores["test"], thresholds=thresholds, metrics=metrics
        )
    measures = read_json(metrics)["measures"]
    levels = config["corpus"]["levels"]
    values = {f"{level}.{name}": measures[level][name] for level in levels for name in MEASURES}
    print(f"{own.name}, {way.precision}: {values}", file=sys.stderr, flush=True)
    return values


def markdown(found: Mapping[str, Sequence[Mapping[str, float]]], levels: Sequence[str]) -> str:
    """One row per level and measure: mean and standard deviation over seeds, and differences from the first way.

    found: for each way, one mapping per seed from `level.measure` (and SECONDS) to its value.
    """
    first, *others = found
    lines = [
        f"| test | {' | '.join([first, *(f'{other} | difference ± its standard error' for other in others)])} |",
        f"|---|---:|{'---:|' * 2 * len(others)}",
    ]
    for level in levels:
        for name in MEASURES:
            values = {way: [run[f"{level}.{name}"] for run in runs] for way, runs in found.items()}
            cells = [_mean_and_deviation(values[first], 4)]
            for other in others:
                cells += [_mean_and_deviation(values[other], 4), _difference(values[other], values[first])]
            lines.append(f"| {level} {name} | {' | '.join(cells)} |")
    seconds = {way: _mean_and_deviation([run[SECONDS] for run in runs], 1) for way, runs in found.items()}
    lines.append(f"| {SECONDS} | {' | '.join([seconds[first], *(f'{seconds[other]} | ' for other in others)])} |")
    return "\n".join(lines)


def _mean_and_deviation(runs: Sequence[float], digits: int) -> str:
    return f"{statistics.mean(runs):.{digits}f} ± {_deviation(runs):.{digits}f}"


def _difference(runs: Sequence[float], others: Sequence[float]) -> str:
    by_seed = [run - other for run, other in zip(runs, others, strict=True)]
    return f"{statistics.mean(by_seed):+.4f} ± {_deviation(by_seed) / len(by_seed) ** 0.5:.4f}"


def _deviation(runs: Sequence[float]) -> float:
    return statistics.stdev(runs) if len(runs) > 1 else 0.0


if __name__ == "__main__":
    main()
