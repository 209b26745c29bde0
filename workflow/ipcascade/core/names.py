"""Names that several stages and the workflow share, each written once."""

# An environment variable, set in the processes that `launch_ranks` starts: those of torchrun may be set by others too.
LAUNCHED = "IPCASCADE_LAUNCHED"

SPLITS = ("train", "val", "test")
# Those that probabilities are made for: the first to fit thresholds on, the second to measure on.
SCORED_SPLITS = ("val", "test")

# Files of an encoder folder and of an exported model, named as transformers names them.
WEIGHTS = "model.safetensors"
MODEL_CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
MODEL_CARD = "README.md"

# What names a model on the hub begins with, as hub:OWNER/NAME@COMMIT.
HUB = "hub:"

# What prediction.inputs calls every text of the delivery, and the table that is made of them.
EVERY_TEXT = "corpus"
DELIVERY_TEXTS = "results/delivery_texts.parquet"

# Files of ours beside them: what the encoder is; the model's label tree and how its texts are treated.
ENCODER_FACTS = "encoder.json"
LABELS = "labels.json"

# Files of a token cache.
TOKEN_IDS = "ids.bin"
TOKEN_OFFSETS = "offsets.npy"
TOKEN_FACTS = "tokens.json"

# Files of the linear model, and of the training documents among which neighbours are searched.
LINEAR_WEIGHTS = "linear.safetensors"
VOCABULARY = "vocabulary.txt"
VECTORS = "vectors.safetensors"
INDEXED_DOCUMENTS = "documents.parquet"
# Files beside them: how sources are combined, and when a label is predicted. What a released model consists of.
COMBINER = "combiner.json"
THRESHOLDS = "thresholds.json"
MANIFEST = "manifest.json"
# Files of an error analysis.
RELIABILITY = "reliability.csv"
RISK_COVERAGE = "risk_coverage.csv"
LEVELS = "levels.csv"
CONFUSION = "confusion.csv"
BY_GROUP = "by_group.csv"
BY_FREQUENCY = "by_frequency.csv"
WORST_DOCUMENTS = "worst_documents.csv"
GUARANTEES = "guarantees.csv"
STABILITY = "stability.csv"
CALIBRATION = "calibration.csv"
ANALYSIS = (
    CALIBRATION, RELIABILITY, RISK_COVERAGE, LEVELS, CONFUSION, BY_GROUP, BY_FREQUENCY, WORST_DOCUMENTS, GUARANTEES,
    STABILITY,
)  # fmt: skip
# Beside them, made by a rule of its own.
SOURCE_EFFECTS = "source_effects.csv"
