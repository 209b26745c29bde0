"""Figure 2: the workflow in three stages, with the settings of the run that it belongs to.

This is the template: which boxes there are and what they say, for a label tree of any depth. The layout is in
diagram.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from ipcascade.core.names import SPLITS
from ipcascade.core.options import by_level
from ipcascade.corpus.options import CorpusOptions
from ipcascade.encoder.options import EncoderOptions, TokenOptions
from ipcascade.evaluation.options import DecodingOptions, EvaluationOptions, ThresholdOptions, most_labels
from ipcascade.evidence.options import EvidenceOptions
from ipcascade.inference.options import ScoringOptions
from ipcascade.reporting import diagram, style
from ipcascade.reporting.diagram import Box, Link, SideBySide, Stage
from ipcascade.reporting.options import FigureOptions
from ipcascade.reporting.words import capitalised, count, level_name, listed, plural
from ipcascade.sources.options import SourceOptions
from ipcascade.splits.options import SplitOptions
from ipcascade.training.options import TrainingOptions, selected_by

SOURCES = {
    "demo": Box("Synthetic delivery", ("in the layout of PATSTAT Global",)),
    "patstat_bulk": Box("PATSTAT Global", ("applications, abstracts, IPC symbols", "and DOCDB families")),
    "patstat_sql": Box("PATSTAT Global", ("applications, abstracts, IPC symbols", "and DOCDB families")),
    "patentsview": Box("PatentsView", ("US patents: abstracts, symbols", "and relations of applications")),
    "table": Box("Table", ("texts and labels",)),
}
EVIDENCE = {"network": "the network", "linear": "a linear model", "neighbours": "nearest documents"}
FAMILY_LABELS = {"union": "of all its members", "representative": "of its representative"}
REDUCTIONS = {"sum": "summed over labels", "mean": "averaged over labels"}
GUARDS = {"scutfbr": "SCutFBR guard", "joint": "joint micro and macro F1"}
LINKS = (Link(0, 1, "train, val"), Link(1, 2, "model"), Link(0, 2, "val, test"))


@dataclass(frozen=True)
class Settings:
    """The sections of the config that are shown, each the options of its stage."""

    source: SourceOptions
    corpus: CorpusOptions
    splits: SplitOptions
    tokens: TokenOptions
    encoder: EncoderOptions
    training: TrainingOptions
    scoring: ScoringOptions
    evidence: EvidenceOptions
    thresholds: ThresholdOptions
    decoding: DecodingOptions
    evaluation: EvaluationOptions


@dataclass(frozen=True)
class Facts:
    """What is shown of the run beside its config.

    documents: size of the corpus; splits: documents per split; present: for each level, from the top down, the number
    of labels with documents; outputs: likewise the number of labels of the tree, which the heads predict; finer_level:
    the level that the label tree has below them.
    """

    documents: int
    splits: Mapping[str, int]
    present: Mapping[str, int]
    outputs: Mapping[str, int]
    finer_level: str | None = None

    @property
    def levels(self) -> list[str]:
        """The levels that are learned, from the top down."""
        return list(self.outputs)


def draw(config: Settings, facts: Facts, options: FigureOptions) -> Figure:
    """Draw the figure. Raises UserError as `style.applied` does."""
    stages = (
        Stage("Preprocessing", style.level_colour(options, 0), _preprocessing(config, facts)),
        Stage("Fine-tuning", style.level_colour(options, 1), _fine_tuning(config, facts)),
        Stage("Classification", options.colours.accent, _classification(config, facts.levels)),
    )
    return diagram.draw(stages, LINKS, options)


def _preprocessing(config: Settings, facts: Facts) -> tuple[Box, ...]:
    corpus = config.corpus
    present = listed([_unbroken(count(labels, level_name(level))) for level, labels in facts.present.items()])
    return (
        SOURCES[config.source.kind],
        _box(
            "Filters",
            None if config.source.lacks_filter("ipr_types") else f"rights: {', '.join(corpus.ipr_types)}",
            _only("kinds", corpus.kinds),
            _only("offices", corpus.offices),
            _years(corpus.first_year, corpus.last_year),
            f"abstract in {corpus.language!r}, at least {count(corpus.minimum_words, 'word')}",
            _only("IPC values", corpus.ipc_values),
            None if corpus.least_weight is None else f"weight of labels: {corpus.least_weight:g} or more",
        ),
        _box(
            "One document per family",
            f"text: {listed([level_name(field) for field in corpus.text])}",
            f"labels: {FAMILY_LABELS[corpus.family_labels]}",
            present,
        ),
        _box(
            "Sample",
            f"all, {count(facts.documents, 'document')}" if corpus.documents is None
            else f"{count(facts.documents, 'document')}, drawn at random",
        ),
        _splits(config.splits, facts),
    )  # fmt: skip


def _splits(options: SplitOptions, facts: Facts) -> Box:
    """The shares asked for, by label; otherwise those that years or offices gave."""
    if options.by == "labels":
        shares = [getattr(options, name) for name in SPLITS]
    else:
        shares = [facts.splits[name] / max(facts.documents, 1) for name in SPLITS]
    return _box(
        {
            "labels": "Stratified splits by family",
            "year": "Splits by year of first filing",
            "office": "Splits by office of first filing",
        }[options.by],
        *(f"{name} {100 * share:.3g}% ({facts.splits[name]:,})" for name, share in zip(SPLITS, shares, strict=True)),
        _only("test", options.test_offices),
    )


def _fine_tuning(config: Settings, facts: Facts) -> tuple[Box | SideBySide, ...]:
    training = config.training
    weights = dict(by_level(training.loss_weights, facts.levels))
    finer_level = facts.finer_level if training.finer_level_weight else None
    if finer_level:
        weights[finer_level] = training.finer_level_weight
    return (
        _box(
            "Tokenizer",
            f"up to {config.tokens.max_length} tokens per document",
            training.token_dropout > 0 and f"{100 * training.token_dropout:.3g}% left out in training, drawn anew",
            training.title_examples and "titles of labels are documents, too",
        ),
        _box(
            "Encoder",
            config.encoder.name,
            f"[CLS] vector, dropout {training.dropout:g}",
            training.label_attention and "attention of each label to all tokens",
        ),
        _heads(training, facts.outputs),
        _box(
            "Loss",
            _weighted_losses(weights),
            finer_level and f"{plural(level_name(finer_level))}: learned, not predicted",
            REDUCTIONS[training.loss_reduction],
            training.label_weights == "inverse_frequency" and "positives weighted by inverse frequency",
            _soft_mask(training, facts.levels),
        ),
        _box(
            "AdamW",
            f"{count(training.epochs, 'epoch')}, batch {training.batch_size}",
            _learning_rates(training),
            f"{100 * training.warmup:.3g}% linear warm-up",
            f"precision: {_precision(training.precision)}",
            training.early_stopping is not None
            and f"stops after {count(training.early_stopping, 'epoch')} without improvement",
        ),
        _box("Selected model", "best epoch on val by", selected_by(training, facts.levels)),
    )


def _classification(config: Settings, levels: Sequence[str]) -> tuple[Box, ...]:
    evaluation = config.evaluation
    return (
        _box(
            "Probabilities",
            f"from {listed([EVIDENCE[source] for source in config.evidence.sources])}",
            config.evidence.calibration == "level" and "combined and calibrated per level on val",
            f"precision: {_precision(config.scoring.precision)}",
        ),
        _thresholds(config.thresholds, levels),
        _box("Decoding", _decoding(config.decoding, levels), *_label_limits(config.decoding, levels)),
        _box(
            "Evaluation on test",
            "flat, hierarchical, ranking, calibration",
            evaluation.bootstrap > 0 and f"{100 * evaluation.confidence:.3g}% confidence intervals",
            evaluation.bootstrap > 0 and f"from {count(evaluation.bootstrap, 'bootstrap sample')}",
        ),
        _box("New texts", "labels and probabilities", "project × technology matrix"),
    )


def _heads(training: TrainingOptions, outputs: Mapping[str, int]) -> SideBySide:
    bias = f"bias: {_unbroken('log odds')}" if training.head_bias == "prior" else f"bias: {training.head_bias:g}"
    names = {level: level_name(level) for level in outputs}
    return SideBySide(
        tuple(
            Box(f"{capitalised(names[level])} head", (_unbroken(count(labels, "output")), bias))
            for level, labels in outputs.items()
        ),
        otherwise=Box(
            "One head per level",
            (*(f"{names[level]}: {count(labels, 'output')}" for level, labels in outputs.items()), bias),
        ),
    )


def _thresholds(options: ThresholdOptions, levels: Sequence[str]) -> Box:
    if options.method == "fixed":
        values = by_level(options.fixed, levels)
        return Box("Fixed thresholds", (", ".join(f"{level_name(level)} {values[level]:g}" for level in levels),))
    lines = {
        "global": ("one threshold per level", "by best F1 micro"),
        "per_label": ("one threshold per label, by best F1", GUARDS[options.per_label.guard]),
        "expected_f1": ("one threshold per label", "by best expected F1"),
        "blend": ("one threshold per label, between global", f"and best expected F1 (share {options.blend.share:g})"),
        "reference": ("published grid, by best reference H-F1",),
    }
    return Box("Thresholds, fitted on val", lines[options.method])


def _decoding(options: DecodingOptions, levels: Sequence[str]) -> str:
    if len(levels) == 1:
        return "labels above their thresholds"
    children, parents = _below(levels)
    if options.method == "coherent":
        return f"{children} and {parents} together, by the largest sum of {_unbroken('p - threshold')}"
    if options.confidence is None:
        return f"{children} only below predicted {parents}"
    return f"{children} only below {parents} with {_probability('>', options.confidence)}"


def _label_limits(options: DecodingOptions, levels: Sequence[str]) -> tuple[str | bool, ...]:
    most = [_unbroken(count(limit, level_name(level))) for level, limit in most_labels(options, levels).items()]
    return options.at_least_one and "at least one label per document", bool(most) and f"at most {listed(most)}"


def _soft_mask(training: TrainingOptions, levels: Sequence[str]) -> str | None:
    mask = training.soft_mask
    if mask is None or len(levels) == 1:
        return None
    children, parents = _below(levels)
    return f"logits of {children} × {mask.factor:g} below {parents} with {_probability('≤', mask.confidence)}"


def _below(levels: Sequence[str]) -> tuple[str, str]:
    """What the labels below others, and these, are called."""
    if len(levels) > 2:
        return "labels", "parents"
    upper, lower = (plural(level_name(level)) for level in levels)
    return lower, upper


def _weighted_losses(weights: Mapping[str, float]) -> str:
    terms = (f"{weight:g} × BCE({level_name(level)})" for level, weight in weights.items())
    return "\N{NO-BREAK SPACE}+ ".join(map(_unbroken, terms))


def _learning_rates(training: TrainingOptions) -> str:
    rates = f"learning rate {_power(training.encoder_learning_rate)}"
    if training.head_learning_rate == training.encoder_learning_rate:
        return rates
    return f"{rates}, heads {_power(training.head_learning_rate)}"


def _box(title: str, *lines: str | bool | None) -> Box:
    """A box without the lines that are empty or false."""
    return Box(title, tuple(line for line in lines if isinstance(line, str) and line))


def _only(what: str, values: Sequence[str] | None) -> str | None:
    return None if values is None else f"{what}: {', '.join(values)}"


def _years(first: int | None, last: int | None) -> str | None:
    if first is None:
        return None if last is None else f"filed until {last}"
    return f"filed since {first}" if last is None else f"filed {first} to {last}"


def _probability(relation: str, bound: float) -> str:
    return _unbroken(f"p {relation} {bound:g}")


def _unbroken(text: str) -> str:
    """Text that is never broken into lines at a blank."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def _power(value: float) -> str:
    """3e-05 as 3e-5, and 0.0003 as 3e-4 beside it."""
    mantissa, exponent = f"{value:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def _precision(name: str) -> str:
    return "as the hardware allows" if name == "auto" else name.upper()
