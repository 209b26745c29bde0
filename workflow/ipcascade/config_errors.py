"""What is wrong with a config, in one sentence: the key as it was written, its file and line, and what to write."""

import datetime
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from ipcascade.core.options import PATTERNS
from ipcascade.core.yaml_files import Keys, Place, YamlFile

LONGEST_SHOWN = 60
"""Characters of a value in a message."""


def sentence(
    failure: ValidationError, raw: Mapping[str, Any], files: Sequence[YamlFile], model: type[BaseModel]
) -> str:
    """What is wrong with a config, where, and what to do, from the first of pydantic's errors.

    raw: the config as it was checked; files: those that it was read from, the later ones on top; model: of the config.
    """
    errors = failure.errors()
    first = next((error for error in errors if error["type"] == "extra_forbidden"), errors[0])
    kind, keys = first["type"], _keys(first["loc"], raw)
    if kind == "value_error" and not keys:  # of several sections: the text begins with the key
        text = str(first["ctx"]["error"])
        named = tuple(text.partition(": ")[0].split("."))
        return f"{_where(_place(named, raw, files) if _keys(named, raw) == named else None)}{text}"
    if first["loc"][-1] == "[key]":
        return f"{_where(_written(keys, files))}the key {_name(keys)!r} must be {_expected(first)}"
    place = _place(keys, raw, files)
    if kind == "extra_forbidden":
        return f"{_where(place)}unknown key {_name(keys)!r}{_nearest(keys, model)}"
    if kind == "missing":
        return f"{_where(place)}{_name(keys)} lacks the key {first['loc'][-1]!r}"
    if kind == "value_error" and isinstance(first["input"], Mapping):
        return f"{_where(place)}{_name(keys)}: {first['ctx']['error']}"
    value = _value(keys, raw)
    shown = place.text if place and place.text and not isinstance(value, str) else _shown(value)
    if kind == "value_error":
        problem = str(first["ctx"]["error"])
    else:  # of a value that may be of several types there is an error for each
        expected = dict.fromkeys(_expected(error) for error in errors if _keys(error["loc"], raw) == keys)
        problem = f"must be {' or '.join([*expected, *(['null'] if _may_be_null(keys, model) else [])])}"
    hint = quotes_hint(value, place) if kind == "string_type" else ""
    return f"{_where(place)}{_name(keys)} is {shown}: {problem}{hint}"


def _expected(error: Any) -> str:
    """What a value must be, to follow "must be"."""
    context = error.get("ctx", {})
    match error["type"]:
        case "int_type":
            return "a whole number"
        case "float_type":
            return "a number"
        case "finite_number":
            return "a finite number"
        case "bool_type":
            return "true or false"
        case "string_type" | "string_unicode":
            return "text"
        case "list_type":
            given = error["input"]
            return f"a list such as [{given}]" if isinstance(given, str) and given.isidentifier() else "a list"
        case "model_type" | "dict_type":
            return "a section with keys of its own"
        case "literal_error":
            return str(context["expected"])
        case "too_short":
            return "a list of at least one item"
        case "greater_than":
            return f"greater than {_bound(context['gt'])}"
        case "greater_than_equal":
            return f"at least {_bound(context['ge'])}"
        case "less_than":
            return f"less than {_bound(context['lt'])}"
        case "less_than_equal":
            return f"at most {_bound(context['le'])}"
        case "string_pattern_mismatch":
            return PATTERNS[context["pattern"]]
    return str(error["msg"])


def _bound(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"


def _keys(location: Sequence[int | str], raw: Any) -> Keys:
    """The keys of a place, as they were written, from pydantic's: it adds the tried type of a union, and `[key]`."""
    keys: list[int | str] = []
    for part in location:
        options: Any = raw if isinstance(raw, Mapping) else range(len(raw)) if isinstance(raw, list) else ()
        if part not in options:
            break
        raw = raw[part]
        keys.append(next(key for key in options if key == part))
    return tuple(keys)


def _name(keys: Keys) -> str:
    """Keys as one name: "training.epochs"; "corpus.offices, item 1"."""
    return "".join(f", item {key + 1}" if type(key) is int else f".{key}" for key in keys).removeprefix(".")


def _value(keys: Keys, raw: Any) -> Any:
    for key in keys:
        raw = raw[key]
    return raw


def _may_be_null(keys: Keys, model: Any) -> bool:
    for key in keys:
        if not (isinstance(model, type) and issubclass(model, BaseModel) and key in model.model_fields):
            return False
        model = model.model_fields[str(key)].annotation
    return NoneType in get_args(model)


def _written(keys: Keys, files: Sequence[YamlFile]) -> Place | None:
    """Where the last of the files that have some keys has them."""
    return next((file.places[keys] for file in reversed(files) if keys in file.places), None)


def _place(keys: Keys, raw: Any, files: Sequence[YamlFile]) -> Place | None:
    """Where the value at some keys is written; None where the files together have another one: --config has set it."""
    place = _written(keys, files)
    together: Any = {}
    for file in files:
        together = on_top(together, file.content)
    return (
        place if place and _keys(keys, together) == keys and _same(_value(keys, together), _value(keys, raw)) else None
    )


def on_top(below: Any, above: Any) -> Any:
    """Two configs as Snakemake puts the second on top of the first: key by key."""
    if not (isinstance(below, Mapping) and isinstance(above, Mapping)):
        return above
    return {**below, **{key: on_top(below.get(key), value) for key, value in above.items()}}


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same, of the same type; .nan, which is not equal to itself, is the same as .nan."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return repr(one) == repr(other)


def _where(place: Place | None) -> str:
    return f"{place.file}, line {place.line}: " if place else "config: "


def _shown(value: Any) -> str:
    """A value as YAML would write it, shortened."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def quotes_hint(value: Any, place: Place | None) -> str:
    """The hint to quote what YAML reads as another type than text; empty where there is none."""
    if place is not None and place.text and not isinstance(value, str) and value is not None:
        kind = "a date" if isinstance(value, datetime.date) else _shown(value)
        reads = "" if kind == place.text else f"YAML reads it as {kind}, so "
        return f"; {reads}put it in quotes: '{place.text}'"
    if isinstance(value, bool):
        return "; YAML reads NO, OFF and the like as false, YES and ON as true, so put them in quotes"
    return "" if isinstance(value, str | list | Mapping | None) else "; put it in quotes"


def _nearest(keys: Keys, model: type[BaseModel]) -> str:
    """The valid key that was probably meant by an unknown one."""
    known = list(known_keys(model))
    written = _name(keys)
    if written in known:  # with dots, of which YAML makes no sections
        outer, *inner = written.split(".")
        nested = "".join(f"{{{key}: " for key in inner)
        return f"; sections nest, so write {outer}: {nested}...{'}' * len(inner)}"
    plain = re.sub("[-. ]", "_", str(keys[-1])).lower()
    section = "".join(f"{key}." for key in keys[:-1])
    beside = [key.removeprefix(section) for key in known if key.rpartition(".")[0] == section.removesuffix(".")]
    dotted = [] if section or "." not in written else difflib.get_close_matches(written, known, n=1, cutoff=0.6)
    elsewhere = [key for key in known if key.rpartition(".")[2] == plain]
    close = [section + key for key in difflib.get_close_matches(plain, beside, n=1, cutoff=0.6)]
    found = [section + plain] if plain in beside else dotted or elsewhere or close
    return f"; did you mean {found[0]!r}?" if found else "; config/config.yaml names every key there is"


def known_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """All keys of a model with dots, depth first: seed, source, source.kind, ..."""
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        yield key
        for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from known_keys(inner, f"{key}.")
