"""What a user may set: one pydantic model a section, and the only place where a default lives.

The committed JSON schema is made from these models; `config/config.yaml` shows every key with its default.
"""

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .errors import UserError

Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]


class Section(BaseModel):
    """Refuses keys it does not know; values are never changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class DemoOptions(Section):
    """The synthetic delivery that the source `demo` writes."""

    documents: Count = 2400
    """Applications with an abstract to write, family members and non-English ones included."""


class SourceOptions(Section):
    """Where documents come from."""

    kind: Literal["patstat_bulk", "demo"] = "patstat_bulk"
    """`patstat_bulk` reads a PATSTAT Global delivery in place; `demo` writes a synthetic one and reads that."""
    path: str | None = None
    """Folder of the PATSTAT delivery (zips, nested zips or extracted CSVs); needed for `patstat_bulk`."""
    demo: DemoOptions = DemoOptions()


class CorpusOptions(Section):
    """Which applications become documents, and which text and labels they carry."""

    taxonomy: str | None = None
    """Tab-separated label tree (code, parent, level, title) to use in place of the IPC scheme in force."""
    ipr_types: list[str] = ["PI"]
    """Kinds of right to keep: PI (patent of invention), UM (utility model), DP (design patent)."""
    kinds: list[str] | None = None
    """Application kinds to keep (`A`, `W`, ...); null keeps all but dummy applications."""
    offices: list[str] | None = None
    """Filing offices to keep (`EP`, `US`, ...); null keeps all."""
    first_year: int | None = None
    """First filing year to keep; null sets no bound. With a bound, applications without a filing year are dropped."""
    last_year: int | None = None
    """Last filing year to keep; null sets no bound. With a bound, applications without a filing year are dropped."""
    language: str = "en"
    """Language of the abstract, as PATSTAT writes it."""
    minimum_words: Annotated[int, Field(ge=1)] = 10
    """Fewest whitespace-separated words of an abstract that is kept."""
    ipc_values: list[str] | None = None
    """Symbols to keep by `ipc_value`: I (invention), N (additional); null keeps all, those without a value too."""
    text: Literal["abstract", "title_and_abstract"] = "abstract"
    """What the classifier reads."""
    family_labels: Literal["union", "representative"] = "union"
    """Labels of a family: the union over its members that pass the application filters, or the representative's own."""
    office_preference: list[str] = ["WO", "EP", "US", "GB", "CA", "AU"]
    """Which application represents a DOCDB family: these offices first, in this order, then the earliest filing."""
    documents: Count | None = 177_000
    """Sample size; a smaller sample is a subset of a larger one. Null keeps every document."""

    @model_validator(mode="after")
    def _years_in_order(self) -> "CorpusOptions":
        if self.first_year is not None and self.last_year is not None and self.first_year > self.last_year:
            raise ValueError(f"first_year {self.first_year} is after last_year {self.last_year}")
        return self


class SplitOptions(Section):
    """Shares of the three splits; families, and documents with the same normalised abstract, are never torn apart."""

    train: Probability = 0.7
    val: Probability = 0.1
    test: Probability = 0.2
    rare_labels: Literal["refuse", "keep"] = "refuse"
    """What to do when a label has a single document (or family): stop with a sentence that names it, or keep it in
    the one split that can hold it, as the published system did."""

    @model_validator(mode="after")
    def _sums_to_one(self) -> "SplitOptions":
        if abs(self.train + self.val + self.test - 1) > 1e-9 or min(self.train, self.val, self.test) <= 0:
            raise ValueError("train, val and test must be positive and sum to 1")
        return self


class EncoderOptions(Section):
    """The pre-trained encoder."""

    name: str = "allenai/scibert_scivocab_uncased"
    """A hub id, a local folder, or `package:NAME/FOLDER` for a folder inside an installed Python package."""
    revision: str | None = "24f92d32b1bfb0bcaf9ab193ff3ad01e87732fc1"
    """Full commit hash (40 digits) of the hub repository; required for a hub id, unused otherwise."""
    sha256: str | None = None
    """SHA-256 of the weights file; checked before use where it is given."""


