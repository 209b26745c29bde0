"""What the code of a command is: one hash over the definitions that can change its result.

Snakemake runs nothing again when an imported module changes, and runs too much when a checkout touches files. So each
rule has this hash among its params instead. It starts at `run` and `add_arguments` of the command's module and follows
names to the top-level functions, classes and assignments of the package that they reach. What nothing reaches, an
unused helper for example, changes no hash. Where it cannot know, it counts more rather than less:

- a class that is reached counts whole, and so does a module that is used other than by its attributes;
- of a module with a reached definition, the top-level statements that do something (calls, `if` and `try` blocks,
  functions with a decorator that may register them) count, with what they reach;
- a local variable with the name of a top-level definition reaches that definition.

Of the files named options.py only functions and constants count: rules list the options that they depend on.

Docstrings, comments, layout, log lines, progress, help texts and the arguments of errors never count, nor do the
modules in `WITHOUT_EFFECT`. Names that exist only as text (getattr, dynamic imports) and modules that are imported
only for what their import does are not followed; the package has neither.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[1]

# These reach a result only as options (which rules list by themselves) or never: messages, files and checks that only
# refuse them, the command line, the device, the text of the model card.
WITHOUT_EFFECT = frozenset(
    "core.errors core.files core.logs core.metrics_file core.paths core.progress core.provenance core.schemas config"
    " config_errors cli model.suitability model.trial training.card runtime.device".split()
)
# Decorators that do nothing beyond the definition that they decorate.
PURE_DECORATORS = frozenset(
    "cache cached_property classmethod contextmanager dataclass inference_mode lru_cache no_grad property staticmethod"
    " total_ordering wraps".split()
)
# Names of objects whose calls only report.
REPORTERS = frozenset(("log", "progress"))
# In place of a definition's name: all of a module, and its statements that do something.
EVERYTHING, EFFECTS = "*", "(effects)"


class Place(NamedTuple):
    """A definition of the package: its module, without the package's name, and its name there."""

    module: str
    name: str


class Definition(NamedTuple):
    """What a place holds: the text without its wording, and the places that it uses."""

    text: str
    uses: frozenset[Place]


class Package:
    """Fingerprints of the commands of a package, and the modules behind them."""

    def __init__(self, folder: Path = PACKAGE) -> None:
        self.folder = folder
        self._modules: dict[str, _Module | None] = {}
        self._definitions: dict[Place, Definition] = {}

    def code(self, command: str, without: Sequence[str] = ()) -> str:
        """16 hexadecimal digits that change when code behind a command changes in more than its wording.

        without: folders and modules that do not count, since the command does not use them this time.
        """
        reached = self._reached(_start(command))
        return self._digest(place for place in reached if not _is_within(place.module, without))

    def code_within(self, command: str, module: str) -> str:
        """The same for a part of a command: what it uses of one module, and all that this reaches."""
        return self._digest(self._reached(place for place in self._reached(_start(command)) if place.module == module))

    def modules_of(self, command: str) -> frozenset[str]:
        """The modules that hold what counts for a command, without the package's name."""
        return frozenset(place.module for place in self._reached(_start(command)))

    def _digest(self, places: Iterable[Place]) -> str:
        texts = (f"{module} {name}\n{self._definitions[Place(module, name)].text}\n" for module, name in sorted(places))
        return hashlib.sha256("".join(texts).encode()).hexdigest()[:16]

    def _reached(self, start: Iterable[Place]) -> set[Place]:
        """All places that the code at some places uses, directly or not, these included."""
        found: set[Place] = set()
        ahead = list(start)
        while ahead:
            place = ahead.pop()
            module = self._module(place.module)
            if module is None or place in found:
                continue
            if place.name in module.without_effect:
                continue
            if place.name in module.statements:
                found.add(place)
                ahead += [*self._definition(place, module).uses, Place(place.module, EFFECTS)]
            elif place.name in module.imports:
                ahead += self._places(module.imports[place.name])
            else:  # the module is used as a whole, or by a name that only running it would show
                ahead += [Place(place.module, name) for name in module.statements]
        return found

    def _module(self, name: str) -> "_Module | None":
        """A module of the package; None where there is none of that name, or where it has no effect."""
        if name in WITHOUT_EFFECT:
            return None
        if name not in self._modules:
            path = self._path(name)
            self._modules[name] = _Module(path.read_text("utf-8"), f"{self.folder.name}.{name}") if path else None
        return self._modules[name]

    def _path(self, name: str) -> Path | None:
        path = self.folder.joinpath(*name.split(".")).with_suffix(".py")
        return path if name and path.is_file() else None

    def _definition(self, place: Place, module: "_Module") -> Definition:
        if place not in self._definitions:
            self._definitions[place] = self._define(place, module)
        return self._definitions[place]

    def _define(self, place: Place, module: "_Module") -> Definition:
        code = ast.Module(module.statements[place.name], type_ignores=[])
        nodes = list(ast.walk(code))
        imports = module.imports | _imports(nodes, module.name)
        attribute_of = {id(node.value): node.attr for node in nodes if isinstance(node, ast.Attribute)}
        uses = set(self._places(imports.get(EVERYTHING, [])))
        foreign = set()
        for node in nodes:
            if isinstance(node, ast.Name) and node.id in imports:
                places = self._places(imports[node.id])
                uses.update(self._narrowed(place, attribute_of.get(id(node))) for place in places)
                if not places:  # of other libraries only the name counts, which this one may have got from elsewhere
                    foreign.add(f"\n{node.id} is {imports[node.id]}")
            elif isinstance(node, ast.Name) and node.id in module.statements:
                uses.add(Place(place.module, node.id))
        return Definition(ast.unparse(code) + "".join(sorted(foreign)), frozenset(uses))

    def _places(self, imported: Iterable[str]) -> list[Place]:
        """The places of the package among imported names, written `package.module` or `package.module:name`."""
        found = []
        for target in imported:
            module, _, name = target.partition(":")
            top, _, inside = module.partition(".")
            if top == self.folder.name:
                found.append(self._narrowed(Place(inside, EVERYTHING), name))
        return found

    def _narrowed(self, place: Place, attribute: str | None) -> Place:
        """Of a module only the attribute of it that is used; where that is a module itself, all of this one."""
        if place.name != EVERYTHING or not attribute:
            return place
        inner = f"{place.module}.{attribute}".removeprefix(".")
        return Place(inner, EVERYTHING) if self._path(inner) else Place(place.module, attribute)


