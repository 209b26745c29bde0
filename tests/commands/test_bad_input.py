"""Bad input of many kinds: each gives one clear sentence, exit code 1, and nothing half-written."""

import re
import shutil
import zipfile
from pathlib import Path

import polars as pl
import pytest

from ipcascade.cli import main
from ipcascade.core.label_tree import IPC, LabelTree
from ipcascade.sources.demo.delivery import write_delivery
from support import config_file, corpus_frame, write_corpus

ABSTRACTS = "tls203_appln_abstr_part01.zip"


@pytest.fixture(scope="module")
def whole_delivery(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("delivery")
    write_delivery(folder, 300, 1, LabelTree.read(IPC))
    return folder


@pytest.fixture
def delivery(whole_delivery, tmp_path) -> Path:
    """A delivery that the test may break."""
    return Path(shutil.copytree(whole_delivery, tmp_path / "delivery"))


def edit_csv(archive: Path, edit) -> None:
    """Rewrite the one CSV in a zip, as bytes."""
    with zipfile.ZipFile(archive) as old:
        (name,) = old.namelist()
        content = old.read(name)
    after = edit(content)
    assert after != content
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr(name, after)


def cut_off(folder: Path) -> None:
    path = folder / ABSTRACTS
    path.write_bytes(path.read_bytes()[:-5000])


def without_table(folder: Path) -> None:
    for path in folder.glob("tls209*"):
        path.unlink()


def wrong_column(folder: Path) -> None:
    edit_csv(folder / ABSTRACTS, lambda text: text.replace(b"appln_abstract_lg", b"language", 1))


def short_row(folder: Path) -> None:
    def edit(text):
        rows = text.split(b"\r\n")
        rows[3] = rows[3].rsplit(b",", 2)[0]
        return b"\r\n".join(rows)

    edit_csv(folder / "tls209_appln_ipc_part01.zip", edit)


def invalid_utf8(folder: Path) -> None:
    def edit(text):
        rows = text.split(b"\r\n")
        rows[2] = rows[2].replace(b"e", b"\xe9", 1) if rows[2].count(b'"') else rows[2]
        return b"\r\n".join(rows)

    edit_csv(folder / ABSTRACTS, edit)


def cut_csv(folder: Path) -> None:
    edit_csv(folder / ABSTRACTS, lambda text: text[:-20])


def undoubled_quotes(folder: Path) -> None:
    def edit(text):
        rows = text.split(b"\r\n")
        rows[3] = rows[3][:-9] + b'"smart" ' + rows[3][-9:]
        return b"\r\n".join(rows)

    edit_csv(folder / ABSTRACTS, edit)


def year_of_eight_digits(folder: Path) -> None:
    def edit(text):
        return re.sub(rb",((?:19|20)[0-9]{2}),", rb",\g<1>0203,", text, count=1)

    edit_csv(folder / "tls201_appln_part01.zip", edit)


def other_row_count(folder: Path) -> None:
    path = folder / "RowCount.txt"
    text = path.read_text(encoding="utf-8-sig")
    path.write_text(text.replace("tls209_appln_ipc count: ", "tls209_appln_ipc count: 9"), encoding="utf-8")


@pytest.mark.parametrize(
    ("breaks", "options", "parts"),
    [
        (cut_off, {}, [ABSTRACTS, "cut off"]),
        (without_table, {}, ["tls209", "delivery"]),
        (wrong_column, {}, [ABSTRACTS, "appln_abstract_lg"]),
        (short_row, {}, ["tls209_appln_ipc_part01.zip", "line 4"]),
        (invalid_utf8, {}, [ABSTRACTS, "UTF-8", "line 3"]),
        (cut_csv, {}, [ABSTRACTS, "line ", "never closed"]),
        (undoubled_quotes, {}, [ABSTRACTS, "line 4", "a quote inside a value must be doubled"]),
        (year_of_eight_digits, {}, ["tls201_appln_part01.zip", "line 3", "appln_filing_year", "not a year"]),
        (other_row_count, {}, ["tls209", "RowCount.txt"]),
        (lambda folder: None, {"corpus": {"language": "xx"}}, ["corpus.language", "xx"]),
        (lambda folder: None, {"corpus": {"langauge": "xx"}}, ["unknown key 'corpus.langauge'", "'corpus.language'"]),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_bad_delivery_or_options(delivery, tmp_path, capsys, breaks, options, parts):
    breaks(delivery)
    out = tmp_path / "out"
    code = main(
        ["corpus", "--source", str(delivery), "--config", str(config_file(tmp_path, **options)),
         "--corpus", str(out / "corpus.parquet"), "--funnel", str(out / "funnel.json")]
    )  # fmt: skip
    assert_one_sentence("corpus", code, capsys.readouterr().err, parts)
    assert not out.exists() or not list(out.iterdir())


def test_a_class_with_one_document(tmp_path, capsys, tree):
    corpus = corpus_frame(60)
    lonely = corpus.head(1).with_columns(
        document_id=pl.lit("1"), group_id=pl.lit("lonely"), text=pl.lit("a kiln of its own"),
        section=pl.lit(["F"]), **{"class": pl.lit(["F27"])},
    )  # fmt: skip
    write_corpus(tmp_path / "corpus.parquet", pl.concat([corpus, lonely]), tree)
    arguments = [
        "splits", "--corpus", str(tmp_path / "corpus.parquet"),
        "--splits", str(tmp_path / "splits.parquet"), "--audit", str(tmp_path / "audit.json"),
    ]  # fmt: skip
    assert_one_sentence("splits", main(arguments), capsys.readouterr().err, ["F27", "splits.rare_labels", "keep"])
    assert not (tmp_path / "splits.parquet").exists()
    assert not (tmp_path / "audit.json").exists()
    assert main([*arguments, "--config", str(config_file(tmp_path, splits={"rare_labels": "keep"}))]) == 0


@pytest.mark.parametrize(
    ("table", "parts"),
    [
        ("code\tparent\tlevel\nA\t\tsection\n", ["tree.tsv, line 1", "'title'"]),
        ("code\tparent\tlevel\ttitle\nA\t\tsection\tX\nA01\tB\tclass\tY\n", ["tree.tsv, line 3", "'A01'", "'B'"]),
        ("code\tparent\tlevel\ttitle\nA\t\tfield\tX\n", ["corpus.levels", "'section'", "field"]),
    ],
    ids=["no titles", "unknown parent", "other levels"],
)
def test_a_label_tree_that_is_not_one(delivery, tmp_path, capsys, table, parts):
    (tmp_path / "tree.tsv").write_text(table)
    out = tmp_path / "out"
    code = main(
        ["corpus", "--source", str(delivery), "--label-tree", str(tmp_path / "tree.tsv"),
         "--corpus", str(out / "corpus.parquet"), "--funnel", str(out / "funnel.json")]
    )  # fmt: skip
    assert_one_sentence("corpus", code, capsys.readouterr().err, parts)
    assert not out.exists()


def test_a_home_folder_that_there_is_not(tmp_path, capsys):
    place = "~nobody-is-called-so/here"
    config = config_file(tmp_path, encoder={"name": place}, corpus={"label_tree": place})
    for command, key in (("encoder", "encoder.name"), ("demo_delivery", "corpus.label_tree")):
        code = main([command, "--folder", str(tmp_path / "out"), "--config", str(config)])
        assert_one_sentence(
            command, code, capsys.readouterr().err, [f"{key} is {place!r}", "not the home folder of a known user"]
        )
    assert not (tmp_path / "out").exists()


def test_an_encoder_folder_that_is_not_one(tmp_path, capsys):
    (tmp_path / "not_an_encoder").mkdir()
    config = config_file(tmp_path, encoder={"name": str(tmp_path / "not_an_encoder")})
    code = main(["encoder", "--folder", str(tmp_path / "encoder"), "--config", str(config)])
    assert_one_sentence("encoder", code, capsys.readouterr().err, ["not_an_encoder", "no config.json"])
    assert not (tmp_path / "encoder").exists()


def assert_one_sentence(command: str, code: int, err: str, parts: list[str]) -> None:
    assert code == 1
    assert "Traceback" not in err
    sentences = [line for line in err.splitlines() if line.startswith(f"ipcascade {command}: ")]
    assert len(sentences) == 1, err
    assert err.rstrip().endswith(sentences[0]), "nothing comes after it"
    for part in parts:
        assert part in sentences[0], sentences[0]