class TokenOptions(Section):
    """The token cache."""

    max_length: Annotated[int, Field(ge=8)] = 512
    """Longest document in tokens, special tokens included; what is beyond is cut off and counted."""


class SoftMaskOptions(Section):
    """In training, scale the class logits below sections of low probability (part of the published recipe)."""

    confidence: Probability = 0.1
    """Sections with at most this probability are implausible."""
    factor: Probability = 0.1
    """Factor on the class logits below an implausible section."""


class ValidationOptions(Section):
    """How the curve of every epoch is measured; it changes no weights, only which epoch is best."""

    fixed_section: Probability = 0.5
    """Section threshold of the measures named `fixed`."""
    fixed_class: Probability = 0.5
    """Class threshold of the measures named `fixed`."""
    mask_confidence: Probability | None = None
    """Classes count only below sections of more than this probability; null: below predicted sections."""


class TrainingOptions(Section):
    """Fine-tuning."""

    epochs: Count = 6
    batch_size: Count = 32
    """Documents an optimizer step."""
    batching: Literal["packed", "padded"] = "packed"
    """`packed`: documents end to end, no padding computed; `padded`: for encoders that cannot be packed."""
    token_budget: Count = 16_384
    """Most tokens in one pass through the encoder. Less saves memory: a step of more is split into passes, with the
    same loss and gradients but for rounding and which elements dropout takes."""
    encoder_learning_rate: Positive = 3e-5
    head_learning_rate: Positive = 3e-4
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """AdamW's decay; biases and layer norms are spared."""
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of all steps with a linearly rising learning rate; it falls linearly to 0 after that."""
    gradient_clip: Positive = 1.0
    """Largest L2 norm of the gradient of all weights."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Dropout on the [CLS] vector before the two heads."""
    attention_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout on attention probabilities inside the encoder; packed batches have none."""
    section_weight: Annotated[float, Field(ge=0)] = 0.3
    """Weight of the section loss."""
    class_weight: Annotated[float, Field(ge=0)] = 0.7
    """Weight of the class loss."""
    loss_reduction: Literal["sum", "mean"] = "sum"
    """Binary cross-entropy summed or averaged over the labels of a level; always averaged over documents."""
    label_weights: Literal["none", "inverse_frequency"] = "none"
    """`inverse_frequency` weighs positives by N / (n + 1), normalised to mean 1 (it spoils calibration)."""
    head_bias: Literal["prior"] | float = "prior"
    """Start of the heads' biases: the log-odds of each label's share in training, or one number for all."""
    soft_mask: SoftMaskOptions | None = None
    """Null trains without it."""
    precision: Literal["auto", "fp16", "bf16", "fp32"] = "auto"
    """`auto`: fp16 on CUDA, bf16 on a CPU with hardware for it, fp32 otherwise."""
    accelerator: Literal["auto", "cuda", "cpu"] = "auto"
    """`auto`: CUDA where torch sees a GPU, else the CPU; refused in a job that was given a GPU which torch does not
    see."""
    compile: bool = True
    """Compile the model on CUDA (packed only), a minute or two a run; where that does not work (no C compiler on the
    node) a warning says so, and training goes on without."""
    deterministic: bool = True
    """On CUDA use only kernels that add in a fixed order, so that a run resumed, or repeated, ends with the same
    bytes."""
    devices: Count = 1
    """GPUs of one machine that share each batch (processes, on a CPU); the rule asks for as many."""
    early_stopping: Count | None = None
    """Stop after this many epochs without a better `select_by`; null trains all epochs."""
    select_by: str = "global.class.f1_micro"
    """Validation measure, a column of the history, whose best epoch becomes the model."""
    validation: ValidationOptions = ValidationOptions()

    @model_validator(mode="after")
    def _has_a_loss(self) -> "TrainingOptions":
        if self.section_weight == self.class_weight == 0:
            raise ValueError("section_weight and class_weight are both 0, so there is nothing to learn")
        return self

    @model_validator(mode="after")
    def _packing_has_no_attention_dropout(self) -> "TrainingOptions":
        if self.batching == "packed" and self.attention_dropout:
            raise ValueError("packed batches have no attention_dropout; set it to 0, or batching to padded")
        return self

    @model_validator(mode="after")
    def _batch_can_be_shared(self) -> "TrainingOptions":
        if self.batch_size % self.devices:
            raise ValueError(f"batch_size {self.batch_size} cannot be shared evenly by {self.devices} devices")
        return self


class ScoringOptions(Section):
    """From documents to probabilities."""

    batching: Literal["packed", "padded"] = "packed"
    """As in training."""
    token_budget: Count = 16_384
    """Most tokens in one pass through the encoder. Less saves memory; scores are the same but for rounding."""
    precision: Literal["auto", "fp16", "bf16", "fp32", "int8"] = "auto"
    """As in training; `int8`: linear layers in 8 bits, for CPUs without bf16."""
    compile: bool = False
    """As in training; worth its time from some hundred thousand documents on."""
    accelerator: Literal["auto", "cuda", "cpu"] = "auto"
    """As in training."""


class FixedThresholds(Section):
    """Thresholds of the method `fixed`."""

    section: Probability = 0.5
    class_: Probability = Field(0.5, alias="class")


class PerLabelOptions(Section):
    """The method `per_label`: the exact F1 maximum of each label, with a guard for rare ones."""

    guard: Literal["scutfbr", "joint"] = "scutfbr"
    """`scutfbr`: a label whose best validation F1 is below `floor`, or with fewer than `minimum_positives`, takes its
    level's global threshold; `joint`: the micro+macro method of Lin and Lin (2023)."""
    floor: Probability = 0.3
    """SCutFBR's floor on a label's best validation F1."""
    minimum_positives: Count = 10
    """Fewest validation documents of a label that get a threshold of its own (scutfbr)."""
    folds: Annotated[int, Field(ge=2)] = 3
    """Folds of the joint method."""


