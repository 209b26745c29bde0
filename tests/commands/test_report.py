"""The report: it holds the numbers of its files, asks nothing of a network, and is used by mouse, keys and on paper."""

import json
import re
import shutil
from html.parser import HTMLParser

import polars as pl
import pytest
from chain import predict_arguments
from playwright.sync_api import expect

from chromium import needs_chromium, opened
from ipcascade.cli import main
from ipcascade.core import names
from ipcascade.core.files import write_json
from support import config_file

STRANGE = '<img src="https://example.org/x.png" onerror="alert(1)"> & </script>'
INPUTS = {
    "prediction": {"inputs": {"new": "/home/somebody/new.csv"}},
    "matrices": {"funders": {"input": "new", "by": ["funder"]}},
}
FUNNEL = {
    "steps": [
        {"step": "tls201_appln", "key": None, "removed": 0, "left": 1234, "unit": "applications"},
        {"step": "sample", "key": "corpus.documents", "removed": 1034, "left": 200, "unit": "documents"},
    ],
    "groups": {"groups": 200, "of_several_documents": 0, "documents_in_them": 0, "largest": 1},
    "labels": {
        "section": {"present": 4, "mean_per_document": 1.4}, "class": {"present": 5, "mean_per_document": 1.5},
    },
    "notes": ["the delivery has no RowCount.txt"], "symbols": {}, "tables": {},
}  # fmt: skip
OF_SPLIT = {
    "documents": 100, "groups": 100, "share": 0.5, "size_error": -0.00004, "labels_present": {"section": 4, "class": 5},
    "mean_labels_per_document": {"section": 1.4, "class": 1.5},
}  # fmt: skip
DRIFT = {
    "total_variation": 0.0123,
    "total_variation_by_chance": 0.0456,
    "moved_labels": [],
    "untrained_labels": {"C07": 3},
}
AUDIT = {
    "splits": dict.fromkeys(names.SPLITS, OF_SPLIT),
    "label_distribution_distance": {"section": 0.001, "class": 0.002}, "label_pair_distribution_distance": 0.003,
    "missing_labels": {split: {"section": [], "class": ["F02", "H01"]} for split in names.SPLITS},
    "drift": {level: dict.fromkeys(names.SCORED_SPLITS, DRIFT) for level in ("section", "class")},
    "groups_in_several_splits": 0, "texts_in_several_splits": 2,
}  # fmt: skip


