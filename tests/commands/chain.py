"""A small model and all that comes after it, made by the commands themselves, for several test files."""

from dataclasses import dataclass
from pathlib import Path

from ipcascade.cli import main
from ipcascade.core.label_tree import LabelTree
from support import Files, config_file

TRAINING = {"epochs": 2, "encoder_learning_rate": 1e-3, "head_learning_rate": 1e-2}


@dataclass(frozen=True)
class Results:
    """The files of a corpus, and the folder of what was made from them."""

    files: Files
    folder: Path
    tree: LabelTree

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def config(self, **sections: object) -> list[str]:
        return ["--config", str(config_file(self.folder, **sections))]


def make(files: Files, folder: Path, tree: LabelTree, **sections: object) -> Results:
    """Model, scores, thresholds, metrics and history, made by the commands themselves."""
    results = Results(files, folder, tree)
    config = results.config(
        training=TRAINING, evaluation={"bootstrap": 50}, thresholds={"method": "global"}, decoding={"method": "mask"},
        **sections,
    )  # fmt: skip
    trained = [
        "--encoder", str(files.encoder), "--checkpoints", results.path("checkpoints"), "--model", results.path("model"),
        "--epochs", results.path("epochs.parquet"), "--validation-scores", results.path("validation_scores.parquet"),
    ]  # fmt: skip
    commands = [["train", *files.arguments(), *trained]]
    for split in ("train", "val", "test"):
        scored = ["--scores", results.path(f"network/{split}.parquet")]
        vectors = ["--vectors", results.path(f"network/{split}_vectors.safetensors")]
        model = ["--model", results.path("model"), "--split", split]
        commands.append(["score", *files.arguments(), *model, *scored, *vectors])
    evidence = ["--linear", results.path("linear"), "--neighbours", results.path("neighbours")]
    commands += [
        ["fit_linear", *files.documents(), *evidence[:2]],
        ["index_neighbours", *files.documents(), "--vectors", results.path("network/train_vectors.safetensors"),
         *evidence[2:]],
        ["combine", *files.documents(), *evidence, "--network", results.path("network"), "--scores", results.path(""),
         "--combiner", results.path("combiner.json")],
    ]  # fmt: skip
    fitted = ["--scores", results.path("val.parquet"), "--thresholds", results.path("thresholds.json")]
    commands.append(["thresholds", *files.documents(), *fitted])
    measured = [
        "--split", "test", "--scores", results.path("test.parquet"), "--thresholds", results.path("thresholds.json"),
        "--metrics", results.path("metrics/test.json"),
    ]  # fmt: skip
    commands.append(["metrics", *files.documents(), *measured])
    by_epoch = ["--epochs", results.path("epochs.parquet"), "--history", results.path("history.parquet")]
    scores = ["--validation-scores", results.path("validation_scores.parquet")]
    commands.append(["history", *files.documents(), *by_epoch, *scores])
    for command in commands:
        assert main([*command, *config]) == 0, command[0]
    return results


def predict_arguments(results: Results, texts: Path, predictions: Path) -> list[str]:
    return [
        "predict", "--model", results.path("model"), "--thresholds", results.path("thresholds.json"),
        "--texts", str(texts), "--predictions", str(predictions), "--combiner", results.path("combiner.json"),
        "--linear", results.path("linear"), "--neighbours", results.path("neighbours"),
    ]  # fmt: skip
