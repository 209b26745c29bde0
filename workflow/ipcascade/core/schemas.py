"""What our files hold, key by key: each is checked against its schema wherever it is read (`files.read_json`).

A file that was damaged, edited by hand or written by another version is refused here, with its key, before a value of
it is used. Nothing is converted: these classes only check. Where values have to fit other files (labels to the label
tree, tensors to the config), their reader checks that.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Difference = Annotated[float, Field(ge=-1, le=1)]
NotNegative = Annotated[float, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
TextContent = Annotated[str, Field(pattern=r"^[a-z_]+$")]
Values = dict[str, Any]


class Content(BaseModel):
    """Values of exactly the types that are written here; no key more, none less; no NaN, no infinity."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Label(Content):
    """A label of the label tree; `parent` is null at the top."""

    code: str
    parent: str | None
    level: str
    title: str


class Tree(Content):
    """A label tree: the levels from the top down, and all labels in tree order."""

    levels: Annotated[list[str], Field(min_length=1)]
    labels: Annotated[list[Label], Field(min_length=1)]


class CorpusFacts(Content):
    """The metadata of corpus.parquet: the label tree that it was made with, and what its texts are made of."""

    label_tree: Tree
    text: TextContent


class FunnelStep(Content):
    """What a step of building the corpus removed and left, and the key of the config that decides it."""

    step: str
    key: str | None
    removed: Count
    left: Count
    unit: str


class PresentLabels(Content):
    """How many labels of a level are in the corpus, and how many a document has."""

    present: Count
    mean_per_document: NotNegative


class DroppedCode(Content):
    """A code outside the label tree, and how many symbols have it."""

    code: str
    symbols: Count


class SymbolFacts(Content):
    """What became of the symbols that labels are cut from: those read are dropped for a reason, or kept.

    renamed: of the kept ones; most_frequent_dropped_codes: of those outside the label tree.
    """

    read: Count
    of_other_applications: Count
    dropped_by_ipc_value: Count
    dropped_outside_label_tree: Count
    dropped_by_weight: Count
    kept: Count
    renamed: Count
    most_frequent_dropped_codes: list[DroppedCode]
    distinct_dropped_codes: Count


class FunnelFacts(Content):
    """funnel.json; `groups` counts documents of one family or text, `notes` are for people."""

    steps: Annotated[list[FunnelStep], Field(min_length=1)]
    groups: dict[str, Count]
    labels: dict[str, PresentLabels]
    notes: list[str]
    symbols: SymbolFacts
    tables: Values


class SplitSize(Content):
    """The documents of a split, their groups and labels; the last two by level."""

    documents: Count
    groups: Count
    share: Share
    size_error: Difference
    labels_present: dict[str, Count]
    mean_labels_per_document: dict[str, NotNegative]


class FirstFilings(Content):
    """When and where the inventions of a split were first filed."""

    first_year: int | None
    last_year: int | None
    documents_without_year: Count
    offices: dict[str, Count]


class SplitAudit(Content):
    """audit.json; `drift` is by level and split, `first_filings` is None where the corpus does not know them."""

    splits: dict[str, SplitSize]
    first_filings: dict[str, FirstFilings] | None = None
    label_distribution_distance: dict[str, NotNegative]
    label_pair_distribution_distance: NotNegative
    missing_labels: dict[str, dict[str, list[str]]]
    drift: dict[str, dict[str, Values]]
    groups_in_several_splits: Count
    texts_in_several_splits: Count


class ScoreFacts(Content):
    """The metadata of a scores file: the checksum of the weights or of the combiner that gave it, where it has one."""

    made_with: Sha256 | None = None


class EncoderFacts(Content):
    """encoder.json."""

    name: str
    revision: str | None
    weights: str
    sha256: Sha256
    files: dict[str, Sha256]


class TokenFacts(Content):
    """tokens.json."""

    tokenizer_key: Sha256
    documents_key: Sha256
    ids_sha256: Sha256
    dtype: Literal["uint16", "int32"]
    max_length: Annotated[int, Field(ge=1)]
    pad_id: Count
    documents: Count
    tokens: Count
    truncated_documents: Count
    mean_length: Annotated[float, Field(ge=0)]


class ModelText(Content):
    """What the texts of a model are made of, and how many tokens they may have."""

    content: TextContent
    max_length: Annotated[int, Field(ge=1)]


class ModelLabels(Content):
    """labels.json."""

    label_tree: Tree
    finer_labels: Annotated[list[Label], Field(min_length=1)] | None
    """The labels of the finer level, where the model has one."""
    text: ModelText
    dropout: Annotated[float, Field(ge=0, lt=1)]
    label_attention: bool


class SourceWeights(Content):
    """A shift, and `weights` by source."""

    shift: float
    weights: dict[str, float]


class BelowWeights(Content):
    """A shift, and weights of a label's own log-odds and of those of the labels below."""

    shift: float
    own: float
    below: float


class LevelCombiner(SourceWeights):
    """The logistic regressions of a level; by_frequency: what its numbers get per log(1 + training documents)."""

    by_frequency: SourceWeights | None
    below: BelowWeights | None


