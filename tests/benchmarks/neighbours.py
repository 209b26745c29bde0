"""The search for neighbours beside the encoder: python tests/benchmarks/neighbours.py [--indexed 124000 1000000]

Random vectors of BERT-base's size are searched exactly (`NeighbourIndex.search`, as `combine` and `predict` do it), and
documents of random tokens are scored by a BERT-base of random weights, packed, as `score` does it. Both in the same
process, taking turns; the share is the median over the rounds of the search's time per document over the encoder's.
"""

import argparse
import os
import resource
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

LABELS = 132
TOKENS = 180  # of an abstract, on average


def main() -> None:
    """Print a Markdown table with a row per size of the index."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--indexed", type=int, nargs="+", default=[124_000, 1_000_000], help="sizes of the index")
    parser.add_argument("--queries", type=int, default=1024, help="documents to search for (default: %(default)s)")
    parser.add_argument("--scored", type=int, default=64, help="documents to score (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="cores to use (default: all)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    encode = encoder(args.scored, device)
    print("| training documents | search, ms per document | encoder, ms per document | share | peak MiB |")
    print("|---:|---:|---:|---:|---:|")
    for documents in sorted(args.indexed):
        search = searcher(documents, args.queries, device)
        rounds = [(1000 * seconds(search) / args.queries, 1000 * seconds(encode) / args.scored)
                  for _ in range(args.rounds)]  # fmt: skip
        searching, encoding = (statistics.median(column) for column in zip(*rounds, strict=True))
        share = statistics.median(one / other for one, other in rounds)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"| {documents:,} | {searching:.2f} | {encoding:.1f} | {100 * share:.1f}% | {peak:,.0f} |", flush=True)


def seconds(work: Callable[[], object]) -> float:
    """The wall time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def searcher(documents: int, queries: int, device: torch.device) -> Callable[[], object]:
    """A search among so many random vectors."""
    from ipcascade.evidence.neighbours import NeighbourIndex
    from ipcascade.evidence.options import NeighbourOptions

    random = np.random.default_rng(0)
    vectors = random.standard_normal((documents, 768), dtype=np.float32).astype(np.float16)
    truth = random.random((documents, LABELS), dtype=np.float32) < 0.02
    index = NeighbourIndex([str(number) for number in range(documents)], vectors, truth)
    wanted = random.standard_normal((queries, 768), dtype=np.float32)
    options = NeighbourOptions()
    return lambda: index.scores(index.search(wanted, options.count, device), options.temperature)


def encoder(documents: int, device: torch.device) -> Callable[[], object]:
    """The scoring of so many random documents by a BERT-base."""
    from transformers import BertConfig, BertModel

    from ipcascade.encoder.tokens import TokenCache
    from ipcascade.inference.options import ScoringOptions
    from ipcascade.inference.scoring import score
    from ipcascade.model.compatibility import use_batching
    from ipcascade.model.network import Classifier

    network = BertModel(BertConfig(attention_probs_dropout_prob=0.0), add_pooling_layer=False)
    model = Classifier(network, [8, LABELS - 8], dropout=0.1, max_length=512, label_attention=True).eval()
    use_batching(model, "packed", is_trained=True)
    ids = np.random.default_rng(1).integers(1000, 30000, documents * TOKENS).astype(np.uint16)
    offsets = np.arange(documents + 1, dtype=np.int64) * TOKENS
    cache = TokenCache(ids, offsets, {"pad_id": 0, "max_length": 512})
    options = ScoringOptions()
    return lambda: score(model, cache, np.arange(documents), options, device, lambda count: None)


if __name__ == "__main__":
    main()
