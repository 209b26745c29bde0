"""Strict reading of YAML: what it accepts is what PyYAML's safe loader reads; what YAML drops or guesses is refused."""

from pathlib import Path

import pytest
import yaml

from ipcascade.core.errors import UserError
from ipcascade.core.yaml_files import read_yaml


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "a: {b: [1, -2, 3.5, 1_000, true, no, ~, 2001-01-01, text, '010', \"NO\"]}\nc: 1e-4\nd: 0o10\ne: -0\n",
        "x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3, c: [*x]}\n",
        "x: &x {a: 1}\ny: &y {a: 2, b: 2}\nz: {<<: [*x, *y], c: 3}\n",
        "a: >\n  folded\n  text\nb: |\n  as\n  it is\n",
        "\ufeffa: 1\r\nb: ü\r\n",
        '{"a": {"b": [1, 2.5, null, false, "x"]}}',
    ],
)
def test_it_reads_what_the_safe_loader_reads(tmp_path, text):
    assert read_yaml(write(tmp_path, text)).content == yaml.safe_load(text)


def test_json_may_be_indented_with_tabs(tmp_path):
    assert read_yaml(write(tmp_path, '{\n\t"a": {\n\t\t"b": 1\n\t}\n}')).content == {"a": {"b": 1}}


def test_places_are_lines_and_words_as_written(tmp_path):
    file = read_yaml(write(tmp_path, "a: NO\nb:\n  - x\n  - 'y'\nc: {d: 1.50}\ne: &e {f: 1}\ng:\n  <<: *e\n"))
    found = {keys: (place.line, place.text, place.value) for keys, place in file.places.items()}
    assert found[("a",)] == (1, "NO", False)
    assert found[("b", 0)] == (3, "x", "x") and found[("b", 1)] == (4, None, "y")
    assert found[("c", "d")] == (5, "1.50", 1.5) and found[("c",)] == (5, None, {"d": 1.5})
    assert found[("g", "f")] == (6, "1", 1)
    assert file.places[("a",)].file.endswith("mine.yaml")


def test_files_are_named_as_seen_from_the_folder_of_the_run(tmp_path, monkeypatch):
    path = write(tmp_path, "a: 1\na: 2")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^mine\.yaml, line 2: "):
        read_yaml(path)
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    with pytest.raises(UserError, match=rf"^{tmp_path}/mine\.yaml, line 2: "):
        read_yaml(path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\nb: {c: 2}\na: 3", "line 3: the key 'a' is in line 1 already; keep one of them"),
        ("a:\n  b: {c: 1,\n   d: 2, c: 3}", "line 3: the key 'a.b.c' is in line 2 already"),
        ("- {a: 1, a: 2}", "line 1: the key '0.a' is in line 1 already"),
        ('{"a": 1,\n\t"a": 2}', "line 2: the key 'a' is in line 1 already"),
        ("x: &x {a: 1}\n<<: *x\n<<: *x", "line 3: the key '<<' is in line 2 already"),
        ("a: 010", "line 1: YAML reads 010 as the number 8; write that, or '010' in quotes where it is text"),
        ("a: 0x1f", "line 1: YAML reads 0x1f as the number 31"),
        ("a: 0b11", "line 1: YAML reads 0b11 as the number 3"),
        ("a: [1,\n 1:30]", "line 2: YAML reads 1:30 as the number 90"),
        ("a: 1:30.5", "line 1: YAML reads 1:30.5 as the number 90.5"),
        ("NO: 1", "line 1: the key NO is not text to YAML; put it in quotes"),
        ("a: {1: 2}", "line 1: the key 1 is not text to YAML"),
        ("? [a]\n: b", "line 1: a key must be text"),
        ("a: 2001-13-45", "line 1: 2001-13-45 is not a valid !!timestamp; put text in quotes"),
        ("a: =", "line 1: = is not text to YAML; put it in quotes"),
        ("a: !!set {b}", "line 1: values are text, numbers, lists and keys, not !!set"),
        ("a: !!python/name:os.system ''", "not !!python/name:os.system"),
        ("a: !!int x", "line 1: x is not a valid !!int"),
        ("a: &a [*a]", "line 1: an alias (*) stands for what it is in"),
        ("a: &a {<<: *a}", "is nested too deeply"),
        ("a: " + "[" * 500, "is nested too deeply"),
        ("<<: 3", "line 1: << takes the alias of a mapping, or a list of them"),
        ("a: *b", "line 1: not valid YAML: found undefined alias"),
        ("a: 1\nb: [", "line 2: not valid YAML: while parsing a flow node"),
        ("a:\n\tb: 1", "line 2: not valid YAML: while scanning for the next token found character '\\t'"),
        ("a: 1\n---\nb: 2", "line 2: not valid YAML: expected a single document"),
        ("a: \x01", "is not valid YAML: unacceptable character #x0001"),
        ("a: " + "9" * 5000, f"line 1: {'9' * 60}… is not a valid !!int"),
    ],
)  # fmt: skip
def test_what_yaml_drops_or_guesses_is_refused(tmp_path, text, sentence):
    with pytest.raises(UserError) as failure:
        read_yaml(write(tmp_path, text))
    assert sentence in str(failure.value) and "mine.yaml" in str(failure.value)
    assert "\n" not in str(failure.value)


def test_aliases_that_multiply_are_refused(tmp_path):
    doubled = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(UserError, match="stands for more than 10,000 values"):
        read_yaml(write(tmp_path, "\n".join(["a0: &a0 [1, 2]", *doubled])))


def test_what_cannot_be_read_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.yaml cannot be read \(No such file or directory\)"):
        read_yaml(tmp_path / "nowhere.yaml")
    (tmp_path / "utf16.yaml").write_bytes("a: 1".encode("utf-16"))
    with pytest.raises(UserError, match=r"utf16\.yaml cannot be read \('utf-8' codec can't decode"):
        read_yaml(tmp_path / "utf16.yaml")
