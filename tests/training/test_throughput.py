"""Operations against torch's own count, and peaks by the GPU's name."""

from dataclasses import asdict

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from ipcascade.encoder.tokens import TokenCache
from ipcascade.model.batching import Padding
from ipcascade.model.network import inputs_of
from ipcascade.training.throughput import EpochCounts, forward_flops, peak_flops
from support import classifier

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def model(encoder_folder, tree):
    torch.manual_seed(1)
    return classifier(encoder_folder, tree, dropout=0.1, label_attention=False)


def test_operations_are_those_that_torch_counts(model):
    """Documents of one length, so that nothing is padded; torch's count has the heads in it."""
    documents, length = 3, 32
    offsets = np.arange(0, (documents + 1) * length, length)
    cache = TokenCache(np.full(offsets[-1], 7), offsets, {"pad_id": 0, "max_length": 40})
    one = Padding(4096).collate(cache, np.arange(documents))
    model.encoder.set_attn_implementation("eager")
    with FlopCounterMode(display=False) as counter:
        model(**inputs_of(one, CPU))
    heads = 2 * documents * 32 * model.labels
    found = forward_flops(model.encoder, documents * length, documents * length**2)
    assert found == counter.get_total_flops() - heads


def test_operations_of_bert_base_are_the_known_ones():
    """178 million per token at 180 tokens per document: 2 x 85 million weights, and attention."""
    from transformers import BertConfig, BertModel

    with torch.device("meta"):
        encoder = BertModel(BertConfig(), add_pooling_layer=False)
    assert forward_flops(encoder, 180, 180**2) / 180 == pytest.approx(177e6, rel=0.01)


def test_steps_add_up():
    """Of two ranks: all documents of a step, and this one's."""
    cache = TokenCache(np.full(30, 7), np.array([0, 2, 5, 9, 14, 20]), {"pad_id": 0, "max_length": 40})
    counts, computed = EpochCounts(), 0
    for own, others, seconds in (([0, 1], [2], 0.25), ([3], [4, 0], 0.5)):
        batches = [Padding(4096).collate(cache, np.array(own))]
        counts.add_step(cache.lengths[[*own, *others]], cache.lengths[own], batches, seconds)
        computed += batches[0].ids.size
    # Lengths are 2, 3, 4, 5, 6.
    assert (counts.documents, counts.collating) == (6, 0.75)
    assert (counts.tokens, counts.squares) == (2 + 3 + 4 + 5 + 6 + 2, 4 + 9 + 16 + 25 + 36 + 4)
    assert counts.own_tokens == 2 + 3 + 5
    assert counts.computed_tokens == computed > counts.own_tokens


def test_figures_by_hand(model, monkeypatch):
    """Two documents of 10 and 30 tokens, of which this rank, one of two, had the first, padded to 32, in 4 seconds."""
    monkeypatch.setattr("ipcascade.training.throughput.peak_flops", lambda device, precision: 1e9)
    counts = EpochCounts(
        seconds=4.0, collating=1.0, documents=2, tokens=40, squares=1000, own_tokens=10, computed_tokens=32,
        peak_memory_mib=5.0,
    )  # fmt: skip
    operations = 3 * forward_flops(model.encoder, 40, 1000)
    assert counts.figures(model.encoder, CPU, 2, "bf16") == {
        "seconds": 4.0, "documents_per_second": 0.5, "tokens_per_second": 10.0, "padding_efficiency": 10 / 32,
        "tflops_per_device": pytest.approx(operations / 4 / 2 / 1e12),
        "model_flop_utilisation": pytest.approx(operations / 4 / 2 / 1e9), "data_wait_share": 0.25,
        "peak_memory_mib": 5.0,
    }  # fmt: skip


def test_a_resumed_epoch_keeps_the_peak_memory_of_before(monkeypatch):
    counts = EpochCounts()
    for peak in (700.0, 300.0):
        monkeypatch.setattr("ipcascade.training.throughput.peak_memory", lambda device, peak=peak: peak)
        counts.note_peak_memory(CPU)
        counts = EpochCounts(**asdict(counts))  # as through a checkpoint
    assert counts.peak_memory_mib == 700.0


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA A100-SXM4-80GB", 312e12), ("NVIDIA H100 80GB HBM3", 989e12), ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H200", 989e12), ("Tesla V100-SXM2-32GB", 125e12), ("NVIDIA A30", 165e12), ("Unheard-of", None),
        ("NVIDIA H100 NVL", None),
    ],
)  # fmt: skip
def test_peaks_by_the_gpus_name(monkeypatch, name, peak):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)
    assert peak_flops(CUDA, "fp16") == peak
    assert peak_flops(CUDA, "fp32") is None and peak_flops(CPU, "bf16") is None
