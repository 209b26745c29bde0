"""The engine benchmark: its arithmetic, that contenders compute the same, and a whole run with a tiny encoder."""

import json
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch._dynamo.utils import counters
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModel

from benchmarks import commands, engine, engine_contenders, engine_gpu
from benchmarks.engine_contenders import OWN, OWN_PADDED, PUBLISHED, RECIPE, SCORE, TRAIN, Inputs, Setting, level_pairs
from benchmarks.engine_plot import draw
from ipcascade.cli import main as ipcascade
from ipcascade.core.label_tree import LabelTree
from ipcascade.training.loss import Loss
from support import Files

CPU = torch.device("cpu")
# Of the token cache in `files`.
MAX_LENGTH = 32
SETTING = Setting(8, "fp32")
OTHERS = (PUBLISHED, "trainer-dynamic", "trainer-grouped")


@pytest.fixture(scope="module")
def folder(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `engine.prepare` makes it, with the tiny corpus."""
    made = tmp_path_factory.mktemp("prepared")
    for name, path in {"corpus.parquet": files.corpus, "tokens": files.tokens, "encoder": files.encoder}.items():
        (made / name).symlink_to(path)
    return made


@pytest.fixture(scope="module")
def inputs(folder: Path) -> Inputs:
    return Inputs.open(folder, CPU)


def skip_without_accelerate(contender: str) -> None:
    if contender.startswith("trainer"):
        pytest.importorskip("accelerate", reason="envs/benchmark.txt is not installed")


def timing(rate, peak=100.0, gpu=None):
    return {
        "size": 16, "precision": "bf16", "documents_per_second": rate, "peak_mib": peak, "peak_gpu_mib": gpu,
    }  # fmt: skip


def test_ratios_are_formed_within_rounds():
    theirs = [timing(10.0, peak=300.0), timing(5.0, peak=200.0), timing(8.0)]
    ours = [timing(30.0), timing(20.0), timing(16.0)]
    found = engine.statistics_of(theirs, ours)
    assert found["documents_per_second"] == [10.0, 5.0, 8.0]
    assert found["median"] == 8.0
    assert found["ratios"] == [3.0, 4.0, 2.0]
    assert found["ratio"] == 3.0, "of the ratios; that of the medians would be 2.5"
    assert found["peak_mib"] == 300.0
    assert found["peak_gpu_mib"] is None


def test_without_ipcascade_there_are_no_ratios():
    found = engine.statistics_of([timing(10.0, gpu=7.0), timing(12.0, gpu=9.0)], None)
    assert found["ratio"] is found["ratios"] is None
    assert found["peak_gpu_mib"] == 9.0


def test_the_fastest_setting_wins_and_one_without_enough_memory_does_not():
    candidates = [
        {"size": 8, "precision": "fp32", "documents_per_second": 3.0},
        {"size": 64, "precision": "fp32", "documents_per_second": None},
        {"size": 16, "precision": "bf16", "documents_per_second": 5.0},
    ]
    assert engine.best(candidates, "") == Setting(16, "bf16")
    with pytest.raises(SystemExit, match="train published has too little memory"):
        engine.best(candidates[1:2], "train published")


@pytest.mark.parametrize("task", ["train", "score"])
def test_operations_are_those_that_torch_counts(inputs, task):
    """Of documents without padding, with attention as plain matrix products, which torch's counter knows."""
    lengths = [7, 20, 31]
    encoder = AutoModel.from_pretrained(inputs.encoder, attn_implementation="eager", add_pooling_layer=False)
    with FlopCounterMode(display=False) as counter:
        for length in lengths:
            hidden = encoder(torch.ones(1, length, dtype=torch.long)).last_hidden_state
            if task == "train":
                hidden.sum().backward()
    found = engine.flops_per_document(inputs.encoder, np.array(lengths), task)
    assert found == pytest.approx(counter.get_total_flops() / len(lengths))


def test_the_published_system_gets_the_tokens_of_the_cache(inputs):
    documents = inputs.order[:10]
    batches = list(engine_contenders.published_loader(inputs, documents, 4, shuffle=False))
    assert [batch["ids"].shape for batch in batches] == [(4, MAX_LENGTH), (4, MAX_LENGTH), (2, MAX_LENGTH)]
    ids, mask, labels = (torch.cat([batch[name] for batch in batches]) for name in ("ids", "mask", "labels"))
    for row, document in enumerate(documents):
        assert ids[row][mask[row].bool()].tolist() == inputs.ids(document).tolist()
    assert (labels.numpy() == inputs.truth[documents]).all()


def test_the_published_systems_soft_mask_is_the_packages(inputs, tree):
    generator = torch.Generator().manual_seed(1)
    section, classes = torch.randn(6, 8, generator=generator) * 3, torch.randn(6, 132, generator=generator)
    truth = torch.from_numpy(inputs.truth[:6]).float()
    (pair,) = level_pairs(tree)
    factors = engine_contenders.soft_mask_by_loop(section, pair.parents)
    assert sorted(factors.unique().tolist()) == pytest.approx([0.1, 1.0])
    unmasked = Loss(RECIPE.model_copy(update={"soft_mask": None}), tree, inputs.truth, CPU)
    expected = Loss(RECIPE, tree, inputs.truth, CPU)([section, classes], truth, of=6).tolist()
    assert unmasked([section, classes * factors], truth, of=6).tolist() == pytest.approx(expected)


def test_the_published_systems_hard_mask():
    """Two labels at the top; the first has two children, the second one. At most 0.1 is not confident."""
    tree = LabelTree(("top", "low"), (2, 3), tuple("ABCDE"), (-1, -1, 0, 0, 1), tuple("abcde"))
    scores = [[0.5, 0.1, 0.3, 0.2, 0.9], [0.1, 0.05, 0.3, 0.2, 0.9], [0.2, 0.11, 0.3, 0.2, 0.9]]
    found = engine_contenders.hard_mask_by_loop(scores, level_pairs(tree))
    assert found[0] == [0.5, 0.1, 0.3, 0.2, 0.0]
    assert found[1] == [0.1, 0.05, 0.3, 0.2, 0.9], "no label at the top is confident, so all below count"
    assert found[2] == [0.2, 0.11, 0.3, 0.2, 0.9]


def test_parents_are_positions_within_the_level_above():
    tree = LabelTree(("one", "two", "three"), (2, 2, 2), tuple("ABCDEF"), (-1, -1, 1, 0, 3, 3), tuple("abcdef"))
    assert level_pairs(tree) == [(slice(0, 2), slice(2, 4), [1, 0]), (slice(2, 4), slice(4, 6), [1, 1])]


@pytest.mark.parametrize("contender", OTHERS)
def test_contenders_train_on_all_given_documents_and_no_others(inputs, contender, monkeypatch):
    skip_without_accelerate(contender)
    seen, losses = Counter(), []
    forward, level_losses = engine_contenders.PlainModel.forward, Loss.__call__

    def watched_forward(model, ids, mask):
        assert model.training
        seen.update(tuple(row[real.bool()].tolist()) for row, real in zip(ids, mask, strict=True))
        return forward(model, ids, mask)

    def watched_loss(loss, logits, truth, of):
        losses.append((len(truth), of))
        return level_losses(loss, logits, truth, of)

    monkeypatch.setattr(engine_contenders.PlainModel, "forward", watched_forward)
    monkeypatch.setattr(Loss, "__call__", watched_loss)
    documents = inputs.order[:30]
    assert TRAIN[contender](inputs, documents, SETTING) > 0
    expected = Counter(tuple(inputs.ids(document).tolist()) for document in documents)
    if contender == PUBLISHED:
        warm_up = seen - expected
        assert warm_up.total() == SETTING.size and seen.total() == len(documents) + SETTING.size
    else:
        assert seen == expected + expected, "two epochs"
    assert Counter(losses)[(8, 8)] > 0 and all(documents == of for documents, of in losses)


def test_the_packages_rate_is_that_of_its_second_epoch(inputs, monkeypatch):
    trainings = []
    own_training = engine_contenders.own_training

    def watched(*arguments):
        training, trained = own_training(*arguments)
        trainings.append((training.data.train.tolist(), trained.epochs))
        return training, trained

    monkeypatch.setattr(engine_contenders, "own_training", watched)
    rates = [TRAIN[contender](inputs, inputs.order[:30], SETTING) for contender in (OWN_PADDED, OWN)]
    assert [documents for documents, _ in trainings] == [inputs.order[:30].tolist()] * 2
    assert [[epoch["epoch"] for epoch in epochs] for _, epochs in trainings] == [[1, 2], [1, 2]]
    assert rates == [epochs[1]["documents_per_second"] for _, epochs in trainings]


def test_contenders_learn_the_same_from_the_same(inputs):
    """The loss of one batch, and its gradient with respect to the heads, dropout left out."""
    pytest.importorskip("accelerate", reason="envs/benchmark.txt is not installed")
    documents = inputs.order[:8]
    truth = torch.from_numpy(inputs.truth[documents]).float()
    batch = next(iter(engine_contenders.published_loader(inputs, documents, 8, shuffle=False)))
    plain, own = (model.eval() for model in (engine_contenders.plain_model(inputs), own_padded(inputs)))
    loss = Loss(RECIPE, inputs.tree, inputs.truth, CPU)
    outcome = engine_contenders.WithLoss(plain, loss)(batch["ids"], batch["mask"], batch["labels"])
    expected = loss(own(batch["ids"], batch["mask"].bool()), truth, of=8)
    outcome["loss"].backward()
    expected.backward()
    assert outcome["loss"].item() == pytest.approx(expected.item())
    for plain_head, own_head in zip(plain.heads, own.heads, strict=True):
        torch.testing.assert_close(plain_head.weight.grad, own_head.weight.grad)


def own_padded(inputs):
    return engine_contenders.own_model(inputs, "padded")


@pytest.mark.parametrize("contender", OTHERS)
def test_contenders_give_the_same_scores(inputs, contender):
    skip_without_accelerate(contender)
    documents = inputs.order[:30]
    rate, found = SCORE[contender](inputs, documents, SETTING)
    _, expected = SCORE[OWN](inputs, documents, Setting(256, "fp32"))
    _, padded = SCORE[OWN_PADDED](inputs, documents, Setting(256, "fp32"))
    assert rate > 0
    np.testing.assert_allclose(expected, padded, atol=1e-5)
    if contender == PUBLISHED:
        expected = np.array(engine_contenders.hard_mask_by_loop(expected.tolist(), level_pairs(inputs.tree)))
        assert (found == 0).any() and (found[:, inputs.tree.columns["class"]] > 0).any()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_whole_run(inputs, encoder_folder, tmp_path, monkeypatch, capsys):
    """From the demo delivery to the table, with every contender that is installed, in this process."""
    counters.clear()  # graphs that other tests have compiled
    monkeypatch.setattr(engine, "MAX_LENGTH", 64)
    monkeypatch.setattr(engine, "BATCH_SIZES", {"cpu": (4, 8)})
    monkeypatch.setattr(engine, "MAX_TOKENS", {"cpu": (256, 512)})
    monkeypatch.setattr(engine_gpu, "CURVE_EPOCHS", 3)
    monkeypatch.setattr(commands, "run_process", in_this_process)
    contenders = [name for name in TRAIN if find_spec("accelerate") or not name.startswith("trainer")]
    out = tmp_path / "benchmarks/engine.json"
    try:
        engine.main([
            "--documents", "24", "--rounds", "2", "--threads", "1", "--encoder", str(encoder_folder), "--checks",
            "--only", ",".join(contenders), "--out", str(out),
        ])  # fmt: skip
    finally:
        torch.use_deterministic_algorithms(False)
    report = json.loads(out.read_text())
    assert (report["schema_version"], report["encoder"], report["documents"]) == (2, encoder_folder.name, 24)
    assert str(tmp_path) not in out.read_text()
    assert report["machine"]["gpu"] is None and report["machine"]["threads"] == 1
    for contenders_of_task in report["tasks"].values():
        assert list(contenders_of_task) == sorted(contenders)
        for name, facts in contenders_of_task.items():
            assert facts["documents"] == (12 if name == PUBLISHED else 24)
            assert len(facts["documents_per_second"]) == len(facts["ratios"]) == 2
            assert {rate["size"] for rate in facts["sweep"]} >= {facts["size"]}
            assert facts["peak_mib"] > 50 and facts["model_flop_utilisation"] is None
        assert contenders_of_task[OWN]["ratios"] == [1.0, 1.0]
    assert report["tasks"]["train"][OWN]["size_unit"] == "documents"
    assert report["tasks"]["score"][OWN]["size_unit"] == "tokens"
    assert report["checks"]["resumption"]["exact"] is True
    assert report["checks"]["scaling"].keys() == {"1", "2"} and min(report["checks"]["scaling"].values()) > 0
    assert report["checks"]["compiled_graphs"] == {"after_first_epoch": 0, "at_the_end": 0}
    assert report["checks"]["documents_per_second"].keys() == {"bf16", "fp32"}
    assert min(report["checks"]["documents_per_second"].values()) > 0
    losses = report["checks"]["curves"]["losses"]
    assert len(losses["fp32"]) == len(losses["bf16"]) == 3
    for suffix in ("png", "svg", "pdf"):
        assert out.with_suffix(f".{suffix}").stat().st_size > 1000
    printed = capsys.readouterr().out
    for name in contenders:
        assert printed.count(f"| {name} |") == 2
    assert "the same, bit for bit" in printed


def in_this_process(command, environment):
    """Run what `commands.run_process` would start as a process; the command is PYTHON -m MODULE WORDS."""
    module, words = command[2], command[3:]
    if module == "ipcascade":
        try:
            code = ipcascade(words)
        except SystemExit as ended:  # a training that has started ranks ends with their exit code
            code = ended.code
        assert code == 0
    else:
        {"benchmarks.engine_contenders": engine_contenders, "benchmarks.engine_gpu": engine_gpu}[module].main(words)
    return 0


def test_a_contender_is_measured_in_a_process_of_its_own(folder):
    bench = engine.Bench(folder, "cpu", 1, documents=30)
    (facts,) = bench.measure("score", PUBLISHED, [SETTING], documents=9)
    assert facts["documents_per_second"] > 0 and facts["peak_mib"] > 100
    assert (facts["size"], facts["precision"], facts["peak_gpu_mib"]) == (8, "fp32", None)


def test_a_single_task_can_be_drawn(tmp_path):
    facts = {"median": 1234.5, "ratio": None, "peak_mib": 2048.0, "peak_gpu_mib": 1024.0}
    draw({"tasks": {"score": {PUBLISHED: facts, OWN: facts}}}, tmp_path / "one")
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


def test_too_few_documents_are_refused(capsys):
    with pytest.raises(SystemExit):
        engine.main(["--documents", "63"])
    assert "give at least 64" in capsys.readouterr().err
