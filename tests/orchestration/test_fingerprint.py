"""A command's fingerprint follows what its code reaches, and code, not wording: on packages written for each rule."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from ipcascade.orchestration.fingerprint import PACKAGE, Package, code

MAIN = "commands/make.py"
START = """
    from pack.tools import used

    def add_arguments(parser):
        parser.add_argument("--file", required=True, help="a file")

    def run(args, config):
        return used(args.file)
"""
TOOLS = """
    import math

    LIMIT = 3
    OTHER = 4

    def used(value):
        return helper(value) + LIMIT

    def helper(value):
        return math.floor(value)

    def unused(value):
        return OTHER
"""
Edit = Callable[..., tuple[str, str]]


@pytest.fixture
def edit(tmp_path) -> Edit:
    """Writes a package twice, with some files edited the second time; returns both fingerprints of its command."""

    def edited(files: dict[str, str], path: str, old: str, new: str) -> tuple[str, str]:
        files = {MAIN: START, **files}
        before = fingerprint(tmp_path / "before/pack", files)
        assert old in files[path]
        return before, fingerprint(tmp_path / "after/pack", {**files, path: files[path].replace(old, new)})

    return edited


def write(folder: Path, files: dict[str, str]) -> Package:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    return Package(folder)


def fingerprint(folder: Path, files: dict[str, str]) -> str:
    return write(folder, files).code("make")


def changes(fingerprints: tuple[str, str]) -> bool:
    before, after = fingerprints
    assert len(before) == 16 and int(before, 16) >= 0
    return before != after


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("math.floor(value)", "math.ceil(value)", True),  # reached at two removes
        ("LIMIT = 3", "LIMIT = 5", True),
        ("return OTHER", "return 2 * OTHER", False),  # a function that nothing reaches
        ("OTHER = 4", "OTHER = 5", False),
        ("import math", "import cmath as math", True),  # the same words, another library
        ("def unused(value):", "def unused(value, more):", False),
        ("LIMIT = 3", "EXTRA = 1\n    LIMIT = 3", False),
        ("LIMIT = 3", "LIMIT = 3\n    LIMIT += 1", True),  # assigned in two statements
    ],
)
def test_only_what_is_reached_counts(edit, old, new, changed):
    assert changes(edit({"tools.py": TOOLS}, "tools.py", old, new)) == changed


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Makes."""', '"""Makes it.\n\n        Raises nothing.\n        """'),
        ("# why", "# because"),
        ("return value", "return (\n            value\n        )"),
        ('raise ValueError(f"{value} is bad: {hint(value)}")', 'raise ValueError("no")'),
        ('raise problem("here", value)', 'raise problem("there")'),
        ('OwnError("text")', 'OwnError("another text", 2)'),
        ('log.info("value %d", value)', 'log.warning("the value")'),
        ('log.info("value %d", value)', "pass"),
        ('Progress("making", 3, "things")', 'Progress("doing", 3, "items", every=2)'),
        ("progress.advance(2)", 'progress.note("half")'),
        ('assert value, "text"', 'assert value, "another text"'),
        ('help="a number"', 'help="some number"'),
    ],
)
def test_wording_never_counts(edit, old, new):
    make = """
        import logging
        from pack.core.progress import Progress
        from pack.tools import OwnError, hint, problem

        log = logging.getLogger(__name__)

        def add_arguments(parser):
            parser.add_argument("--number", help="a number")

        def run(args, config):
            \"""Makes.\"""
            value = args.number  # why
            assert value, "text"
            if value < 0:
                raise ValueError(f"{value} is bad: {hint(value)}")
            if value == 7:
                raise problem("here", value)
            if value == 8:
                return OwnError("text")
            log.info("value %d", value)
            with Progress("making", 3, "things") as progress:
                pass
                progress.advance(2)
            return value
    """
    tools = """
        class OwnError(Exception):
            pass

        def problem(*words):
            return OwnError(*words)

        def hint(value):
            return "try another"
    """
    assert not changes(edit({MAIN: make, "tools.py": tools, "core/progress.py": "class Progress: ..."}, MAIN, old, new))


@pytest.mark.parametrize("old", ["if value < 0", 'log.info("value")', "args.number"])
def test_code_beside_wording_counts(edit, old):
    make = """
        def add_arguments(parser):
            parser.add_argument("--number")

        def run(args, config):
            value = args.number
            if value < 0:
                raise ValueError("no")
            log.info("value")
    """
    new = {"if value < 0": "if value < 1", "args.number": "args.number + 1", 'log.info("value")': "value.go()"}[old]
    assert changes(edit({MAIN: make}, MAIN, old, new))


def test_a_class_counts_whole(edit):
    make = """
        from pack.tools import Tool

        def add_arguments(parser): ...

        def run(args, config):
            Tool().used()
    """
    tools = """
        from pack import other

        class Tool:
            size = 1

            def used(self):
                return 1

            def unused(self):
                return other.helper()
    """
    other = "def helper():\n    return 1\n"
    files = {MAIN: make, "tools.py": tools, "other.py": other}
    assert changes(edit(files, "tools.py", "size = 1", "size = 2"))
    assert changes(edit(files, "other.py", "return 1", "return 2")), "what an unused method reaches"


