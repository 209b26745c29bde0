"""The report: it holds the numbers of its files, asks nothing of a network, and is used by mouse, keys and on paper."""

import json
import re
import shutil
from html.parser import HTMLParser

import polars as pl
import pytest
from playwright.sync_api import expect
from reported import INPUTS, STRANGE

from chromium import needs_chromium, opened
from ipcascade.cli import main
from ipcascade.core import names
from ipcascade.core.files import write_json
from support import config_file


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
            self._rows = self.tables.setdefault(dict(attributes).get("id", "").removeprefix("table-"), [])
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


def report(reported, page, *words, **sections):
    config = config_file(reported, evaluation={"bootstrap": 20}, **INPUTS | sections)
    return main([
        "report", "--results", str(reported / "results"), "--benchmarks", str(reported / "benchmarks"),
        "--report", str(page), "--config", str(config), *words,
    ])  # fmt: skip


@pytest.fixture(scope="module")
def page(reported, tmp_path_factory):
    """The page alone, in another folder: nothing of it may come from beside it."""
    written = tmp_path_factory.mktemp("page") / "index.html"
    assert report(reported, written) == 0
    return written


def test_a_row_per_label_has_the_numbers_of_the_metrics(page, reported):
    metrics = json.loads((reported / "results/metrics/test.json").read_text())
    header, *rows = read(page).tables["per-label"]
    place = {heading: position for position, heading in enumerate(header)}
    shown = {(row[place["Level"]], row[place["Label"]]): row for row in rows}
    assert len(shown) == len(rows) == len(metrics["per_label"]) == 140
    trained = pl.read_csv(reported / "results/analysis/by_frequency.csv")
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


def test_measures_have_their_intervals_and_stand_under_their_level_and_split(page, reported):
    of = {split: json.loads((reported / f"results/metrics/{split}.json").read_text()) for split in names.SCORED_SPLITS}
    header, *rows = read(page).tables["measures"]
    recall = dict(zip(header, next(row for row in rows if row[0] == "Recall micro"), strict=True))
    for level in ("section", "class"):
        for split, metrics in of.items():
            low, high = metrics["confidence_intervals"][f"{level}.recall_micro"]
            value = metrics["measures"][level]["recall_micro"]
            assert recall[f"{level.capitalize()}, {split}"] == f"{value:.4f} [{low:.4f}, {high:.4f}]"


def test_funnel_audit_and_times_are_shown_as_they_are(page):
    tables, text = read(page).tables, page.read_text()
    assert tables["funnel"][1:4] == [
        ["tls201_appln", "–", "0", "–", "1,234", "applications"],
        ["sample", "corpus.documents", "1,034", "83.8%", "200", "documents"],
        ["symbols", "–", "0", "–", "3,000", "symbols"],
    ]
    splits = {row[0]: row[1:] for row in tables["splits"]}
    assert splits["Share less the share asked for"] == ["-0.00 points"] * 3
    assert splits["Classes missing"] == ["2: F02, H01"] * 3 and "First filed" not in splits
    assert tables["drift"][1] == ["section", "val", "0.0123", "0.0456", "1", "3.0"]
    assert tables["times"][1:] == [["corpus", "2.0 h", "3.0 GiB", "–"]]
    assert "Some families or texts are in several splits" in text and "the delivery has no RowCount.txt" in text


def test_new_texts_and_their_matrix(page, reported):
    tables = read(page).tables
    predicted = pl.read_parquet(reported / "results/predictions/new.parquet")
    without = (predicted["class"].list.len() == 0).mean()
    row = tables["predictions"][1]
    assert row[:2] == ["new", "3"] and row[3] == f"{without:.1%}"
    assert row[4] == f"{predicted['confidence'].median():.4f}" and row[-1] == str((~predicted["classifiable"]).sum())
    long = pl.read_parquet(reported / "results/matrices/funders.parquet").filter(funder="North")
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
    assert len(images) == 7
    for image in images:
        assert image["src"].startswith("data:image/svg+xml;base64,") and len(image["alt"]) > 40


def test_the_page_tells_nothing_of_the_machine(page, reported, two_levels):
    text = page.read_text()
    for path in (str(reported), str(two_levels.folder), "/home/somebody"):
        assert path not in text


def test_the_same_results_give_the_same_bytes(page, reported, tmp_path):
    assert report(reported, tmp_path / "again.html") == 0
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()


def test_a_paper_gets_every_measure_and_caption(reported, tmp_path):
    results = reported / "results"
    words = {"funnel": "corpus/funnel.json", "audit": "splits/audit.json", "tokens": "tokens/tokens.json",
             "val": "metrics/val.json", "test": "metrics/test.json"}  # fmt: skip
    given = [word for name, path in words.items() for word in (f"--{name}", str(results / path))]
    written = ["--numbers", str(tmp_path / "numbers.tex"), "--captions", str(tmp_path / "captions.tex")]
    write_json(tmp_path / "test.json", compared(reported))
    config = ["--config", str(config_file(reported, **INPUTS))]
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
    assert captions.count("newcommand") == 8 and "captionMatrix" in captions
    write_json(tmp_path / "test.json", compared(reported, shift=-1e-9))
    assert main(["paper", *given, *written, "--comparison", str(tmp_path / "test.json"), *config]) == 0
    assert "runWorse" not in (tmp_path / "numbers.tex").read_text()


def test_changed_settings_are_listed(reported, tmp_path):
    assert report(reported, tmp_path / "page.html", seed=7, training={"epochs": 9}) == 0
    settings = {row[0]: row[1:] for row in read(tmp_path / "page.html").tables["settings"]}
    assert settings["seed"] == ["7", "42"] and settings["training.epochs"][0] == "9"
    assert "prediction.inputs" not in settings and "splits.train" not in settings


def compared(reported, shift=0.0):
    """A comparison of the main run, and of one that is worse, with the measures of the report, or others."""
    measures = json.loads((reported / "results/metrics/test.json").read_text())["measures"]
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


def test_a_comparison_is_shown_where_it_is_of_these_results(reported, tmp_path):
    write_json(tmp_path / "test.json", compared(reported))
    assert report(reported, tmp_path / "page.html", "--comparison", str(tmp_path / "test.json")) == 0
    tables = read(tmp_path / "page.html").tables
    assert [row[0] for row in tables["runs-measures"]] == ["Run", "main", "worse"]
    assert tables["runs-measures"][1][-2:] == ["2 min", "–"]
    assert tables["runs-differences"][1][:2] == ["worse", "-0.0100"]


def test_a_comparison_of_other_results_is_named_and_not_shown(reported, tmp_path):
    write_json(tmp_path / "test.json", compared(reported, shift=-1e-9))
    assert report(reported, tmp_path / "page.html", "--comparison", str(tmp_path / "test.json")) == 0
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
def test_a_damaged_or_missing_file_is_one_sentence(reported, tmp_path, capsys, name, content, sentence):
    shutil.copytree(reported, tmp_path / "copy")
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
        table = shown.page.locator("#table-per-label table")
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
        table = shown.page.locator("#table-per-label table")
        table.locator("thead th", has_text=re.compile("^Average precision$")).click()
        texts = table.locator("tbody tr td:nth-child(10)").all_inner_texts()
        known = [float(text) for text in texts if text != "–"]
        assert known == sorted(known) and texts[: texts.count("–")] == ["–"] * texts.count("–") != []


@needs_chromium
def test_tables_can_be_searched_and_filtered(page):
    with opened(page) as shown:
        labels = shown.page.locator("#table-per-label")
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
        region = shown.page.locator("#table-per-label .scroll")
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
