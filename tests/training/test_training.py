"""Training: it learns, and resumes after SIGKILL, SIGTERM or the end of its time to the same bytes."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal
from runs import OPTIONS, arguments, epochs_of
from safetensors.torch import load_file
from sklearn.metrics import precision_recall_curve
from torch._dynamo.backends.common import aot_autograd
from torch._functorch.aot_autograd import make_boxed_func

from ipcascade.cli import main
from ipcascade.commands.train import stop_time
from ipcascade.config import load, section_options
from ipcascade.core.documents import Documents
from ipcascade.encoder.tokens import TokenCache
from ipcascade.inference.forward import probabilities
from ipcascade.model.export import load_model
from ipcascade.model.network import Classifier
from ipcascade.training.initialisation import new_classifier
from ipcascade.training.optimizer import learning_rate_factor
from support import OF_THE_MACHINE, PATIENCE, step_of

ALL_OPTIONS = section_options(load({"training": OPTIONS}), "seed", "training")
del ALL_OPTIONS["training"]["accelerator"]


def assert_same_results(one: Path, other: Path) -> None:
    for name in ("model/model.safetensors", "model/README.md", "validation.parquet"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert_frame_equal(*(epochs_of(folder).drop(OF_THE_MACHINE) for folder in (one, other)))


@pytest.fixture(scope="module")
def trained(files, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    assert main(arguments(files, folder)) == 0
    return folder


def test_it_learns(trained):
    epochs = epochs_of(trained)
    assert epochs["epoch"].to_list() == [1, 2, 3, 4, 5, 6]
    assert epochs["train_loss"].is_sorted(descending=True)
    assert epochs["selected"].sum() == 1
    assert (epochs["documents_per_second"] > 0).all()


def best_f1(truth: np.ndarray, scores: np.ndarray) -> float:
    """The highest micro F1 over all thresholds, from scikit-learn's curve."""
    precision, recall, _ = precision_recall_curve(truth.ravel(), scores.ravel())
    return (2 * precision * recall / np.maximum(precision + recall, 1e-12)).max()


def test_validation_scores_of_each_epoch_are_stored_and_the_best_epoch_is_exported(files, trained):
    """Of the class level, whose F1 at its best threshold chooses the epoch; without the mask, which changes little."""
    stored = pl.read_parquet(trained / "validation.parquet")
    documents = Documents.read(files.corpus, files.splits)
    positions = documents.positions("val")
    classes = documents.tree.columns["class"]
    assert stored.columns == ["epoch", "document_id", *documents.tree.labels]
    values = []
    for epoch in range(1, 7):
        of_epoch = stored.filter(pl.col("epoch") == epoch)
        assert of_epoch["document_id"].to_list() == [documents.ids[position] for position in positions]
        scores = of_epoch.select(documents.tree.labels).to_numpy()
        values.append(best_f1(documents.truth[positions][:, classes], scores[:, classes]))
    assert values[-1] > 0.9, "labels follow from words"
    selected = epochs_of(trained)["selected"].arg_max()
    assert values[selected] > max(values) - 0.02
    model, _, _ = load_model(trained / "model", "packed")
    found = probabilities(model, TokenCache.open(files.tokens), positions, "packed", 16_384, "fp32")
    expected = stored.filter(pl.col("epoch") == selected + 1).select(documents.tree.labels).to_numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(files, trained, tmp_path):
    assert main(arguments(files, tmp_path)) == 0
    for name in ("model.safetensors", "labels.json", "README.md", "config.json"):
        assert (tmp_path / "model" / name).read_bytes() == (trained / "model" / name).read_bytes()
    assert main(arguments(files, tmp_path / "other", seed=1)) == 0
    weights = (tmp_path / "other/model/model.safetensors").read_bytes()
    assert weights != (trained / "model/model.safetensors").read_bytes()


def json_of(path: Path) -> dict:
    return json.loads(path.read_text())


