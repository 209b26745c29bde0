"""What each choice costs or saves in training on a CPU: python tests/benchmarks/cpu_choices.py --source FOLDER

Trains the packaged encoder on the same documents, with linear heads, and with one thing changed at a time:

malloc      freed memory is given back to the system, as the C library does by itself
dropout     torch's, with 32 random bits per element
attention   torch's `scaled_dot_product_attention`, document by document
labels      label-wise attention beside the linear heads, as is the default

Each in a process of its own, in turns; printed are medians over rounds of how much longer training takes.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

# As a script this file's own folder is searched, under pytest the one above.
sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks import engine_contenders
from benchmarks.engine import PACKAGED, prepare
from benchmarks.engine_contenders import OWN, TRAIN, Inputs, Setting, start
from ipcascade.runtime import kernels
from ipcascade.runtime.precision import resolve_precision
from ipcascade.training import loop, run

UNCHANGED = "unchanged"
BATCH_SIZE = 16


def sdpa(query: Tensor, key: Tensor, value: Tensor, cu_seqlens: Tensor, scale: float) -> Tensor:
    """torch's attention in place of `kernels.cpu_attention`; [tokens, heads, head size] in and out."""
    lengths = cu_seqlens.diff().tolist()
    parts = (part.transpose(0, 1).split(lengths, dim=1) for part in (query, key, value))
    attended = [
        functional.scaled_dot_product_attention(q[None], k[None], v[None], scale=scale)[0].transpose(0, 1)
        for q, k, v in zip(*parts, strict=True)
    ]
    return torch.cat(attended)


def change(choice: str) -> None:
    """Change one thing in this process."""
    if choice == "malloc":
        run.set_up = lambda device, deterministic: None
    elif choice == "dropout":
        loop.use_cpu_dropout = lambda model: None
    elif choice == "attention":
        kernels.cpu_attention = sdpa  # type: ignore[assignment]
    elif choice == "labels":
        engine_contenders.RECIPE = engine_contenders.RECIPE.model_copy(update={"label_attention": True})


def main() -> None:
    """Print one row per choice."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--source", type=Path, help="folder of a PATSTAT delivery (default: the synthetic one)")
    parser.add_argument("--documents", type=int, default=160, help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--choice", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    precision = resolve_precision("auto", torch.device("cpu"), "training")
    if args.choice:
        inputs = Inputs.open(args.folder, start("cpu", args.threads))
        change(args.choice)
        print(json.dumps(TRAIN[OWN](inputs, inputs.order[: args.documents], Setting(BATCH_SIZE, precision))))
        return
    choices = (UNCHANGED, "malloc", "dropout", "attention", "labels")
    longer: dict[str, list[float]] = {choice: [] for choice in choices}
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name), args.source, PACKAGED, args.documents)
        for _ in range(args.rounds):
            rates = {}
            for choice in choices:
                command = [sys.executable, *sys.argv, "--folder", name, "--choice", choice]
                rates[choice] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
                longer[choice].append(rates[UNCHANGED] / rates[choice])
            print(rates, file=sys.stderr, flush=True)
    print(f"| changed | training takes ({precision}) |\n|---|---:|")
    for choice in choices[1:]:
        print(f"| {choice} | {statistics.median(longer[choice]):.2f} times as long |")


if __name__ == "__main__":
    main()
