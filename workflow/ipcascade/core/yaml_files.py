"""YAML files that users write, read strictly: what YAML itself drops or guesses in silence is refused, with its line.

YAML keeps the last of two equal keys and reads 010 as 8, 1:30 as 90 and NO as false. Here equal keys, numbers that are
not written in decimal, and keys that are not text are errors. A value whose type is not the one that was meant is for
the reader of the content to refuse: `Place` says where it is and how it is written.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ipcascade.core.errors import UserError

Keys = tuple[str | int, ...]
"""The way to a value: keys of mappings and positions in lists, from the outside in."""

_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9_]*)")
_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
# What plain words and numbers stand for; all else needs a tag that nobody writes by accident.
_SCALARS = frozenset(f"{_TAG}{name}" for name in ("null", "bool", "int", "float", "timestamp", "str"))
# Aliases of aliases can stand for more values than any memory holds.
_MOST_VALUES = 10_000
_LONGEST_SHOWN = 60  # characters of a value in a message


class Place(NamedTuple):
    """Where a value is written: file and line of its key. text: as written where it is one plain word, else None."""

    file: str
    line: int
    text: str | None
    value: Any


@dataclass(frozen=True)
class YamlFile:
    """The content of a file, and the place of each key and list item in it."""

    name: str
    content: Any
    places: Mapping[Keys, Place] = field(repr=False)


def read_yaml(path: Path) -> YamlFile:
    """Read a YAML (or JSON) file.

    Raises UserError, with the line where there is one, where it cannot be read, is not valid YAML, or has a key twice,
    a key that is not text, a number that is not decimal, or a tag.
    """
    name = _shown(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise UserError(f"{name} cannot be read ({getattr(error, 'strerror', None) or error})") from None
    try:
        return _read(name, text)
    except RecursionError:
        raise UserError(f"{name} is nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        what = " ".join(part for part in (error.context, error.problem) if part)
        raise UserError(f"{name}{line}: not valid YAML: {' '.join(what.split())}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{name} is not valid YAML: {' '.join(str(error).split())}") from None


def _read(name: str, text: str) -> YamlFile:
    # JSON may be indented with tabs, which YAML refuses; neither allows one inside a quoted JSON text.
    loader = yaml.SafeLoader(text.replace("\t", " ") if text.lstrip().startswith("{") else text)
    try:
        node = loader.get_single_node()
        builder = _Builder(name, loader)
        content = None if node is None else builder.value_of(node, ())
    finally:
        loader.dispose()
    return YamlFile(name, content, builder.places)


def _shown(path: Path) -> str:
    """A path as its user sees it: relative to the folder that they work in, where it is inside of it."""
    relative = os.path.relpath(path) if path.is_absolute() else str(path)
    return str(path) if relative.startswith(os.pardir) else relative


class _Builder:
    """Plain data from the nodes of a YAML document."""

    def __init__(self, file: str, loader: yaml.SafeLoader) -> None:
        self.file, self.loader = file, loader
        self.places: dict[Keys, Place] = {}
        self._open: list[int] = []  # the nodes around the current one, by identity
        self._values = 0

    def value_of(self, node: yaml.Node, keys: Keys) -> Any:
        self._count()
        if id(node) in self._open:
            raise self._error(node, "an alias (*) stands for what it is in")
        self._open.append(id(node))
        try:
            if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
                return self._mapping(node, keys)
            if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
                return [self._placed(item, item, (*keys, number)) for number, item in enumerate(node.value)]
            return self._scalar(node)
        finally:
            self._open.pop()

    def _placed(self, named: yaml.Node, node: yaml.Node, keys: Keys) -> Any:
        """The value of a node, with its place: the line is that of the node that names it."""
        value = self.value_of(node, keys)
        plain = isinstance(node, yaml.ScalarNode) and node.style is None
        self.places[keys] = Place(self.file, _line(named), node.value if plain else None, value)
        return value

    def _mapping(self, node: yaml.MappingNode, keys: Keys) -> dict[str, Any]:
        pairs = self._pairs(node, keys)
        return {key: self._placed(named, value, (*keys, key)) for key, (named, value) in pairs.items()}

    def _pairs(self, node: yaml.MappingNode, keys: Keys) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """The keys of a mapping with their nodes and those of their values; its own win over those that `<<` adds."""
        own: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        merged: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        lines: dict[str, int] = {}
        for named, value in node.value:
            self._count()
            key = "<<" if named.tag == _MERGE else self._key(named)
            if key in lines:
                name = ".".join(map(str, (*keys, key)))
                raise self._error(named, f"the key {name!r} is in line {lines[key]} already; keep one of them")
            lines[key] = _line(named)
            if named.tag != _MERGE:
                own[key] = (named, value)
                continue
            for one in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if not isinstance(one, yaml.MappingNode):
                    raise self._error(one, "<< takes the alias of a mapping, or a list of them")
                merged = self._pairs(one, keys) | merged  # of several, the first wins
        return merged | own

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self._error(node, "a key must be text")
        key = self._scalar(node)
        if not isinstance(key, str):
            raise self._error(node, f"the key {_cut(node.value)} is not text to YAML; put it in quotes")
        return key

    def _scalar(self, node: yaml.Node) -> Any:
        if node.tag not in _SCALARS or not isinstance(node, yaml.ScalarNode):
            if isinstance(node, yaml.ScalarNode) and node.style is None:
                raise self._error(node, f"{_cut(node.value)} is not text to YAML; put it in quotes")
            raise self._error(node, f"values are text, numbers, lists and keys, not {_tag(node)}")
        try:
            value = self.loader.construct_object(node)
        except (ValueError, OverflowError, KeyError, TypeError, AttributeError):  # by tag: 2001-13-45, !!int x
            raise self._error(node, f"{_cut(node.value)} is not a valid {_tag(node)}; put text in quotes") from None
        if not _is_as_written(node.value, value):
            as_text = f"or '{node.value}' in quotes where it is text"
            raise self._error(node, f"YAML reads {node.value} as the number {value}; write that, {as_text}")
        return value

    def _count(self) -> None:
        self._values += 1
        if self._values > _MOST_VALUES:
            raise UserError(f"{self.file} stands for more than {_MOST_VALUES:,} values: its aliases (*) multiply")

    def _error(self, node: yaml.Node, what: str) -> UserError:
        return UserError(f"{self.file}, line {_line(node)}: {what}")


def _is_as_written(text: str, value: Any) -> bool:
    """Whether a number is written in decimal: 010 and 1:30 are not."""
    if isinstance(value, float):
        return ":" not in text
    return not isinstance(value, int) or isinstance(value, bool) or _DECIMAL.fullmatch(text) is not None


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _cut(text: str) -> str:
    """A text as messages show it."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _tag(node: yaml.Node) -> str:
    """A node's tag as one would write it: !!set."""
    return str(node.tag).replace(_TAG, "!!")
