"""The card of a released model: what it is, how good it is on test, what it was made of, in the format of the hub."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ipcascade.core.names import SPLITS
from ipcascade.corpus.options import CorpusOptions
from ipcascade.reporting.options import ReleaseOptions
from ipcascade.reporting.words import capitalised, count, level_name, listed, plural
from ipcascade.sources.options import SourceOptions
from ipcascade.splits.options import SplitOptions

SOURCES = {
    "patstat_bulk": "PATSTAT Global",
    "patstat_sql": "PATSTAT Global (in a database)",
    "patentsview": "PatentsView (USPTO, CC BY 4.0)",
    "table": "a table of texts with labels",
    "demo": "a synthetic delivery, so its predictions mean nothing",
}
EVIDENCE = {
    "network": "a fine-tuned encoder",
    "linear": "a linear model",
    "neighbours": "the labels of the nearest training documents",
}
SPLIT_BY = {"labels": "stratified by labels", "year": "by year of first filing", "office": "by office of first filing"}


@dataclass(frozen=True)
class Facts:
    """What a card says of a run beside its config.

    metrics: content of metrics/test.json; encoder: of encoder.json; splits: documents per split; labels: per level,
    from the top down, the labels of the tree; sources: of evidence; max_length: tokens of a text that are read.
    """

    metrics: Mapping[str, Any]
    encoder: Mapping[str, Any]
    splits: Mapping[str, int]
    labels: Mapping[str, int]
    sources: tuple[str, ...]
    max_length: int


def release_card(
    facts: Facts, release: ReleaseOptions, source: SourceOptions, corpus: CorpusOptions, splits: SplitOptions
) -> str:
    """Markdown with the hub's front matter, which carries the measures on test as evaluation results."""
    from huggingface_hub import ModelCard

    levels = list(facts.labels)
    what = listed([count(number, level_name(level)) for level, number in facts.labels.items()])
    below, text = level_name(levels[-1]), listed([level_name(field) for field in corpus.text])
    body = f"""
# {release.name}

Labels technical texts with {what}: calibrated probabilities from
{listed([EVIDENCE[name] for name in facts.sources])}, and label sets by thresholds fitted on validation.
{_made(release)}

## Use

```python
from ipcascade import load

for labels in load("FOLDER").predict(["A pump with a ceramic seal."]).labels:
    print(labels)
```

`ipcascade predict --model FOLDER --texts texts.csv --predictions labels.parquet` labels a table of any size, and
`ipcascade classify --model FOLDER "A pump with a ceramic seal."` one text. `transformers` loads the encoder alone
(`AutoModel.from_pretrained`); its pipelines have no class for these heads.

## Results on test

{count(facts.metrics["documents"], "document")} that no choice was made on: no weight, epoch or threshold. In brackets
the {100 * facts.metrics["confidence"]:g}% interval over bootstrap samples of families.

{_results(facts.metrics, levels)}

## Intended use and limits

For statistics over many texts: shares of technologies in a portfolio, a programme, a region. A single label is wrong as
often as precision says. The model was trained on the {text} of the documents below, in the language
{corpus.language!r}; other kinds of text, such as project descriptions where these are patents, are outside its domain,
and the measures above do not hold there. Rare {plural(below)} are found poorly. Of a text longer than
{facts.max_length:,} tokens the end is not read.

## Data

{_data(facts, release, source, corpus, splits)}

## Licence

{_licence(release)}

## Citation

{release.citation or "Cite ipcascade (CITATION.cff) and the source of the data."}
"""
    return str(ModelCard(f"---\n{_front_matter(facts, release)}\n---\n{body}"))


def _made(release: ReleaseOptions) -> str:
    return f"Made{f' by {listed(release.authors)}' if release.authors else ''} with ipcascade."


