"""Fixtures that several test files share: the label tree, a tiny encoder, and a tiny corpus in files."""

import json
from pathlib import Path

import polars as pl
import pytest
import torch

from ipcascade.cli import main
from ipcascade.core.files import SCHEMA_VERSION, write_parquet
from ipcascade.core.label_tree import IPC, LabelTree
from support import WORDS, Files, config_file, corpus_frame, write_corpus

# Files whose tests share something that takes minutes to make: a worker of pytest-xdist gets all of them. They come
# first, since those on Slurm mostly wait, while another worker does the rest.
GROUPS = {
    "slurm": ("tests/slurm/",),
    "commands": tuple(f"tests/commands/test_{name}.py" for name in ("commands", "crate", "release", "report")),
    "finished": ("tests/workflow/test_chain.py", "tests/workflow/test_refusals.py", "tests/workflow/test_reruns.py"),
}


def group_of(nodeid: str) -> str:
    """The tests that go to one worker together: a group, or those of one file."""
    path = nodeid.partition("::")[0]
    return next((name for name, paths in GROUPS.items() if path.startswith(paths)), path)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = list(GROUPS)
    items.sort(key=lambda item: order.index(group) if (group := group_of(item.nodeid)) in GROUPS else len(order))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    from xdist.scheduler import LoadFileScheduling

    class ByGroup(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return ByGroup(config, log)


@pytest.fixture(scope="session")
def tree() -> LabelTree:
    """The IPC's sections and classes."""
    return LabelTree.read(IPC).select(["section", "class"])


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer BERT with random weights and a vocabulary of a few words, as a Hugging Face folder."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("encoder") / "tiny"
    vocabulary = {word: index for index, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    BertTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=64,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    (folder / "encoder.json").write_text(
        json.dumps(
            {
                "schema_version": SCHEMA_VERSION,
                "name": "tiny",
                "revision": None,
                "weights": "model.safetensors",
                "sha256": "0" * 64,
                "files": {},
            }
        )
    )
    return folder


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory, encoder_folder: Path, tree: LabelTree) -> Files:
    """200 documents with splits and a token cache."""
    folder = tmp_path_factory.mktemp("data")
    corpus = corpus_frame(200)
    splits = pl.DataFrame(
        {
            "document_id": corpus["document_id"],
            "group_id": corpus["group_id"],
            "split": ["train"] * 140 + ["val"] * 20 + ["test"] * 40,
        }
    )
    write_corpus(folder / "corpus.parquet", corpus, tree)
    write_parquet(folder / "splits.parquet", splits)
    made = Files(folder / "corpus.parquet", folder / "splits.parquet", folder / "tokens", encoder_folder)
    arguments = ["--corpus", str(made.corpus), "--encoder", str(encoder_folder), "--tokens", str(made.tokens)]
    config = config_file(folder, tokens={"max_length": 32})
    assert main(["tokens", *arguments, "--config", str(config)]) == 0
    return made
