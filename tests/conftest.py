"""What several test files share: a tiny encoder, a tiny corpus in files, and the command line in this process."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from ipcascade.cli import main
from ipcascade.doors import write_parquet
from ipcascade.taxonomy import IPC_SCHEME, Taxonomy

REPOSITORY = Path(__file__).parents[1]
WORDS = "a an the of for and with device method acid engine antibody circuit signal polymer valve seed fabric".split()


@pytest.fixture(scope="session")
def taxonomy() -> Taxonomy:
    return Taxonomy.ipc()


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
        json.dumps({"schema_version": 1, "name": "tiny", "revision": None, "sha256": "0" * 64})
    )
    return folder


@dataclass(frozen=True)
class Files:
    """The inputs of the training step."""

    corpus: Path
    splits: Path
    tokens: Path
    encoder: Path

    def arguments(self) -> list[str]:
        return [
            "--taxonomy", str(IPC_SCHEME), "--corpus", str(self.corpus), "--splits", str(self.splits),
            "--tokens", str(self.tokens),
        ]  # fmt: skip


def corpus_frame(documents: int) -> pl.DataFrame:
    """A corpus whose labels follow from its words."""
    random = np.random.default_rng(1)
    topics = {"A61": "antibody", "C07": "acid", "F02": "engine", "H01": "circuit", "H04": "signal"}
    rows = []
    for number in range(documents):
        classes = sorted(random.choice(list(topics), size=random.integers(1, 3), replace=False))
        fillers = random.choice(WORDS[:9], size=random.integers(8, 40))
        words = [*(topics[code] for code in classes), *fillers]
        rows.append(
            {
                "document_id": str(1000 + number),
                "family_id": str(number),
                "group_id": str(number),
                "words": len(words),
                "text": " ".join(words),
                "sections": sorted({code[0] for code in classes}),
                "classes": [str(code) for code in classes],
            }
        )
    return pl.DataFrame(rows)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory, encoder_folder: Path) -> Files:
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
    write_parquet(folder / "corpus.parquet", corpus, {})
    write_parquet(folder / "splits.parquet", splits, {})
    made = Files(folder / "corpus.parquet", folder / "splits.parquet", folder / "tokens", encoder_folder)
    arguments = ["--corpus", str(made.corpus), "--encoder", str(encoder_folder), "--tokens", str(made.tokens)]
    assert main(["tokens", *arguments, "--options", '{"tokens": {"max_length": 32}}']) == 0
    return made
