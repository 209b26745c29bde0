"""A whole training: from an encoder and labelled tokens to the weights of the best epoch.

What decides the weights is reached from here, and nothing else is: the fingerprint of this module's code is part of the
identity of checkpoints.
"""

import math
from pathlib import Path

from ipcascade.core.label_tree import LabelTree
from ipcascade.runtime.compilation import set_up
from ipcascade.runtime.precision import ResolvedPrecision
from ipcascade.training.distributed import Ranks
from ipcascade.training.initialisation import new_classifier
from ipcascade.training.loop import Checkpoints, Trained, Training, TrainingData
from ipcascade.training.options import TrainingOptions
from ipcascade.training.titles import with_titles


def fine_tune(
    encoder: Path,
    data: TrainingData,
    label_tree: LabelTree,
    options: TrainingOptions,
    seed: int,
    precision: ResolvedPrecision,
    ranks: Ranks,
    checkpoints: Checkpoints,
    stop_at: float = math.inf,
) -> tuple[Training, Trained]:
    """Fine-tune the encoder in a folder, or go on from a checkpoint.

    label_tree: the whole one, of which data.trained_tree has some levels; for the titles.
    Returns the training, whose `model` has the layout of the weights, and its result. Raises as `Training.run` does.
    """
    if options.title_examples:
        data = with_titles(data, label_tree, encoder)
    max_length = data.cache.facts["max_length"]
    model = new_classifier(
        encoder, data.trained_tree, data.truth[data.train], options, seed, max_length, data.has_finer_level
    )
    set_up(ranks.device, options.deterministic)
    training = Training(model.place(ranks.device), data, options, seed, precision, ranks, checkpoints, stop_at)
    return training, training.run()