def _results(metrics: Mapping[str, Any], levels: list[str]) -> str:
    measures, intervals = metrics["measures"], metrics["confidence_intervals"]
    columns = {
        "F1 micro": "f1_micro", "F1 macro": "f1_macro", "precision": "precision_micro", "recall": "recall_micro",
        "average precision": "average_precision_micro", "calibration error": "calibration_error",
    }  # fmt: skip
    rows = [f"| level | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    for level in levels:
        cells = [_cell(measures[level].get(key), intervals.get(f"{level}.{key}")) for key in columns.values()]
        rows.append(f"| {level_name(level)} | {' | '.join(cells)} |")
    key = "hierarchical.f1_micro"
    hierarchical = _cell(measures["hierarchical"]["f1_micro"], intervals.get(key))
    return "\n".join([*rows, "", f"Hierarchical F1 (micro), over all levels: {hierarchical}."])


def _cell(value: float | None, interval: list[float] | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" + (f" ({interval[0]:.4f}–{interval[1]:.4f})" if interval else "")


def _data(
    facts: Facts, release: ReleaseOptions, source: SourceOptions, corpus: CorpusOptions, splits: SplitOptions
) -> str:
    sizes = listed([f"{facts.splits[name]:,} for {name}" for name in SPLITS])
    filters = {
        "rights": None if source.lacks_filter("ipr_types") else ", ".join(corpus.ipr_types),
        "application kinds": corpus.kinds and ", ".join(corpus.kinds),
        "offices": corpus.offices and ", ".join(corpus.offices),
        "first filed": _years(corpus.first_year, corpus.last_year),
        "IPC symbols": corpus.ipc_values and f"of value {', '.join(corpus.ipc_values)}",
        "labels": None if corpus.least_weight is None else f"of weight {corpus.least_weight:g} or more",
        "abstract": f"in {corpus.language!r}, at least {count(corpus.minimum_words, 'word')}",
        "sample": "all documents" if corpus.documents is None else f"{corpus.documents:,} documents drawn at random",
        "splits": f"{SPLIT_BY[splits.by]}; a family is in one split: {sizes}",
    }
    rows = [f"- {name}: {value}" for name, value in filters.items() if value]
    encoder = facts.encoder["name"] + (f" at {facts.encoder['revision']}" if facts.encoder["revision"] else "")
    return "\n".join(
        [
            f"- source: {SOURCES[source.kind]}, edition {release.edition or 'not stated'}",
            *rows,
            f"- encoder: {encoder} (weights SHA-256 `{facts.encoder['sha256']}`)",
            "",
            "The folder holds no text of these documents. Where neighbours are a source, it holds their ids, labels",
            "and vectors. `run_config.yaml` has all options that were run, without paths; `metrics.json` all measures.",
        ]
    )


def _years(first: int | None, last: int | None) -> str | None:
    if first is None:
        return None if last is None else f"until {last}"
    return f"since {first}" if last is None else f"{first} to {last}"


def _licence(release: ReleaseOptions) -> str:
    if release.licence is None:
        return "Not stated: ask whoever gave you the model. The licence of the data may limit what may be done with it."
    return f"{release.licence}. The licence of the data may limit what may be done with it."


def _front_matter(facts: Facts, release: ReleaseOptions) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    levels = list(facts.labels)
    named = [(level, key) for level in levels for key in ("f1_micro", "f1_macro")] + [("hierarchical", "f1_micro")]
    results = [
        EvalResult(
            task_type="text-classification",
            task_name="hierarchical multi-label text classification",
            dataset_type="patents",
            dataset_name="test split",
            dataset_split="test",
            metric_type="f1",
            metric_name=f"{capitalised(level_name(level))} F1 {key.removeprefix('f1_')}",
            metric_value=round(facts.metrics["measures"][level][key], 4),
        )
        for level, key in named
        if facts.metrics["measures"][level].get(key) is not None
    ]
    on_hub = facts.encoder["revision"] is not None and not facts.encoder["name"].startswith("package:")
    return ModelCardData(
        base_model=facts.encoder["name"] if on_hub else None,
        eval_results=results,
        library_name="ipcascade",
        license=release.licence,
        model_name=release.name,
        tags=["patents", "multi-label", "hierarchical"],
    ).to_yaml()
