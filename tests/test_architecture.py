"""Who may import whom, and what may not be imported before a command runs."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "r1sgg_cli"
BASE = {"counted", "errors", "files", "typed_names"}
DOMAIN = BASE | {"scene_graph", "config"}
MAY_IMPORT = {
    "counted": set(),
    "errors": set(),
    "files": {"errors"},
    "typed_names": set(),
    "scene_graph": BASE,
    "config": BASE,
    "metrics": DOMAIN,
    "rewards": DOMAIN,
    "models": DOMAIN,
    "data": DOMAIN,
    "launch": DOMAIN,
    "training": DOMAIN | {"metrics", "rewards", "models", "data", "launch"},
    "inference": DOMAIN | {"metrics", "rewards", "models", "data", "launch"},
    "report": DOMAIN | {"metrics", "rewards", "models", "data"},
}
HEAVY = (
    "h5py",
    "ijson",
    "pandas",
    "torch",
    "transformers",
    "trl",
    "vllm",
    "datasets",
    "numpy",
    "scipy",
    "pydantic",
    "PIL",
    "yaml",
    "jinja2",
    "networkx",
)
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "cli" not in path.relative_to(PACKAGE).parts[:1])


def imported_parts(path: Path) -> set[str]:
    """The parts of `r1sgg_cli` that a file imports, wherever the import stands."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names += [
                f"{node.module}.{alias.name}" if node.module == "r1sgg_cli" else str(node.module)
                for alias in node.names
            ]
    return {name.split(".")[1] for name in names if name.startswith("r1sgg_cli.")} - {"__version__"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_package_imports_only_what_stands_below_it(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own in ("__init__", "__main__"):
        pytest.skip("the package itself and the entry point stand outside the layers")
    assert imported_parts(path) <= MAY_IMPORT[own] | {own}


def test_every_library_that_is_imported_is_declared() -> None:
    """Another library's need of it may end with that library's next version."""
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {
        re.split(r"[\[<>=~!; ]", requirement)[0].lower().replace("_", "-")
        for part in (project["dependencies"], *project["optional-dependencies"].values())
        for requirement in part
    }
    trees = [ast.walk(ast.parse(path.read_text(encoding="utf-8"))) for path in PACKAGE.rglob("*.py")]
    nodes = [node for tree in trees for node in tree]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    imported = {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"r1sgg_cli"}
    distributions = packages_distributions()
    under = {name: {name, *distributions.get(name, ())} for name in imported}
    assert {
        name for name, called in under.items() if not {d.lower().replace("_", "-") for d in called} & declared
    } == set()


def test_every_package_is_named_in_the_rules() -> None:
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} - {"cli"}
    assert packages == {name for name in MAY_IMPORT if name not in BASE}


@pytest.mark.parametrize(
    "argv",
    [
        ["--help"],
        ["sft", "--help"],
        ["infer", "--help"],
        ["view", "--help"],
        ["report", "--help"],
        ["prepare", "--help"],
        ["nonsense"],
        ["sft"],
    ],
    ids=" ".join,
)
def test_help_and_usage_errors_import_nothing_heavy(argv: list[str]) -> None:
    code = (
        "import sys\n"
        "from r1sgg_cli.__main__ import main\n"
        "try:\n    main()\n"
        "except SystemExit: pass\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_readmes_file_tree_names_every_module_in_its_folder() -> None:
    tree = (PACKAGE.parent / "README.md").read_text(encoding="utf-8").split("## What is where")[1]
    modules = {str(path.relative_to(PACKAGE.parent)) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"}
    assert modules_named(tree) == modules


def modules_named(tree: str) -> set[str]:
    """Paths of the Python files in a tree whose folders end with a slash and hold what is indented below them."""
    folders: list[tuple[int, str]] = []
    named = set()
    for line in tree.splitlines():
        indent = len(line) - len(line.lstrip())
        folders = [(depth, name) for depth, name in folders if depth < indent]
        if folder := re.match(r" *(\w+)/(?!\S)", line):
            folders.append((indent, folder[1]))
        named |= {"/".join([*(name for _, name in folders), file]) for file in re.findall(r"\w+\.py\b", line)}
    return named
