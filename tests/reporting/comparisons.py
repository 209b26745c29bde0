"""A comparison of runs as the command `comparison` writes it, of made-up numbers."""

from typing import Any

import numpy as np

LEVELS = ("section", "class", "subclass", "main_group", "subgroup")
OF_LEVEL = ("f1_micro", "f1_macro", "f1_macro_supported")


def comparison_of(runs: int, levels: int = 2, replicated: int = 2, intervals: bool = True) -> dict[str, Any]:
    """Rows that rise from top to bottom, the first is the reference; the one at `replicated` has three replicates."""
    random = np.random.default_rng(runs)
    depth = {level: 0.1 * number for number, level in enumerate(LEVELS[:levels])}
    base = {f"{level}.{name}": 0.8 - below for level, below in depth.items() for name in OF_LEVEL}
    base["hierarchical.f1_micro"] = 0.7
    ranked = {f"{level}.average_precision_micro": 0.75 - below for level, below in depth.items()}
    rows: list[dict[str, Any]] = []
    for place in range(runs):
        values = {name: value + 0.01 * place for name, value in (base | ranked).items()}
        between = {name: values[name] - rows[0]["measures"][name] for name in values} if place else {}
        rows.append(
            {
                "name": f"run-{place}-" + "with-a-long-name-" * (place % 2) * 3,
                "measures": values,
                "confidence_intervals": {name: [values[name] - 0.012, values[name] + 0.011] for name in base},
                "replicates": {},
                "deviations": {},
                "differences": between,
                "difference_intervals": {n: [d - 0.015, d + 0.014] for n, d in between.items() if n in base},
                "seconds": 1234.75 * (place + 1) if place != 1 else None,
                "memory_mib": 2048.0 if place != 1 else None,
                "gpu_memory_mib": 14_000.0 if place == 2 else None,
            }
        )
        if not intervals:
            rows[-1] |= {"confidence_intervals": {}, "difference_intervals": {}}
        if place == replicated:
            steps = random.normal(0, 0.004, 3)
            steps -= steps.mean()
            rows[-1]["replicates"] = {
                f"seed-{number}": {name: value + step for name, value in values.items()}
                for number, step in enumerate(steps.tolist())
            }
            rows[-1]["deviations"] = dict.fromkeys(values, float(np.std(steps, ddof=1)))
    return {
        "split": "test",
        "documents": 34_456,
        "levels": list(LEVELS[:levels]),
        "reference": rows[0]["name"],
        "confidence": 0.95,
        "bootstrap_samples": 1000 if intervals else 0,
        "runs": {},
        "rows": rows,
    }
