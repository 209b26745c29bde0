"""The loss against a literal one, formula by formula."""

import numpy as np
import pytest
import torch

from ipcascade.core.label_tree import LabelTree
from ipcascade.training.loss import Loss
from ipcascade.training.options import TrainingOptions

SMALL = LabelTree(
    levels=("section", "class", "subclass"),
    sizes=(2, 3, 4),
    labels=("A", "B", "A01", "B01", "B02", "A01B", "B01C", "B01D", "B02E"),
    parents=(-1, -1, 0, 1, 1, 2, 3, 3, 4),
    titles=("t",) * 9,
)
SHARES = {"section": 0.3, "class": 0.7, "subclass": 1.0}


def literal_loss(logits, truth, tree, reduction, weights, soft):
    """A document and a label at a time: a level's loss over its labels, times its share, the mean over documents."""
    total = 0.0
    for i in range(len(truth)):
        for level, columns in tree.columns.items():
            losses = []
            for column in range(columns.start, columns.stop):
                logit, above = float(logits[i, column]), tree.parents[column]
                if soft and above >= 0 and 1 / (1 + np.exp(-float(logits[i, above]))) <= 0.1:
                    logit *= 0.1
                p = 1 / (1 + np.exp(-logit))
                losses.append(-weights[column] * np.log(p) if truth[i, column] else -np.log(1 - p))
            total += SHARES[level] * (sum(losses) if reduction == "sum" else sum(losses) / len(losses)) / len(truth)
    return total


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("soft", [False, True])
def test_loss_against_a_literal_one(levels, reduction, weighted, soft):
    tree = SMALL.select(SMALL.levels[:levels])
    random = np.random.default_rng(5)
    truth = random.random((4, len(tree.labels))) < 0.3
    logits = random.normal(0, 3, truth.shape)
    weights = np.ones(len(tree.labels))
    if weighted:
        for columns in tree.columns.values():
            raw = 4 / (truth[:, columns].sum(axis=0) + 1)
            weights[columns] = raw / raw.mean()
    options = TrainingOptions(
        loss_reduction=reduction,
        label_weights="inverse_frequency" if weighted else "none",
        soft_mask={"confidence": 0.1, "factor": 0.1} if soft else None,
    )
    loss = Loss(options, tree, truth, torch.device("cpu"))
    by_level = [torch.tensor(logits[:, columns]) for columns in tree.columns.values()]
    found = loss(by_level, torch.tensor(truth, dtype=torch.float32), of=4).sum()
    assert float(found) == pytest.approx(literal_loss(logits, truth, tree, reduction, weights, soft), rel=1e-5)
    # In micro-batches it adds up to the same.
    parts = [loss([part[rows] for part in by_level], torch.tensor(truth[rows], dtype=torch.float32), of=4).sum()
             for rows in (slice(0, 1), slice(1, 4))]  # fmt: skip
    assert float(sum(parts)) == pytest.approx(float(found), rel=1e-5)
