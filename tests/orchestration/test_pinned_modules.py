"""Which modules can make an expensive rule run again: a list to think about before a module joins it.

And the fingerprints of these rules: with another one, the rule runs again in every folder of results, and so does all
that comes after it (Snakemake plans that before it can see that the files are the same).
"""

import sys

import pytest

from ipcascade.orchestration.fingerprint import code, modules_of
from ipcascade.sources.options import SourceOptions

FINGERPRINTS = {
    "corpus": "0f90c4b21cebfadb",
    "splits": "9fa51ef01fbe9431",
    "encoder": "b7585bdc88e6e38e",
    "tokens": "893bd1da970c897f",
    "train": "7f5acf3675286542",
}

MODULES = {
    "corpus": """
        commands._label_tree commands.corpus
        core.label_tree core.random_streams core.strict_csv
        corpus.applications corpus.build corpus.families corpus.fields corpus.funnel corpus.labels
        corpus.options corpus.sampling corpus.text
        sources.base sources.kinds sources.opening
        core.archives sources.patstat.delivery sources.patstat.row_counts sources.patstat.source
        sources.patstat.tables sources.patstat.database
        sources.patentsview.families sources.patentsview.files sources.patentsview.ids sources.patentsview.source
        sources.quarantine core.archives core.classifications core.symbols core.block_files core.csv_tables
        corpus.scratch commands._reading corpus.reading corpus.renamed_codes
        sources.table core.user_tables core.user_table_files
    """,
    "tokens": """
        commands.tokens
        core.names
        encoder.positions encoder.tokenise encoder.tokenizer encoder.tokens
    """,
    "train": """
        commands._documents commands._label_tree commands.train
        core.documents core.label_tree core.names core.options core.random_streams core.tensors core.title_examples
        encoder.positions encoder.tokenizer encoder.tokens
        evaluation.counts evaluation.epoch_selection evaluation.mask evaluation.options evaluation.reference_h_f1
        inference.forward
        model.attention model.batching model.compatibility model.export model.finer_level model.label_attention
        model.network
        runtime.compilation runtime.dropout runtime.kernels runtime.launch runtime.memory runtime.precision
        runtime.torch_private
        training.batches training.checkpoint training.distributed training.initialisation training.loop
        training.loss training.optimizer training.options training.run training.throughput training.titles
        training.token_dropout
    """,
    "score": """
        commands._documents commands.score
        core.documents core.label_tree core.names core.tensors
        encoder.positions encoder.tokenizer encoder.tokens
        evidence.vectors
        inference.forward inference.scoring
        model.attention model.batching model.compatibility model.export model.finer_level model.label_attention
        model.network model.quantisation
        runtime.compilation runtime.kernels runtime.memory runtime.precision runtime.torch_private
    """,
}


@pytest.mark.parametrize("command", MODULES)
def test_expensive_rules_depend_on_these_modules(command):
    assert modules_of(command) == set(MODULES[command].split())


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="other versions write code out otherwise")
@pytest.mark.parametrize("command", FINGERPRINTS)
def test_expensive_rules_are_as_they_were(command):
    advice = "with this change it runs again for everybody; if its result can be another one, write the new one here"
    without = SourceOptions().other_readers if command == "corpus" else ()
    assert code(command, without) == FINGERPRINTS[command], advice


def test_a_source_is_read_again_for_its_own_code_alone():
    readers = {kind: SourceOptions(kind=kind) for kind in ("patstat_bulk", "table", "demo")}
    for command in ("corpus", "delivery_texts"):
        codes = {kind: code(command, options.other_readers) for kind, options in readers.items()}
        assert codes["patstat_bulk"] == codes["demo"] != codes["table"]
        assert code(command) not in codes.values()
    for command in ("corpus", "delivery_texts"):
        for kind, own, other in (
            ("patstat_bulk", "sources.patstat.tables sources.patstat.delivery sources.patstat.source", "sources.table"),
            ("patstat_sql", "sources.patstat.database sources.patstat.source", "sources.patstat.delivery"),
            ("patentsview", "sources.patentsview.source core.archives", "sources.patstat.tables"),
            ("table", "sources.table core.user_tables", "sources.patentsview.families"),
        ):
            left_out = SourceOptions(kind=kind).other_readers
            counted = {m for m in modules_of(command) if not any(f"{m}.".startswith(f"{n}.") for n in left_out)}
            assert set(own.split()) <= counted and other in modules_of(command) - counted


def test_training_depends_on_nothing_that_comes_after_it():
    names = {module.rpartition(".")[2] for module in modules_of("train")}
    assert not names & {"thresholds", "decoding", "metrics", "history", "quantisation", "card", "bootstrap"}