class FittedCombiner(Content):
    """combiner.json; training_documents: by code; `neighbours` holds the options evidence.neighbours.

    files: by source, the checksum of the file that it was fitted with: weights of the network, linear model, vectors.
    """

    sources: Annotated[list[Literal["network", "linear", "neighbours"]], Field(min_length=1)]
    levels: dict[str, LevelCombiner]
    training_documents: dict[str, Count] | None
    neighbours: Values
    files: dict[str, Sha256 | None] = {}


class FittedThresholds(Content):
    """thresholds.json; `decoding` holds the options of that name.

    combiner: checksum of the combiner whose probabilities they were fitted on, where these say so.
    """

    method: str
    thresholds: dict[str, Share]
    facts: Values
    levels: list[str]
    decoding: Values
    combiner: Sha256 | None = None


class ReleaseManifest(Content):
    """manifest.json of a released model: the checksum of each other file that decides its predictions, by name."""

    ipcascade: str
    files: dict[str, Sha256]


class MatrixFacts(Content):
    """The metadata of a matrix: the labels that its concordance shared out by training documents."""

    shared_out: list[str] = []


class PredictionFacts(Content):
    """predictions/NAME.facts.json: numbers of texts, `without_label` by level; None where a long table does not say.

    unsure: with a confidence below one half; median_similarity: of the nearest training documents.
    """

    texts: Count | None
    without_label: dict[str, Count]
    unclassifiable: Count | None
    cut_off: Count | None
    unsure: Count | None
    median_confidence: Share | None
    median_similarity: Annotated[float, Field(ge=-1.001, le=1.001)] | None


class Metrics(Content):
    """metrics/SPLIT.json; `measures` of a level, `hierarchical` and `reference` are checked where they are shown."""

    split: str
    documents: Count
    levels: Annotated[list[str], Field(min_length=1)]
    thresholds: str
    decoding: Values
    measures: Values
    confidence_intervals: dict[str, Annotated[list[Share], Field(min_length=2, max_length=2)]]
    confidence: Share
    bootstrap_samples: Count
    per_label: list[Values]


class ComparedFiles(Content):
    """How the probabilities of a compared run became labels; `decoding` holds the options of that name."""

    thresholds: str
    decoding: Values


class ComparedRun(Content):
    """A row of a comparison: a run, or the mean of replicates; measures by dotted names (evaluation/comparison.py)."""

    name: str
    measures: Annotated[dict[str, Share], Field(min_length=1)]
    confidence_intervals: dict[str, Annotated[list[Share], Field(min_length=2, max_length=2)]]
    replicates: dict[str, dict[str, Share]]
    deviations: dict[str, Share]
    differences: dict[str, Difference]
    difference_intervals: dict[str, Annotated[list[Difference], Field(min_length=2, max_length=2)]]
    seconds: NotNegative | None
    memory_mib: NotNegative | None
    gpu_memory_mib: NotNegative | None


class Comparison(Content):
    """The numbers of a comparison of runs; `rows` from the top down."""

    split: str
    documents: Count
    levels: Annotated[list[str], Field(min_length=1)]
    reference: str
    confidence: Share
    bootstrap_samples: Count
    runs: dict[str, ComparedFiles]
    rows: Annotated[list[ComparedRun], Field(min_length=1)]


class LevelMeasures(BaseModel):
    """The measures of a level that tables and the summary show; there are others beside them."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    f1_micro: Share
    f1_macro: Share
    precision_micro: Share
    recall_micro: Share


class HierarchicalMeasures(BaseModel):
    """The measure over all levels that the summary shows."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    f1_micro: Share


class ReferenceMeasures(BaseModel):
    """The published measure and its ceiling, of trees of two levels or more."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    h_f1: Share
    h_f1_ceiling: Share


class EpochCounts(Content):
    """What an epoch took so far, in a checkpoint."""

    seconds: float
    collating: float
    documents: Count
    tokens: Count
    squares: Count
    own_tokens: Count
    computed_tokens: Count
    peak_memory_mib: float


class EpochRow(BaseModel):
    """What training reads again of a finished epoch; there are other columns of epochs.parquet beside it."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    epoch: Annotated[int, Field(ge=1)]
    train_loss: float
    val_loss: float
    skipped_steps: int


class Scaler(Content):
    """The state of torch's gradient scaler, in a training with fp16; without, it has none."""

    scale: float
    growth_factor: float
    backoff_factor: float
    growth_interval: int
    growth_tracker: Annotated[int, Field(alias="_growth_tracker")]


class CheckpointFacts(Content):
    """The facts of checkpoint.safetensors."""

    fingerprint: str
    step: Count
    epoch_loss: float
    counts: EpochCounts
    best_epoch: Count
    best_value: float | None
    compiled: bool | None
    epochs: list[EpochRow]
    scaler: Scaler | Annotated[Values, Field(max_length=0)]


class Provenance(Content):
    """*.provenance.json."""

    ipcascade: str
    options: Values
    inputs: dict[str, str]