def kill_within_second_epoch(command: list[str], checkpoints: Path) -> int:
    """Start a training, SIGKILL it in the middle of its second epoch (70 steps each), return the step saved last."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and process.poll() is None:
            saved = list(checkpoints.glob("*/checkpoint.safetensors"))
            if saved and 75 <= step_of(saved[0]) <= 130:
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "the training was over before it was killed"
    finally:
        process.kill()
    return step_of(next(checkpoints.glob("*/checkpoint.safetensors")))


def test_a_killed_training_resumes_to_the_same_bytes(files, trained, tmp_path):
    """A checkpoint after every step; killed mid-epoch; started again; bit-identical to one that was never killed."""
    command = [*arguments(files, tmp_path), "--checkpoint-minutes", "0"]
    step = kill_within_second_epoch([sys.executable, "-m", "ipcascade", *command], tmp_path / "checkpoints")
    assert 70 < step < 140
    assert not (tmp_path / "model").exists()
    assert main([*command, "--log", str(tmp_path / "log")]) == 0
    assert f"resuming at step {step} of 420" in (tmp_path / "log").read_text()
    assert_same_results(tmp_path, trained)


def test_a_finished_training_is_exported_again_without_a_step(files, trained, tmp_path):
    command = arguments(files, tmp_path)
    command[command.index("--checkpoints") + 1] = str(trained / "checkpoints")
    assert main([*command, "--log", str(tmp_path / "log")]) == 0
    assert "resuming at step 420 of 420" in (tmp_path / "log").read_text()
    assert_same_results(tmp_path, trained)


def test_other_options_never_meet_an_old_checkpoint(files, trained, tmp_path):
    command = arguments(files, tmp_path, epochs=1)
    command[command.index("--checkpoints") + 1] = str(trained / "checkpoints")
    assert main([*command, "--log", str(tmp_path / "log")]) == 0
    assert "resuming" not in (tmp_path / "log").read_text()


def test_a_checkpoint_put_in_the_wrong_place_is_refused(files, trained, tmp_path, capsys):
    command = arguments(files, tmp_path, epochs=1)
    assert main(command) == 0
    (own,) = (tmp_path / "checkpoints").iterdir()
    foreign = next(p for p in (trained / "checkpoints").iterdir() if p.name != own.name)
    (own / "checkpoint.safetensors").write_bytes((foreign / "checkpoint.safetensors").read_bytes())
    assert main(command) == 1
    assert "belongs to a training with other options, data or code" in capsys.readouterr().err
    (own / "checkpoint.safetensors").write_bytes(b"broken")
    assert main(command) == 1
    assert "is not a readable checkpoint" in capsys.readouterr().err


def test_the_log_says_in_what_an_unused_checkpoint_differs(files, trained, tmp_path):
    command = arguments(files, tmp_path, epochs=1, dropout=0.2)
    (old,) = (p for p in (trained / "checkpoints").iterdir() if json_of(p / "manifest.json")["options"] == ALL_OPTIONS)
    shutil.copytree(old, tmp_path / "checkpoints/old")
    assert main([*command, "--log", str(tmp_path / "log")]) == 0
    expected = (
        f"{tmp_path}/checkpoints/old/checkpoint.safetensors is not used: it was made with other "
        "options.training.dropout 0.1, now 0.2; options.training.epochs 6, now 1"
    )
    assert expected in (tmp_path / "log").read_text()
    manifest = json_of(tmp_path / "checkpoints/old/manifest.json")
    manifest["code"], manifest["inputs"]["corpus"] = "changed", "changed"
    (tmp_path / "checkpoints/old/manifest.json").write_text(json.dumps(manifest))
    assert main([*arguments(files, tmp_path), "--log", str(tmp_path / "log")]) == 0
    log = (tmp_path / "log").read_text()
    assert "old/checkpoint.safetensors is not used: it was made with other code; inputs.corpus" in log
    assert "resuming" not in log


def test_checkpoints_do_not_depend_on_the_accelerator(files, trained, tmp_path):
    command = arguments(files, tmp_path, accelerator="cpu")
    command[command.index("--checkpoints") + 1] = str(trained / "checkpoints")
    assert main([*command, "--log", str(tmp_path / "log")]) == 0
    assert "resuming at step 420 of 420" in (tmp_path / "log").read_text()


def test_early_stopping_ends_after_epochs_without_a_better_one(files, tmp_path):
    options = {"early_stopping": 1, "epochs": 20, "encoder_learning_rate": 1e-12, "head_learning_rate": 1e-12}
    assert main(arguments(files, tmp_path, **options)) == 0
    epochs = epochs_of(tmp_path)
    assert epochs["epoch"].to_list() == [1, 2]
    assert epochs["selected"].to_list() == [True, False]


def test_divergence_is_one_sentence(files, tmp_path, capsys):
    assert main(arguments(files, tmp_path, encoder_learning_rate=1e30, gradient_clip=1e30)) == 1
    error = capsys.readouterr().err
    assert "training diverged: the loss or the gradient is no longer finite by step" in error
    assert f"the last good checkpoint, of step 0, is in {tmp_path}/checkpoints" in error
    assert not (tmp_path / "model").exists()


def test_an_unknown_measure_is_refused_before_training(files, tmp_path, capsys):
    assert main(arguments(files, tmp_path, select_by="class.f1")) == 1
    assert "training.select_by: there is no measure 'class.f1' to choose" in capsys.readouterr().err


def interrupt(*arguments, **more):
    raise KeyboardInterrupt


def test_a_training_killed_between_last_step_and_validation_resumes(files, trained, tmp_path, monkeypatch):
    command = [*arguments(files, tmp_path), "--checkpoint-minutes", "0"]
    with monkeypatch.context() as patched:
        patched.setattr("ipcascade.training.loop.probabilities", interrupt)
        assert main(command) == 130
    assert main([*command, "--log", str(tmp_path / "log")]) == 0
    assert "resuming at step 70 of 420" in (tmp_path / "log").read_text()
    assert_same_results(tmp_path, trained)


def test_fp16_with_gradient_scaling_resumes_exactly(files, tmp_path, monkeypatch, fp16_on_cpu):
    assert main(arguments(files, tmp_path / "whole", epochs=2)) == 0
    command = [*arguments(files, tmp_path / "killed", epochs=2), "--checkpoint-minutes", "0"]
    with monkeypatch.context() as patched:

        def interrupted(step, steps, warmup):
            return interrupt() if step == 31 else learning_rate_factor(step, steps, warmup)

        patched.setattr("ipcascade.training.loop.learning_rate_factor", interrupted)
        assert main(command) == 130
    assert main([*command, "--log", str(tmp_path / "log")]) == 0
    assert "resuming at step 31 of 140" in (tmp_path / "log").read_text()
    one, other = (tmp_path / run / "model/model.safetensors" for run in ("whole", "killed"))
    assert one.read_bytes() == other.read_bytes()


def test_gradients_that_always_overflow_fp16_are_one_sentence(files, tmp_path, monkeypatch, capsys, fp16_on_cpu):
    def with_infinite_gradient(*args, **kwargs):
        model = new_classifier(*args, **kwargs)
        model.heads[1].weight.register_hook(lambda gradient: gradient * float("inf"))
        return model

    monkeypatch.setattr("ipcascade.training.run.new_classifier", with_infinite_gradient)
    assert main(arguments(files, tmp_path)) == 1
    assert "gradients overflow fp16 at every step" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


def test_a_training_that_runs_out_of_time_resumes_to_the_same_bytes(files, trained, tmp_path, monkeypatch, capsys):
    """Allocations too short for the training: each saves, says so and exits 1, and the last one finishes.

    By a clock that goes on by a second whenever it is read, so that it is the same on every machine.
    """

    class Clock:
        now = 0.0

        def monotonic(self):
            self.now += 1
            return self.now

    monkeypatch.setenv("IPCASCADE_SUBMITTED", "1")
    codes = []
    while not codes or (codes[-1] == 1 and len(codes) < 10):
        clock = Clock()
        for module in ("commands.train", "training.loop"):
            monkeypatch.setattr(f"ipcascade.{module}.time", clock)
        # Of ten minutes eight are left for training.
        command = [*arguments(files, tmp_path), "--checkpoint-minutes", "1000", "--time-limit", "10"]
        codes.append(main(command))
        if codes[-1] == 1:
            assert "the time limit is near: stopped after step" in capsys.readouterr().err
            assert not (tmp_path / "model").exists()
    assert codes == [1, 1, 1, 0] or codes == [1, 1, 1, 1, 0]
    assert (tmp_path / "model/model.safetensors").read_bytes() == (trained / "model/model.safetensors").read_bytes()


def test_the_margin_is_ten_minutes_of_a_long_job_and_a_fifth_of_a_short_one(monkeypatch):
    monkeypatch.delenv("IPCASCADE_SUBMITTED", raising=False)
    assert stop_time(1000, 60) == stop_time(1000, None) == float("inf"), "outside of a job nothing ends"
    monkeypatch.setenv("IPCASCADE_SUBMITTED", "1")
    assert stop_time(1000, None) == float("inf")
    assert stop_time(1000, 480) == 1000 + 470 * 60
    assert stop_time(1000, 10) == 1000 + 8 * 60


def test_sigterm_saves_the_step_that_was_done(files, trained, tmp_path):
    """Without a periodic checkpoint: only the warning before the kill makes one, wherever it comes."""
    command = [sys.executable, "-m", "ipcascade", *arguments(files, tmp_path), "--log", str(tmp_path / "log")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE
    while not list(tmp_path.glob("checkpoints/*/best-epoch-1.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 128 + signal.SIGTERM
    (checkpoint,) = tmp_path.glob("checkpoints/*/checkpoint.safetensors")
    step = step_of(checkpoint)
    assert f"stopped by SIGTERM: a checkpoint of step {step} is saved in" in (tmp_path / "log").read_text()
    assert 70 <= step < 420
    assert main([*arguments(files, tmp_path), "--log", str(tmp_path / "log")]) == 0
    assert f"resuming at step {step} of 420" in (tmp_path / "log").read_text()
    assert (tmp_path / "model/model.safetensors").read_bytes() == (trained / "model/model.safetensors").read_bytes()


def test_a_signal_during_validation_saves_the_epoch_that_was_trained(files, trained, tmp_path, monkeypatch):
    def stopped_while_scoring(model, cache, documents, batching, max_tokens, precision, advance):
        signal.raise_signal(signal.SIGTERM)
        advance(1)
        raise AssertionError("went on after the signal")

    with monkeypatch.context() as patched:
        patched.setattr("ipcascade.training.loop.probabilities", stopped_while_scoring)
        with pytest.raises(SystemExit) as left:
            main(arguments(files, tmp_path))
    assert left.value.code == 128 + signal.SIGTERM
    assert step_of(next(tmp_path.glob("checkpoints/*/checkpoint.safetensors"))) == 70
    assert main(arguments(files, tmp_path)) == 0
    assert (tmp_path / "model/model.safetensors").read_bytes() == (trained / "model/model.safetensors").read_bytes()


def test_a_step_does_not_depend_on_how_it_is_split(files, tmp_path):
    """One micro-batch or many, packed or padded: the same weights but for rounding. Without dropout, which differs."""
    encoder = tmp_path / "encoder"
    shutil.copytree(files.encoder, encoder)
    described = json_of(encoder / "config.json")
    (encoder / "config.json").write_text(json.dumps({**described, "hidden_dropout_prob": 0.0}))
    weights, histories = [], []
    for number, options in enumerate([{}, {"max_tokens": 70}, {"batching": "padded"}, {"max_tokens": 1}]):
        command = arguments(files, tmp_path / str(number), batch_size=16, epochs=2, dropout=0, **options)
        command[command.index("--encoder") + 1] = str(encoder)
        assert main(command) == 0
        weights.append(load_file(tmp_path / str(number) / "model/model.safetensors"))
        histories.append(epochs_of(tmp_path / str(number)))
    for other in weights[1:]:
        for name, tensor in weights[0].items():
            torch.testing.assert_close(other[name], tensor, rtol=1e-3, atol=1e-4, msg=name)
    for other in histories[1:]:
        assert other["train_loss"].to_list() == pytest.approx(histories[0]["train_loss"].to_list(), rel=1e-4)
    assert histories[0]["padding_efficiency"][0] > 0.85


def test_figures_of_speed_agree_with_each_other(files, trained):
    history = epochs_of(trained)
    cache = TokenCache.open(files.tokens)
    tokens = cache.lengths[:140].sum()
    for row in history.iter_rows(named=True):
        assert row["documents_per_second"] == pytest.approx(140 / row["seconds"])
        assert row["tokens_per_second"] == pytest.approx(tokens / row["seconds"])
        assert 0 < row["data_wait_share"] < 1 and 0 < row["padding_efficiency"] <= 1
        assert row["model_flop_utilisation"] is None, "no peak is known of a CPU"
        assert row["tflops_per_device"] > 0 and row["peak_memory_mib"] > 50 and row["skipped_steps"] == 0


def test_skipped_steps_are_counted(files, tmp_path, monkeypatch, fp16_on_cpu):
    """Three gradients overflow, two in the first epoch of 70 steps and one in the second."""
    calls = []

    def overflow_at_times(gradient):
        calls.append(None)
        return gradient * (float("inf") if len(calls) in (3, 9, 100) else 1)

    def with_hook(*args, **kwargs):
        model = new_classifier(*args, **kwargs)
        model.heads[1].weight.register_hook(overflow_at_times)
        return model

    monkeypatch.setattr("ipcascade.training.run.new_classifier", with_hook)
    assert main(arguments(files, tmp_path, epochs=2)) == 0
    assert epochs_of(tmp_path)["skipped_steps"].to_list() == [2, 1]


def test_a_gradient_that_is_not_finite_never_reaches_a_checkpoint(files, tmp_path, monkeypatch, capsys):
    """With a finite loss, as in the last step before one that is saved."""
    calls = []

    def poison(gradient):
        calls.append(None)
        return gradient * (float("nan") if len(calls) == 5 else 1)

    def with_hook(*args, **kwargs):
        model = new_classifier(*args, **kwargs)
        model.heads[1].weight.register_hook(poison)
        return model

    monkeypatch.setattr("ipcascade.training.run.new_classifier", with_hook)
    assert main([*arguments(files, tmp_path), "--checkpoint-minutes", "0"]) == 1
    assert "no longer finite by step 5; the last good checkpoint, of step 4, is in" in capsys.readouterr().err
    (saved,) = tmp_path.glob("checkpoints/*/checkpoint.safetensors")
    assert step_of(saved) == 4
    assert all(bool(tensor.isfinite().all()) for tensor in load_file(saved).values())


def test_too_little_memory_on_a_gpu_is_one_sentence(files, tmp_path, monkeypatch, capsys):
    def failing(batch, device):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("ipcascade.training.loop.inputs_of", failing)
    assert main(arguments(files, tmp_path)) == 1
    sentence = (
        "too little memory for passes of 64 tokens: set training.max_tokens to 32 and submit again; training then"
    )
    assert sentence in capsys.readouterr().err


def compile_here(monkeypatch, backend) -> None:
    """Compile on this CPU as on CUDA, but with another code generator; with the dropout of CUDA, too."""
    torch._dynamo.reset()  # what tests before have compiled counts
    monkeypatch.setattr("ipcascade.training.loop.use_cpu_dropout", lambda model: None)
    monkeypatch.setattr("ipcascade.training.loop.can_compile", lambda model, batching: batching == "packed")
    monkeypatch.setattr(
        Classifier, "compile", lambda self, **options: torch.nn.Module.compile(self, backend=backend, **options)
    )


def test_a_compiled_training_makes_one_graph_and_goes_the_same_way(files, tmp_path, monkeypatch):
    graphs = {"forward": 0, "backward": 0}

    def counting(name):
        def take(graph, inputs):
            graphs[name] += 1
            return make_boxed_func(graph.forward)

        return take

    options = {"epochs": 2, "batch_size": 8}
    assert main(arguments(files, tmp_path / "plain", **options)) == 0
    compile_here(monkeypatch, aot_autograd(fw_compiler=counting("forward"), bw_compiler=counting("backward")))
    assert main(arguments(files, tmp_path / "compiled", **options)) == 0
    assert graphs == {"forward": 1, "backward": 1}, "steps of all epochs, and no validation, go through one graph"
    plain, fast = (epochs_of(tmp_path / name) for name in ("plain", "compiled"))
    assert fast["compiled"].all() and not plain["compiled"].any()
    assert fast["padding_efficiency"][0] < plain["padding_efficiency"][0], "micro-batches have one shape"
    assert fast["train_loss"].to_list() == pytest.approx(plain["train_loss"].to_list(), rel=0.05), "other dropout draws"


def test_an_epoch_of_one_step_is_compiled_too(files, tmp_path, monkeypatch):
    """A pass is tried before the first step, with documents of that step."""
    compile_here(monkeypatch, "eager")
    assert main(arguments(files, tmp_path, epochs=1, batch_size=4096)) == 0
    epochs = epochs_of(tmp_path)
    assert epochs["compiled"].to_list() == [True] and np.isfinite(epochs["train_loss"].to_list()).all()


def test_a_model_that_cannot_be_compiled_trains_as_it_is(files, tmp_path, monkeypatch):
    def broken(graph, inputs):
        raise RuntimeError("no C compiler found")

    compile_here(monkeypatch, broken)
    assert main([*arguments(files, tmp_path, epochs=1), "--log", str(tmp_path / "log")]) == 0
    log = (tmp_path / "log").read_text()
    assert "not compiled, and so slower than it could be" in log and "no C compiler found" in log
    assert epochs_of(tmp_path)["compiled"].to_list() == [False]


def test_a_resumed_training_says_that_it_is_no_longer_compiled(files, tmp_path, monkeypatch):
    """A node without a C compiler after one with it: the model is as good, but not the same to the bit."""
    options = {"epochs": 1, "batch_size": 8}
    with monkeypatch.context() as patched:
        compile_here(patched, "eager")
        patched.setenv("IPCASCADE_SUBMITTED", "1")
        assert main([*arguments(files, tmp_path, **options), "--time-limit", "0.0001"]) == 1
    assert main([*arguments(files, tmp_path, **options), "--log", str(tmp_path / "log")]) == 0
    log = (tmp_path / "log").read_text()
    assert "resuming at step 1" in log
    assert "steps until now were compiled, those to come are not: the model will differ by rounding" in log