class Tables(HTMLParser):
    """The tables of a page by the id of their figure, as rows of texts; the alternatives and sources of its images."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.images: list[dict[str, str]] = []
        self._rows: list[list[str]] = []
        self._in_cell = False

    def handle_starttag(self, tag, attributes):
        if tag == "figure":
            self._rows = self.tables.setdefault(dict(attributes).get("id", ""), [])
        elif tag == "img":
            self.images.append(dict(attributes))
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data):
        if self._in_cell:
            self._rows[-1][-1] += data


def read(page):
    tables = Tables()
    tables.feed(page.read_text())
    return tables


@pytest.fixture(scope="module")
def folder(two_levels, tmp_path_factory):
    """A results folder as the workflow lays it out, with predictions and a matrix of texts with a strange funder."""
    root = tmp_path_factory.mktemp("reported")
    results, made, documents = root / "results", two_levels.path, two_levels.files.documents()
    write_json(results / "corpus/funnel.json", FUNNEL)
    write_json(results / "splits/audit.json", AUDIT)
    for folder, source in {
        "tokens": two_levels.files.tokens,
        "model": made("model"),
        "metrics": made("metrics"),
    }.items():
        shutil.copytree(source, results / folder)
    (results / "training").mkdir()
    for table in ("history", "epochs"):
        shutil.copy(made(f"{table}.parquet"), results / f"training/{table}.parquet")
    config = ["--config", str(config_file(root, evaluation={"bootstrap": 20}, figures={"resolution": 72}, **INPUTS))]

    def run(command, *words):
        assert main([command, *map(str, words), *config]) == 0, command

    scores = {split: made(f"{split}.parquet") for split in names.SCORED_SPLITS}
    fitted = ["--thresholds", made("thresholds.json")]
    run(
        "metrics",
        *documents,
        "--split",
        "val",
        "--scores",
        scores["val"],
        *fitted,
        "--metrics",
        results / "metrics/val.json",
    )
    analysis = results / "analysis"
    run("analysis", *documents, "--val", scores["val"], "--test", scores["test"], *fitted, "--analysis", analysis)
    evidence = ["--linear", made("linear"), "--neighbours", made("neighbours"), "--network", made("network")]
    run("source_effects", *documents, *evidence, "--scores", scores["test"], *fitted, "--analysis", analysis)
    figures, of = results / "figures", documents[:2]
    run("figure1", *of, "--stem", figures / "figure1")
    run("figure2", *documents, "--stem", figures / "figure2")
    run("figure3", "--history", results / "training/history.parquet", "--stem", figures / "figure3")
    tables = {
        "figure4": [names.RELIABILITY, names.CALIBRATION, names.RISK_COVERAGE, names.LEVELS],
        "figure5": [names.BY_FREQUENCY, names.CONFUSION, names.BY_GROUP],
    }
    for figure, read_from in tables.items():
        words = [word for name in read_from for word in (f"--{name[:-4].replace('_', '-')}", analysis / name)]
        run(figure, *words, "--stem", figures / figure)
    texts = pl.DataFrame(
        {
            "document_id": ["1", "2", "3"], "text": ["an antibody", "a circuit", "an acid"],
            "funder": [STRANGE, "North", "North"],
        }
    )  # fmt: skip
    texts.write_csv(root / "new.csv")
    predictions = results / "predictions/new.parquet"
    run(*predict_arguments(two_levels, root / "new.csv", predictions))
    run("prediction_facts", "--predictions", predictions, "--facts", results / "predictions/new.json")
    of_matrix = ["--name", "funders"]
    run(
        "matrix",
        *of_matrix,
        "--predictions",
        predictions,
        "--model",
        made("model"),
        "--stem",
        results / "matrices/funders",
    )
    matrix = ["--matrix", results / "matrices/funders.parquet", "--stem", figures / "matrix_funders"]
    run("matrix_figure", *of_matrix, *matrix)
    (root / "benchmarks").mkdir()
    (root / "benchmarks/corpus.jsonl").write_text('{"s": 7200.4, "max_rss": 3072.0}\n')
    return root


def report(folder, page, *words, **sections):
    config = config_file(folder, evaluation={"bootstrap": 20}, **INPUTS | sections)
    return main([
        "report", "--results", str(folder / "results"), "--benchmarks", str(folder / "benchmarks"),
        "--report", str(page), "--config", str(config), *words,
    ])  # fmt: skip


@pytest.fixture(scope="module")
def page(folder, tmp_path_factory):
    """The page alone, in another folder: nothing of it may come from beside it."""
    written = tmp_path_factory.mktemp("page") / "index.html"
    assert report(folder, written) == 0
    return written


def test_a_row_per_label_has_the_numbers_of_the_metrics(page, folder):
    metrics = json.loads((folder / "results/metrics/test.json").read_text())
    header, *rows = read(page).tables["per-label"]
    place = {heading: position for position, heading in enumerate(header)}
    shown = {(row[place["Level"]], row[place["Label"]]): row for row in rows}
    assert len(shown) == len(rows) == len(metrics["per_label"]) == 140
    trained = pl.read_csv(folder / "results/analysis/by_frequency.csv")
    documents = dict(zip(trained["code"], trained["train_documents"], strict=True))
    for label in metrics["per_label"]:
        row = shown[label["level"], label["code"]]
        assert row[place["Test documents"]] == str(label["support"])
        assert row[place["F1"]] == f"{label['f1']:.4f}" and row[place["Threshold"]] == f"{label['threshold']:.4f}"
        average = label["average_precision"]
        assert row[place["Average precision"]] == ("–" if average is None else f"{average:.4f}")
        assert row[place["Training documents"]] == (
            str(documents[label["code"]]) if label["code"] in documents else "–"
        )


def test_measures_have_their_intervals_and_stand_under_their_level_and_split(page, folder):
    of = {split: json.loads((folder / f"results/metrics/{split}.json").read_text()) for split in names.SCORED_SPLITS}
    header, *rows = read(page).tables["measures"]
    recall = dict(zip(header, next(row for row in rows if row[0] == "Recall micro"), strict=True))
    for level in ("section", "class"):
        for split, metrics in of.items():
            low, high = metrics["confidence_intervals"][f"{level}.recall_micro"]
            value = metrics["measures"][level]["recall_micro"]
            assert recall[f"{level.capitalize()}, {split}"] == f"{value:.4f} [{low:.4f}, {high:.4f}]"


def test_funnel_audit_and_times_are_shown_as_they_are(page):
    tables, text = read(page).tables, page.read_text()
    assert tables["funnel"][1:] == [
        ["tls201_appln", "–", "0", "1,234", "applications"],
        ["sample", "corpus.documents", "1,034", "200", "documents"],
    ]
    splits = {row[0]: row[1:] for row in tables["splits"]}
    assert splits["Share less the share asked for"] == ["-0.00 points"] * 3
    assert splits["Classes missing"] == ["2: F02, H01"] * 3 and "First filed" not in splits
    assert tables["drift"][1] == ["section", "val", "0.0123", "0.0456", "1", "3.0"]
    assert tables["times"][1:] == [["corpus", "2.0 h", "3.0 GiB", "–"]]
    assert "Some families or texts are in several splits" in text and "the delivery has no RowCount.txt" in text


def test_new_texts_and_their_matrix(page, folder):
    tables = read(page).tables
    predicted = pl.read_parquet(folder / "results/predictions/new.parquet")
    without = (predicted["class"].list.len() == 0).mean()
    row = tables["predictions"][1]
    assert row[:2] == ["new", "3"] and row[3] == f"{without:.1%}"
    assert row[4] == f"{predicted['confidence'].median():.4f}" and row[-1] == str((~predicted["classifiable"]).sum())
    long = pl.read_parquet(folder / "results/matrices/funders.parquet").filter(funder="North")
    largest = long.sort("expected", descending=True).row(0, named=True)
    header, *rows = tables["matrix-funders"]
    north = dict(zip(header, next(row for row in rows if row[0] == "North"), strict=True))
    assert north["Weight"] == "2"
    assert north[largest["technology"]] == f"{largest['expected'] / long['expected'].sum():.1%}"


def test_what_comes_from_data_is_text(page):
    assert [row[0] for row in read(page).tables["matrix-funders"]][1:] in ([STRANGE, "North"], ["North", STRANGE])
    assert 'example.org/x.png" onerror' not in page.read_text()


def test_every_picture_is_inside_and_has_a_text_alternative(page):
    images = read(page).images
    assert len(images) == 6
    for image in images:
        assert image["src"].startswith("data:image/svg+xml;base64,") and len(image["alt"]) > 40


def test_the_page_tells_nothing_of_the_machine(page, folder, two_levels):
    text = page.read_text()
    for path in (str(folder), str(two_levels.folder), "/home/somebody"):
        assert path not in text


def test_the_same_results_give_the_same_bytes(page, folder, tmp_path):
    assert report(folder, tmp_path / "again.html") == 0
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()


def test_a_paper_gets_every_measure_and_caption(folder, tmp_path):
    results = folder / "results"
    words = {"funnel": "corpus/funnel.json", "audit": "splits/audit.json", "tokens": "tokens/tokens.json",
             "val": "metrics/val.json", "test": "metrics/test.json"}  # fmt: skip
    given = [word for name, path in words.items() for word in (f"--{name}", str(results / path))]
    written = ["--numbers", str(tmp_path / "numbers.tex"), "--captions", str(tmp_path / "captions.tex")]
    write_json(tmp_path / "test.json", compared(folder))
    config = ["--config", str(config_file(folder, **INPUTS))]
    assert main(["paper", *given, *written, "--comparison", str(tmp_path / "test.json"), *config]) == 0
    text = (tmp_path / "numbers.tex").read_text()
    numbers = dict(re.findall(r"^\\newcommand\{\\([A-Za-z]+)\}\{(.*)\}$", text, flags=re.MULTILINE))
    for split in names.SCORED_SPLITS:
        measures = json.loads((results / f"metrics/{split}.json").read_text())["measures"]
        values = {key: value for key, value in measures["class"].items() if key.startswith("recall")}
        assert len(values) == 5
        for key, value in values.items():
            words = "".join(word.capitalize() for word in key.split("_"))
            assert numbers[f"{split}Class{words}"] == f"{value:.4f}"
    assert numbers["dataDocuments"] == "200" and numbers["runWorseClassFOneMicroDifference"] == "-0.0100"
    assert "/home/somebody" not in text
    captions = (tmp_path / "captions.tex").read_text()
    assert captions.count("newcommand") == 7 and "captionMatrix" in captions
    write_json(tmp_path / "test.json", compared(folder, shift=-1e-9))
    assert main(["paper", *given, *written, "--comparison", str(tmp_path / "test.json"), *config]) == 0
    assert "runWorse" not in (tmp_path / "numbers.tex").read_text()


def test_changed_settings_are_listed(folder, tmp_path):
    assert report(folder, tmp_path / "page.html", seed=7, training={"epochs": 9}) == 0
    settings = {row[0]: row[1:] for row in read(tmp_path / "page.html").tables["settings"]}
    assert settings["seed"] == ["7", "42"] and settings["training.epochs"][0] == "9"
    assert "prediction.inputs" not in settings and "splits.train" not in settings


def compared(folder, shift=0.0):
    """A comparison of the main run, and of one that is worse, with the measures of the report, or others."""
    measures = json.loads((folder / "results/metrics/test.json").read_text())["measures"]
    wanted = ["section.f1_micro", "class.f1_micro", "class.f1_macro_supported", "hierarchical.f1_micro"]
    values = {name: measures[name.partition(".")[0]][name.partition(".")[2]] + shift for name in wanted}
    row = {
        "confidence_intervals": {}, "replicates": {}, "deviations": {}, "difference_intervals": {}, "memory_mib": None,
        "gpu_memory_mib": None,
    }  # fmt: skip
    worse = {name: value - 0.01 for name, value in values.items()}
    return {
        "split": "test", "documents": measures["documents"],
        "levels": ["section", "class"], "reference": "main", "confidence": 0.95, "bootstrap_samples": 0, "runs": {},
        "rows": [
            {"name": "main", "measures": values, "differences": {}, "seconds": 90.0, **row},
            {"name": "worse", "measures": worse, "differences": dict.fromkeys(wanted, -0.01), "seconds": None, **row},
        ],
    }  # fmt: skip


def test_a_comparison_is_shown_where_it_is_of_these_results(folder, tmp_path):
    write_json(tmp_path / "test.json", compared(folder))
    assert report(folder, tmp_path / "page.html", "--comparison", str(tmp_path / "test.json")) == 0
    tables = read(tmp_path / "page.html").tables
    assert [row[0] for row in tables["runs-measures"]] == ["Run", "main", "worse"]
    assert tables["runs-measures"][1][-2:] == ["2 min", "–"]
    assert tables["runs-differences"][1][:2] == ["worse", "-0.0100"]


def test_a_comparison_of_other_results_is_named_and_not_shown(folder, tmp_path):
    write_json(tmp_path / "test.json", compared(folder, shift=-1e-9))
    assert report(folder, tmp_path / "page.html", "--comparison", str(tmp_path / "test.json")) == 0
    assert "runs-measures" not in read(tmp_path / "page.html").tables
    assert "is of other results than those of this report" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("corpus/funnel.json", "{}", "funnel.json"),
        ("figures/figure4.svg", None, "figure4.svg does not exist"),
        ("analysis/confusion.csv", "level\n", "confusion.csv"),
        ("metrics/val.json", '{"schema_version": 1}', "val.json"),
    ],
)
def test_a_damaged_or_missing_file_is_one_sentence(folder, tmp_path, capsys, name, content, sentence):
    shutil.copytree(folder, tmp_path / "copy")
    path = tmp_path / "copy/results" / name
    path.unlink() if content is None else path.write_text(content)
    capsys.readouterr()
    assert report(tmp_path / "copy", tmp_path / "page.html") == 1
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1 and not (tmp_path / "page.html").exists()


@needs_chromium
def test_it_opens_without_a_network_and_without_errors(page):
    with opened(page) as shown:
        assert shown.asked == [page.as_uri()] and shown.said == []
        assert shown.page.locator("h2").count() == 10


@needs_chromium
def test_tables_sort_by_mouse_and_by_keyboard(page):
    with opened(page) as shown:
        table = shown.page.locator("#per-label table")
        heading = table.locator("thead th", has_text=re.compile("^Test documents$"))
        numbers = table.locator("tbody tr td:nth-child(5)")
        before = [int(text) for text in numbers.all_inner_texts()]
        heading.click()
        expect(heading).to_have_attribute("aria-sort", "ascending")
        assert [int(text) for text in numbers.all_inner_texts()] == sorted(before) != before
        heading.locator("[role=button]").press("Enter")
        expect(heading).to_have_attribute("aria-sort", "descending")
        assert [int(text) for text in numbers.all_inner_texts()] == sorted(before, reverse=True)


@needs_chromium
def test_numbers_sort_as_numbers_and_what_is_missing_comes_first(page):
    with opened(page) as shown:
        table = shown.page.locator("#per-label table")
        table.locator("thead th", has_text=re.compile("^Average precision$")).click()
        texts = table.locator("tbody tr td:nth-child(10)").all_inner_texts()
        known = [float(text) for text in texts if text != "–"]
        assert known == sorted(known) and texts[: texts.count("–")] == ["–"] * texts.count("–") != []


@needs_chromium
def test_tables_can_be_searched_and_filtered(page):
    with opened(page) as shown:
        labels = shown.page.locator("#per-label")
        labels.locator("select").select_option("section")
        expect(labels.locator("tbody tr")).to_have_count(8)
        search = labels.get_by_role("searchbox")
        search.focus()
        shown.page.keyboard.type("physics")
        expect(labels.locator("tbody tr")).to_have_count(1)
        expect(labels.locator("tbody")).to_contain_text("Physics")
        expect(labels.locator(".dt-info")).to_have_text("Rows: 1 of 140")
        search.fill("no such label")
        expect(labels.locator("tbody")).to_contain_text("No row has this.")


@needs_chromium
def test_it_fits_a_phone_and_follows_light_and_dark(page):
    colours = {}
    for scheme in ("light", "dark"):
        with opened(page, viewport={"width": 400, "height": 800}, color_scheme=scheme) as shown:
            assert shown.page.evaluate("document.documentElement.scrollWidth") <= 400
            of_body = shown.page.evaluate("getComputedStyle(document.body).backgroundColor")
            colours[scheme] = [int(part) for part in re.findall(r"\d+", of_body)]
            of_text = shown.page.evaluate("getComputedStyle(document.querySelector('td')).color")
            text = [int(part) for part in re.findall(r"\d+", of_text)[:3]]
            assert abs(sum(colours[scheme]) - sum(text)) > 400  # they can be told apart
    assert sum(colours["light"]) > 700 > 150 > sum(colours["dark"])


@needs_chromium
def test_on_paper_all_of_it_is_there_and_nothing_to_click(page):
    with opened(page) as shown:
        shown.page.emulate_media(media="print")
        assert shown.page.locator("nav").is_hidden() and shown.page.locator("select").first.is_hidden()
        region = shown.page.locator("#per-label .scroll")
        assert region.evaluate("element => element.scrollHeight <= element.clientHeight + 2")
        assert shown.page.pdf().startswith(b"%PDF")


@needs_chromium
def test_all_can_be_reached_and_named_without_a_mouse(page):
    with opened(page) as shown:
        shown.page.keyboard.press("Tab")
        assert shown.page.evaluate("document.activeElement.getAttribute('href')") == "#main"
        unnamed = shown.page.evaluate(
            "[...document.querySelectorAll('input, select')].filter(e => !e.labels.length && !e.ariaLabel).length"
        )
        assert unnamed == 0