@pytest.mark.parametrize(
    ("imported", "used", "whole"),
    [
        ("from pack import tools", "tools.one()", False),
        ("from pack import tools as t", "t.one()", False),
        ("import pack.tools as tools", "tools.one()", False),
        ("from pack.tools import one", "one()", False),
        ("from pack import tools", "tools.one(); args.use(tools)", True),
        ("from pack import tools", "getattr(tools, args.name)()", True),
        ("import pack.tools", "pack.tools.one()", True),
        ("from pack.tools import *", "one()", True),
        ("from pack.passing import one", "one()", False),
    ],
)
def test_of_a_module_counts_what_is_used_of_it(edit, imported, used, whole):
    make = f"{imported}\n\ndef add_arguments(parser): ...\n\ndef run(args, config):\n    {used}\n"
    files = {
        MAIN: make,
        "tools.py": "def one():\n    return 1\n\ndef two():\n    return 2\n",
        "passing.py": "from pack.tools import one, two\n",
    }
    assert changes(edit(files, "tools.py", "return 1", "return 3"))
    assert changes(edit(files, "tools.py", "return 2", "return 3")) == whole


def test_imports_inside_functions_and_relative_ones_are_followed(edit):
    make = """
        def add_arguments(parser): ...

        def run(args, config):
            from ..tools import used
            return used(args)
    """
    assert changes(edit({MAIN: make, "tools.py": TOOLS}, "tools.py", "math.floor", "math.ceil"))


@pytest.mark.parametrize(
    ("statement", "edited"),
    [
        ("switch(1)", "switch(2)"),
        ("library.flag = True", "library.flag = False"),
        ("TABLE['a'] = 1", "TABLE['a'] = 2"),
        ("if library.new:\n        def helper(): return 1", "if library.new:\n        def helper(): return 2"),
        ("@register('a')\n    def entry(): return 1", "@register('a')\n    def entry(): return 2"),
        ("@register('a')\n    def entry(): return indirect()", "@register('b')\n    def entry(): return indirect()"),
    ],
)
def test_top_level_statements_that_do_something_count(edit, statement, edited):
    tools = TOOLS + "\n    import library\n    TABLE = {}\n    " + statement + "\n"
    assert changes(edit({"tools.py": tools}, "tools.py", statement, edited))


@pytest.mark.parametrize(
    "decorator", ["dataclass(frozen=True)", "contextmanager", "functools.cache", "torch.no_grad()"]
)
def test_known_decorators_do_nothing(edit, decorator):
    tools = TOOLS + f"\n    @{decorator}\n    def pure(): return 1\n"
    assert not changes(edit({"tools.py": tools}, "tools.py", "def pure(): return 1", "def pure(): return 2"))


@pytest.mark.parametrize(
    "module",
    ["core/files.py", "core/errors.py", "core/progress.py", "core/provenance.py", "core/logs.py", "config.py",
     "training/card.py", "runtime/device.py", "tools/__init__.py"],
)  # fmt: skip
def test_modules_without_effect_never_count(edit, module):
    name = module.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    make = f"from pack.{name} import thing\ndef add_arguments(parser): ...\ndef run(args, config):\n    thing()\n"
    files = {MAIN: make, module: "switch(1)\ndef thing():\n    return 1\n"}
    assert not changes(edit(files, module, "1", "2"))


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("width: int = 3", "width: int = 4", False),  # options are listed by the rules
        ('Literal["a"]', 'Literal["a", "b"]', False),
        ("return WIDEST", "return 2 * WIDEST", True),
        ("WIDEST = 9", "WIDEST = 8", True),
        ("return 1", "return 2", False),
    ],
)
def test_of_options_only_functions_and_constants_count(edit, old, new, changed):
    make = """
        from pack.stage.options import Options, widest

        def add_arguments(parser): ...

        def run(args, config):
            return widest(Options())
    """
    options = """
        from typing import Literal

        Kind = Literal["a"]
        WIDEST = 9

        class Options:
            width: int = 3
            kind: Kind = "a"

        def widest(options: Options) -> int:
            return WIDEST

        def unused():
            return 1
    """
    assert changes(edit({MAIN: make, "stage/options.py": options}, "stage/options.py", old, new)) == changed


def test_a_part_of_a_command_has_a_fingerprint_of_its_own(tmp_path):
    make = """
        from pack.loop import train
        from pack.export import save

        def add_arguments(parser): ...

        def run(args, config):
            save(train())
    """
    files = {
        MAIN: make,
        "loop.py": "from pack.step import step\ndef train():\n    return step()\ndef unused(): ...\n",
        "step.py": "def step():\n    return 1\n",
        "export.py": "def save(model):\n    return 1\n",
    }
    parts = {
        name: write(tmp_path / name / "pack", {**files, path: files[path].replace("return 1", "return 2")})
        for name, path in (("same", MAIN), ("step", "step.py"), ("export", "export.py"))
    }
    inner, whole = ({name: read(part) for name, part in parts.items()} for read in (
        lambda part: part.code_within("make", "loop"), lambda part: part.code("make")
    ))  # fmt: skip
    assert inner["same"] == inner["export"] != inner["step"]
    assert len(set(whole.values())) == 3
    assert parts["same"].modules_of("make") == {"commands.make", "loop", "step", "export"}


def test_the_package_itself_has_a_fingerprint_for_every_rule():
    commands = [path.stem for path in (PACKAGE / "commands").glob("[a-z]*.py")]
    assert len(commands) > 15
    assert len({code(command) for command in commands}) == len(commands)
