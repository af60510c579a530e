"""The house: public names where users find them, rooms in floors without a way back up, every public name explained."""

import ast
import functools
import importlib
import importlib.util
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tinyvae as tv

ROOT = Path(__file__).parent.parent
PACKAGE = Path(tv.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
# From the ground up: a room imports rooms of its own floor's folder, and of the floors before it.
FLOORS = (
    "kernels", "machine", "validate", "discover", "schedules", "objectives", "optim", "activations", "mlp", "datasets",
    "likelihoods", "noise", "distributions", "estimators", "plots", "evaluate", "models", "training", "variance",
    "problems", "check", "compare", "bench", "reproduce", "exercises", "cli",
)  # fmt: skip


def module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = [module_name(path) for path in FILES if path.name != "__main__.py"]


# --- names ------------------------------------------------------------------------------------------------

CONTRACT = """
    MLP DiagonalGaussian Target estimators.score_function estimators.names estimators.make VAE ELBO train fit
    Adam variance.measure datasets.load ImportanceWeighted Draws Bernoulli SGD History NonFiniteLoss
    check.unbiased check.gradients check.Problem check.problem check.default_problems check.bound_problems
    check.exact_gradient check.exact_loss check.exact_mean check.gauss_hermite variance.measure_target
    variance.decompose variance.ratio variance.ranking variance.bias variance.plain variance.folded
    noise.independent noise.antithetic noise.sobol noise.resolve noise.require_compatible objectives.Integrand
    objectives.PLAIN problems.make problems.names problems.vae_gradient problems.LinearGaussian evaluate.bound
    optim.Adam evaluate.impute evaluate.refine evaluate.gaps evaluate.manifold evaluate.interpolate evaluate.traverse
    evaluate.nearest datasets.names datasets.binarize datasets.Dataset likelihoods.names
    datasets.read datasets.shapes Binary Categorical distributions.OneHot evaluate.exact_log_likelihood
    evaluate.active_units evaluate.log_likelihood evaluate.rates evaluate.Estimate evaluate.codes
    evaluate.continuity evaluate.completeness evaluate.probe evaluate.generalization evaluate.bits_per_pixel
    evaluate.annealed evaluate.sandwich compare.family compare.chords
""".split()


@pytest.mark.parametrize("name", CONTRACT)
def test_a_public_name_is_where_a_user_finds_it(name):
    thing = tv
    for part in name.split("."):
        thing = getattr(thing, part)
    assert thing is not None


def test_the_readme_and_the_lessons_name_what_is_there():
    texts = [(ROOT / "README.md").read_text(), *(path.read_text() for path in (ROOT / "lessons").glob("*.py"))]
    names = {name for text in texts for name in re.findall(r"\btv\.([a-z_]+(?:\.\w+)?|[A-Z]\w+)", text)}
    assert len(names) > 20
    for name in names:
        thing = tv
        for part in name.split("."):
            thing = getattr(thing, part)


def test_the_package_loads_only_what_was_asked_for():
    unwanted = (
        "matplotlib", "tqdm", "scipy.special", "scipy.optimize", "scipy.stats",
        "tinyvae.plots", "tinyvae.bench", "tinyvae.cli",
    )  # fmt: skip
    code = f"import sys, tinyvae; print([m for m in {unwanted} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- floors -----------------------------------------------------------------------------------------------


@functools.cache
def nodes(text):
    """All of a text's syntax."""
    return list(ast.walk(ast.parse(text)))


def imports(path):
    """The tinyvae modules that a file names in its imports, wherever they stand in it."""
    yield from imported(path.read_text(), module_name(path) if path.name == "__init__.py" else module_name(path.parent))


def imported(text, package):
    """The same of a text that stands in a package: its imports, relative ones too, and its calls of importlib."""
    for node in nodes(text):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if of_the_house(alias.name))
        elif isinstance(node, ast.ImportFrom):
            module = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names if of_the_house(module) else ():
                inner = f"{module}.{alias.name}"
                yield inner if inner in MODULES else module
        elif isinstance(node, ast.Call) and called(node) in ("import_module", "__import__"):
            if isinstance(node.args[0], ast.Constant):
                module = importlib.util.resolve_name(node.args[0].value, package)
                yield from [module] * of_the_house(module)


def of_the_house(module):
    return module.split(".")[0] == "tinyvae"


def called(node):
    """The last part of a called function's name."""
    return getattr(node.func, "attr", getattr(node.func, "id", None))


def by_importlib(text):
    """What a text takes of importlib, and where it imports a module whose name is not written there."""
    for node in nodes(text):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in ("importlib", "runpy"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "importlib":
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Name) and node.id == "__import__":
            yield node.id


