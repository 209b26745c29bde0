"""How many cases the fuzzers try: FUZZ in the environment (`make fuzz FUZZ=10000`), few in the normal test run."""

import os

CASES = int(os.environ.get("FUZZ", "300"))
# Tests that the cases are shared out to, so that one that fails is found and tried again quickly.
BATCHES = 10


def seeds(batch: int, share: float) -> range:
    """The seeds of a batch of a fuzzer that gets this share of the cases."""
    amount = max(1, round(CASES * share / BATCHES))
    return range(batch * amount, (batch + 1) * amount)
