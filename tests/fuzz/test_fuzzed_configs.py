"""Configs at random: each is a Config, or refused in one sentence; and what is accepted means what was written."""

import datetime
from copy import deepcopy
from pathlib import Path

import pytest
import yaml
from amount import CASES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipcascade import config as configs
from ipcascade.core.errors import UserError
from support import REPOSITORY

EXAMPLES = settings(
    max_examples=CASES // 2,  # of each of the two tests
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
DEFAULTS = configs.Config().model_dump(mode="json")
SHIPPED = [(REPOSITORY / f"config/{name}.yaml").read_text() for name in ("demo", "patents_us", "reference")]
TEXTS = (
    "", " ", "NO", "yes", "null", "~", "true", "010", "0o10", "1:30", "2001-01-01", "1e-4", "1_000", "=", "<<", "-",
    "a: b", "{x}", "a\nb", "\x85", "\u2028", "\ud800", "\0", "ü", "EP", "section", "class", "default", "#0072B2",
    "a.csv", "3", "3.0",
)  # fmt: skip
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([2**31, 2**63, 10**30, -(10**400)]), st.floats(),
    st.floats(0, 1), st.sampled_from(TEXTS), st.text(max_size=4), st.just(datetime.date(2001, 1, 1)),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(TEXTS) | SCALARS, inner, max_size=3),
    max_leaves=5,
)
# Pieces of YAML with a meaning of their own.
PIECES = (
    *"\t:-?[]{}&*!|>%@`#,'\"\\\0\u2028ü~=<0.\n", "---\n", "...\n", "&a ", "*a", "<<: *a\n", "!!set ", "!!python/tuple ",
    "010", "1:30", ".inf", ".nan", "NO", "null", "- ", "? ", ": ", "  ", "\\ud800", "seed: 3\n", "corpus: {}\n",
)  # fmt: skip


def places(tree, keys=()):
    """The ways to all values in nested mappings and lists."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield (*keys, key)
        yield from places(value, (*keys, key))


@st.composite
def mutated_configs(draw):
    """Some sections of the defaults, in which values are replaced, exchanged, removed or added."""
    raw = {name: deepcopy(DEFAULTS[name]) for name in draw(st.sets(st.sampled_from(sorted(DEFAULTS)), max_size=3))}
    for _ in range(draw(st.integers(0, 3))):
        everywhere = sorted(places(raw), key=repr)
        keys = draw(st.sampled_from(everywhere)) if everywhere else ("seed",)
        holder = raw
        for key in keys[:-1]:
            holder = holder[key]
        match draw(st.sampled_from(["replace", "replace", "exchange", "remove", "add", "repeat"])):
            case "replace":
                holder[keys[-1]] = draw(VALUES)
            case "exchange":  # by a default of some key
                other = draw(st.sampled_from(sorted(places(DEFAULTS), key=repr)))
                value = DEFAULTS
                for key in other:
                    value = value[key]
                holder[keys[-1]] = deepcopy(value)
            case "remove" if everywhere:
                del holder[keys[-1]]
            case "repeat" if isinstance(holder, list):
                holder.append(holder[keys[-1]])
            case _ if isinstance(holder, dict):
                holder[draw(st.sampled_from([*TEXTS, "corpus.documents", "batch-size", 1, None]))] = draw(VALUES)
    return raw


@st.composite
def mutated_texts(draw):
    """A shipped config file in which pieces of text are put in, taken out or doubled."""
    text = draw(st.sampled_from(SHIPPED))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        lines = text.splitlines(keepends=True)
        put = draw(st.sampled_from(PIECES) | st.just(text[start:end] * 2) | st.sampled_from(lines or PIECES))
        text = text[:start] + put + text[end:]
    return text


def result(function, *arguments):
    """The Config, or None where it is refused, which must be in one sentence."""
    try:
        return function(*arguments)
    except UserError as error:
        assert str(error) and len(str(error).splitlines()) == 1, repr(str(error))
        str(error).encode()  # into a log file
        return None


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "mine.yaml"


@EXAMPLES
@given(mutated_configs())
def test_a_mutated_config_is_one_or_refused(path, raw):
    config = result(configs.load, raw)
    path.write_text(yaml.safe_dump(raw))
    assert result(configs.read, path) == config, "a file says the same as the data in it"
    if config is not None:
        configs.write(config, path)
        assert configs.read(path) == config


@EXAMPLES
@given(mutated_texts())
def test_a_mutated_file_is_a_config_or_refused(path, text):
    path.write_text(text)
    config = result(configs.read, path)
    if config is not None:
        assert configs.load(yaml.safe_load(text) or {}) == config, "nothing that YAML drops or guesses is accepted"
        configs.write(config, path)
        assert configs.read(path) == config