@pytest.mark.parametrize("text", [
    "import tinyvae.check.trials",
    "from tinyvae.check import trials",
    "from tinyvae.check.trials import moments",
    "from ..check import trials",
    "from ..check.trials import moments",
    "def late():\n    from .. import check",
    "import importlib\nimportlib.import_module('tinyvae.check.trials')",
    "from importlib import import_module\nimport_module('..check.trials', __package__)",
    "__import__('tinyvae.check')",
])  # fmt: skip
def test_no_import_escapes_the_floors(text):
    (module,) = imported(text, "tinyvae.variance")
    assert module in ("tinyvae.check", "tinyvae.check.trials")
    assert list(imported("from . import moments", "tinyvae.variance")) == ["tinyvae.variance.moments"]
    assert not list(imported("import numpy, tinyvaes\nfrom importlib import resources", "tinyvae.variance"))


def test_only_who_looks_for_files_imports_by_a_name_that_it_makes():
    allowed = {
        "tinyvae.discover": ["importlib"],
        "tinyvae.datasets.bundled": ["importlib.resources"],
        "tinyvae.cli.reader": ["runpy"],
        "tinyvae.exercises.course": ["importlib"],  # one lesson's judges
    }
    found = {module_name(path): list(by_importlib(path.read_text())) for path in FILES}
    assert {module: names for module, names in found.items() if names} == allowed


def floor(module):
    parts = module.split(".")
    return FLOORS.index(parts[1]) if len(parts) > 1 and parts[1] in FLOORS else len(FLOORS)


def test_no_room_imports_from_a_floor_above():
    rooms = {module_name(path): set(imports(path)) for path in FILES}
    for own, others in rooms.items():
        if own in ("tinyvae", "tinyvae.__main__"):
            continue
        assert own.split(".")[1] in FLOORS, f"give {own} its floor"
        above = [module for module in others if module != "tinyvae" and floor(module) > floor(own)]
        assert not above, f"{own} imports {above}"
        assert "tinyvae" not in others or own.startswith("tinyvae.cli"), f"{own}: import the room, not the house"


def test_there_is_no_circle():
    arrows = {module_name(path): set(imports(path)) for path in FILES}
    done = set()

    def visit(module, way):
        assert module not in way, f"a circle: {' -> '.join([*way, module])}"
        if module not in done:
            for other in sorted(arrows.get(module, ())):
                if other != module:
                    visit(other, [*way, module])
            done.add(module)

    for module in arrows:
        visit(module, [])


def reached(text):
    """(line, name) of each underscored name that a text takes of an object other than self and cls, or of a module."""
    for node in nodes(text):
        owner, names = None, []
        if isinstance(node, ast.Attribute):
            owner, names = node.value, [node.attr]
        elif isinstance(node, ast.Call) and called(node) in ("getattr", "setattr", "delattr", "hasattr"):
            owner, names = node.args[0], [getattr(node.args[1], "value", None)] if len(node.args) > 1 else []
        elif isinstance(node, ast.Call) and called(node) in ("attrgetter", "methodcaller"):
            names = [getattr(argument, "value", None) for argument in node.args]
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Call) and called(node.value) == "vars":
            owner, names = (*node.value.args, None)[0], [getattr(node.slice, "value", None)]
        elif isinstance(node, ast.Subscript) and getattr(node.value, "attr", None) == "__dict__":
            owner, names = node.value.value, [getattr(node.slice, "value", None)]
        elif isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
        own = isinstance(owner, ast.Name) and owner.id in ("self", "cls")
        for name in names:
            if isinstance(name, str) and name.startswith("_") and not name.endswith("__") and not own:
                yield node.lineno, name


def test_nobody_reaches_for_another_object_s_underscores():
    allowed = ("_replace", "_asdict", "_fields", "_exit")  # a NamedTuple's own public names, and the system's
    found = [(module_name(path), *one) for path in FILES for one in reached(path.read_text())]
    assert not [one for one in found if one[2] not in allowed]


@pytest.mark.parametrize("text", [
    "x._y", "x._y = 1", "x.__y", "self.x._y", "getattr(x, '_y')", "getattr(x, '_y', None)", "setattr(x, '_y', 1)",
    "hasattr(x, '_y')", "operator.attrgetter('_y')(x)", "vars(x)['_y']", "x.__dict__['_y']", "from room import _y",
])  # fmt: skip
def test_no_underscore_escapes_that(text):
    ((_, name),) = reached(text)
    assert name in ("_y", "__y")
    allowed = "self._y, cls._y, x.__dict__, getattr(self, '_y'), getattr(x, name), getattr(x, 'y_'), vars(self)['_y']"
    assert not list(reached(allowed))


# --- size and layout --------------------------------------------------------------------------------------


def test_no_room_is_crowded():
    lines = {module_name(path): len(path.read_text().splitlines()) for path in FILES}
    assert not {module: n for module, n in lines.items() if n > 350}


def test_lines_have_120_characters_at_most():
    files = [*FILES, *(ROOT / "lessons").glob("*.py"), *(ROOT / "tests").rglob("*.py")]
    long = [f"{p.name}:{i}" for p in files for i, line in enumerate(p.read_text().splitlines(), 1) if len(line) > 120]
    assert not long