class ThresholdOptions(Section):
    """From probabilities to decisions; fitted on the validation split only."""

    method: Literal["fixed", "global", "per_label", "reference"] = "global"
    """`fixed` numbers; one `global` optimum a level; one optimum a label; the published grid for `reference` H-F1."""
    fixed: FixedThresholds = FixedThresholds()
    per_label: PerLabelOptions = PerLabelOptions()


class DecodingOptions(Section):
    """Parent-child consistency."""

    method: Literal["mask"] = "mask"
    """`mask`: classes only below sections that are confident; all classes where no section is."""
    confidence: Probability | None = None
    """A section is confident above this probability; null: above its own threshold (it is predicted)."""


class EvaluationOptions(Section):
    """Measures."""

    bootstrap: Annotated[int, Field(ge=0)] = 1000
    """Bootstrap samples of families for the intervals of the headline measures; 0 leaves the intervals out."""
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Coverage of the intervals."""


class BaselineOptions(Section):
    """TF-IDF and a linear support-vector machine through the same doors, in `results/runs/baseline/`."""

    ngrams: Count = 2
    """Longest word n-gram."""
    minimum_documents: Count = 2
    """Fewest training documents with an n-gram that is kept."""
    maximum_features: Count = 200_000
    """Most frequent n-grams to keep."""
    c: Positive = 1.0
    """Inverse strength of the regularisation."""


class FigureColours(Section):
    """Colours by role; the defaults are Okabe and Ito's, told apart by colour-blind readers too."""

    section: Colour = "#0072b2"
    class_: Colour = Field("#d55e00", alias="class")
    accent: Colour = "#009e73"
    neutral: Colour = "#4d4d4d"