class _Module:
    """The statements of a module, without wording, by the names that they define, and what imported names stand for."""

    def __init__(self, source: str, name: str) -> None:
        self.name = name
        body = _WithoutWording().visit(ast.parse(source)).body
        self.statements: dict[str, list[ast.stmt]] = {EFFECTS: []}
        self.without_effect: set[str] = set()
        for statement in body:
            if name.endswith(".options") and not _counts_in_options(statement):
                self.without_effect.update(_defined_names(statement))
                continue
            names = set(_defined_names(statement))
            for defined in sorted(names):
                self.statements.setdefault(defined, []).append(statement)
            if not isinstance(statement, ast.Import | ast.ImportFrom) and (not names or _does_something(statement)):
                self.statements[EFFECTS].append(statement)
        self.imports = _imports((node for statement in body for node in _outside_functions(statement)), name)


def _is_within(module: str, folders: Sequence[str]) -> bool:
    return any(f"{module}.".startswith(f"{folder}.") for folder in folders)


def _start(command: str) -> list[Place]:
    return [Place(f"commands.{command}", name) for name in ("run", "add_arguments")]


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all below it, without the inner parts of functions and classes."""
    yield node
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        for child in ast.iter_child_nodes(node):
            yield from _outside_functions(child)


def _defined_names(statement: ast.stmt) -> Iterator[str]:
    for node in _outside_functions(statement):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _counts_in_options(statement: ast.stmt) -> bool:
    """Whether a statement of an options.py is code or a constant, and not options or the types of their values."""
    match statement:
        case ast.Import() | ast.ImportFrom() | ast.FunctionDef():
            return True
        case ast.Assign(value=value) | ast.AnnAssign(value=value):
            return isinstance(value, ast.Constant)
    return False


def _does_something(statement: ast.stmt) -> bool:
    """Whether a statement may do more than define its names."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return any(_called_name(decorator) not in PURE_DECORATORS for decorator in statement.decorator_list)
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        written = (node for node in ast.walk(statement) if isinstance(node, ast.Attribute | ast.Subscript))
        return any(isinstance(node.ctx, ast.Store) for node in written)
    return True


def _imports(nodes: Iterable[ast.AST], module: str) -> dict[str, list[str]]:
    """What imported names stand for: `package.module` or `package.module:name`, in a module with its full name."""
    found: dict[str, list[str]] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                found.setdefault(alias.asname or alias.name.partition(".")[0], []).append(alias.name)
        elif isinstance(node, ast.ImportFrom):
            above = module.rsplit(".", node.level)[0] if node.level else ""
            origin = ".".join(part for part in (above, node.module) if part)
            for alias in node.names:
                found.setdefault(alias.asname or alias.name, []).append(f"{origin}:{alias.name}")
    return found


def _called_name(node: ast.expr) -> str:
    """The last part of the name of a function, of a call of it, or of a decorator: "b" of `a.b` and of `a.b(c)`."""
    if isinstance(node, ast.Call):
        return _called_name(node.func)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


class _WithoutWording(ast.NodeTransformer):
    """Takes out what only people read: docstrings, log lines, progress, help texts, arguments of errors."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        match node.value:
            case ast.Constant():
                return None
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name))) if name in REPORTERS:
                return None
        return self.generic_visit(node)

    def visit_Pass(self, node: ast.Pass) -> None:
        return None

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        node.msg = None
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        node.cause = None
        if isinstance(node.exc, ast.Call):
            node.exc = node.exc.func
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if _called_name(node).endswith(("Error", "Progress")):
            node.args, node.keywords = [], []
        node.keywords = [keyword for keyword in node.keywords if keyword.arg != "help"]
        return self.generic_visit(node)


_PACKAGE = Package()
code, code_within, modules_of = _PACKAGE.code, _PACKAGE.code_within, _PACKAGE.modules_of