# --- what a room shows, and what it says of it ------------------------------------------------------------


def shown(module):
    """(name, object) of all that a module shows and defines itself."""
    for name in getattr(module, "__all__", ()):
        thing = getattr(module, name)
        if getattr(thing, "__module__", None) == module.__name__:
            yield name, thing


ROOMS = {name: importlib.import_module(name) for name in MODULES}
PUBLIC = [(module, name, thing) for module, room in ROOMS.items() for name, thing in shown(room)]
ARRAYS = {"x", "z", "eps", "theta", "grad", "dz", "dparams", "losses", "params", "mu", "logvar"}


def test_every_room_says_what_it_shows():
    for name, room in ROOMS.items():
        assert (room.__doc__ or "").strip(), f"{name} has no first line"
        assert hasattr(room, "__all__"), f"{name} has no __all__"
        for shown_name in room.__all__:
            assert hasattr(room, shown_name), f"{name} shows {shown_name}, which is not there"
    found = {module.name for module in pkgutil.walk_packages(tv.__path__, "tinyvae.")} - {"tinyvae.__main__"}
    assert found | {"tinyvae"} >= set(MODULES)


def sections(text):
    """{heading: lines} of a numpydoc docstring."""
    lines, found, heading = text.splitlines(), {}, None
    for line, under in zip(lines, [*lines[1:], ""]):
        if under and set(under) == {"-"} and len(under) >= len(line):
            heading = line.strip()
            found[heading] = []
        elif heading and set(line) != {"-"}:
            found[heading].append(line)
    return found


def source_tree(thing):
    try:
        return ast.parse(inspect.cleandoc("\n" + inspect.getsource(thing)))
    except (OSError, TypeError, SyntaxError):
        return None


def test_a_public_name_has_a_docstring_that_says_enough():
    for module, name, thing in PUBLIC:
        check_docstring(module, name, thing)


def check_docstring(module, name, thing):
    if not (inspect.isfunction(thing) or inspect.isclass(thing)):
        return
    text = inspect.getdoc(thing)
    if ".kernels." in module and not name.endswith("_numpy"):
        return  # a compiled loop is explained by its twin
    assert text and text.strip(), f"{module}.{name} has no docstring"
    summary = text.splitlines()[0]
    assert len(summary) > 5, f"{module}.{name} has no summary"
    if ".kernels." in module or (".cli." in module and list(inspect.signature(thing).parameters) == ["args"]):
        return
    parts = sections(text)
    if inspect.isclass(thing):
        fields = getattr(thing, "_fields", None) or getattr(thing, "__dataclass_fields__", None)
        if fields:
            listed = "\n".join(parts.get("Attributes", []) + parts.get("Parameters", []))
            missing = [field for field in fields if not re.search(rf"^[\w, ]*\b{field}\b", listed, re.MULTILINE)]
            assert not missing, f"{module}.{name} does not explain {missing}"
            return
        parameters = [p for p in inspect.signature(thing).parameters] if "__init__" in vars(thing) else []
    else:
        parameters = list(inspect.signature(thing).parameters)
    listed = "\n".join(parts.get("Parameters", []))
    missing = [p for p in parameters if not re.search(rf"^[\w, *]*\b{re.escape(p)}\b", listed, re.MULTILINE)]
    assert not missing, f"{module}.{name} does not list its parameters {missing}, one a line"
    for array in ARRAYS & set(parameters):
        (line,) = [line for line in listed.splitlines() if re.match(rf"[\w, *]*\b{array}\b", line)][:1]
        assert "(" in line or "callable" in line or "array" not in line, f"{module}.{name}: which shape has {array}?"
    if inspect.isfunction(thing) and (tree := source_tree(thing)):
        outer = tree.body[0]
        inner = {n for f in ast.walk(outer) if isinstance(f, ast.FunctionDef) and f is not outer for n in ast.walk(f)}
        own = [n for n in ast.walk(outer) if n not in inner]
        if any(isinstance(n, ast.Raise) and n.exc is not None for n in own):
            assert "Raises" in parts, f"{module}.{name} raises, and does not say what"
        if any(isinstance(n, ast.Return) and n.value is not None for n in own):
            assert "Returns" in parts or "Yields" in parts, f"{module}.{name} does not say what it returns"


def test_every_public_method_says_what_it_does():
    for module, name, thing in PUBLIC:
        for method, value in vars(thing).items() if inspect.isclass(thing) else ():
            if not method.startswith("_") and (inspect.isfunction(value) or isinstance(value, (property, classmethod))):
                function = getattr(value, "fget", None) or getattr(value, "__func__", value)
                if function.__name__ != "<lambda>":
                    assert inspect.getdoc(function), f"{module}.{name}.{method} has no docstring"