class FigureOptions(Section):
    """What the figures look like. Within these bounds no text of a figure runs into another."""

    font: str = "DejaVu Sans"
    """Font family; one that is not installed is refused. The default comes with matplotlib."""
    font_size: Annotated[float, Field(ge=5, le=8)] = 7.0
    """Base size in points."""
    width: Annotated[float, Field(ge=6.5, le=12)] = 7.2
    """Width in inches; 7.2 fills the text width of a two-column journal."""
    resolution: Annotated[int, Field(ge=72, le=1200)] = 300
    """Dots an inch of the PNG."""
    colours: FigureColours = FigureColours()


class PredictionOptions(Section):
    """Labelling new texts."""

    inputs: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], str] = {}
    """Name to table (CSV or parquet with the columns document_id and text) for `results/predictions/{name}.parquet`."""


class Config(Section):
    """Everything a user may set."""

    seed: Annotated[int, Field(ge=0)] = 42
    """The one seed; every random stream derives from it."""
    source: SourceOptions = SourceOptions()
    corpus: CorpusOptions = CorpusOptions()
    splits: SplitOptions = SplitOptions()
    encoder: EncoderOptions = EncoderOptions()
    tokens: TokenOptions = TokenOptions()
    training: TrainingOptions = TrainingOptions()
    scoring: ScoringOptions = ScoringOptions()
    thresholds: ThresholdOptions = ThresholdOptions()
    decoding: DecodingOptions = DecodingOptions()
    evaluation: EvaluationOptions = EvaluationOptions()
    baseline: BaselineOptions = BaselineOptions()
    figures: FigureOptions = FigureOptions()
    prediction: PredictionOptions = PredictionOptions()


def load(raw: Mapping[str, Any]) -> Config:
    """Check a config as read from YAML and fill in the defaults.

    Raises UserError naming the key; for an unknown key with the nearest valid one.
    """
    if not isinstance(raw, Mapping):
        raise UserError("config: the file holds no keys")
    try:
        return Config.model_validate(_without_null_words(raw))
    except ValidationError as failure:
        raise UserError(_sentence(failure)) from None


def section_options(config: Config, *sections: str) -> dict[str, Any]:
    """The named sections alone, as plain data: what a rule hands to its step."""
    everything = config.model_dump(mode="json", by_alias=True)
    return {name: everything[name] for name in sections}


def parse_options(text: str) -> Config:
    """The inverse of `section_options` written as JSON; sections not given stand at their defaults."""
    try:
        raw = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"--options is not valid JSON: {error}") from None
    return load(raw)


def known_keys(model: type[BaseModel] = Config, prefix: str = "") -> Iterator[str]:
    """All keys with dots, depth first: seed, source, source.kind, ..."""
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        yield key
        for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from known_keys(inner, f"{key}.")


def _without_null_words(value: Any) -> Any:
    """`null` as None: Snakemake's --config hands nested values over as text, where numbers are read but null is not."""
    if isinstance(value, Mapping):
        return {key: _without_null_words(inner) for key, inner in value.items()}
    return None if value == "null" else value


def _sentence(failure: ValidationError) -> str:
    errors = failure.errors()
    first = next((error for error in errors if error["type"] == "extra_forbidden"), errors[0])
    # A union adds the tried type to the place ("literal['prior']"), which is no key.
    key = ".".join(str(part) for part in first["loc"] if str(part).isidentifier())
    if first["type"] == "extra_forbidden":
        return f"config: unknown key {key!r}{_nearest(key)}"
    if first["type"] == "value_error":
        return f"config: {key or 'the whole'}: {first['ctx']['error']}"
    return f"config: {key} is {first['input']!r}: {first['msg'][0].lower()}{first['msg'][1:]}"


def _nearest(key: str) -> str:
    keys = list(known_keys())
    name = key.rsplit(".", 1)[-1]
    elsewhere = [known for known in keys if known.rsplit(".", 1)[-1] == name]
    close = difflib.get_close_matches(key, keys, n=1, cutoff=0.6)
    if not (elsewhere or close):
        return "; config/config.yaml names every key there is"
    return f"; did you mean {(elsewhere or close)[0]!r}?"
