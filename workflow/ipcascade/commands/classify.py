"""Command: label one text, from the command line or the standard input, for a person to read."""

import argparse
import sys

import torch

from ipcascade.commands._model import add_model
from ipcascade.config import Config
from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import LabelTree
from ipcascade.inference.model_files import ModelFiles
from ipcascade.inference.prediction import Prediction, TextClassifier
from ipcascade.inference.released import released_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The text and the model."""
    parser.add_argument("text", nargs="?", help="the text (default: the standard input)")
    add_model(parser)


def run(args: argparse.Namespace, config: Config) -> None:
    """Print the labels of the text."""
    torch.set_num_threads(args.threads)
    try:
        text = _readable(args.text if args.text is not None else sys.stdin.read())
    except UnicodeDecodeError:
        raise UserError("the standard input is not UTF-8; save it so") from None
    if not text.strip():
        raise UserError("there is no text: give it in quotes, or on the standard input")
    classifier = TextClassifier.read(ModelFiles.of_release(released_folder(args.model)), config.scoring)
    prediction = classifier.predict([text], config.prediction.neighbours)
    print(described(prediction))
    if not prediction.classifiable(config.prediction).all():
        print("\nnot classifiable: below prediction.least_confidence or prediction.least_similarity")


def _readable(text: str) -> str:
    """The text. Raises UserError where it is not UTF-8: Python then has halves of characters in it, or refuses it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise UserError("the text is not UTF-8; save it so") from None
    return text


def _path(tree: LabelTree, code: str) -> list[int]:
    """The columns of a label's ancestors and its own, from the top down: children come after their parent."""
    column = tree.index[code]
    return [*reversed(tree.ancestors(column)), column]


def described(prediction: Prediction) -> str:
    """What a person wants to read of the first text: labels with titles and probabilities, nearest documents."""
    labels, tree = prediction.labels[0], prediction.tree
    lines = [
        f"{'  ' * tree.levels.index(label.level)}{label.code:<6} {label.probability:4.2f}  {label.title}"
        for label in sorted(labels, key=lambda label: _path(tree, label.code))
    ] or ["no label is probable enough"]
    if not labels:
        column = int(prediction.probabilities[0].argmax())
        probability = prediction.probabilities[0, column]
        lines.append(f"the most probable: {tree.labels[column]} {probability:4.2f}  {tree.titles[column]}")
    if prediction.neighbours and prediction.similarities is not None:
        nearest = zip(prediction.neighbours[0], prediction.similarities[0], strict=True)
        lines += ["", "nearest training documents (cosine)"]
        lines += [f"{document_id:<20} {similarity:4.2f}" for document_id, similarity in nearest]
    if prediction.cut_off[0] > 0:
        lines += ["", f"the last {100 * prediction.cut_off[0]:.0f}% of the text were not read: it is too long"]
    return "\n".join(lines)
