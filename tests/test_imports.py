"""The house: what may import what, and what an import costs."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Data flows down this list: a module imports only from those above it.
ORDER = [
    *(
        "version",
        "errors",
        "config",
        "cleaning",
        "text",
        "sources",
        "splits",
        "batches",
        "model",
        "inference",
        "metrics",
        "explain",
        "filters",
    ),
    *(
        "sheet",
        "plots",
        "figures",
        "transport",
        "hub",
        "vectors",
        "training",
        "card",
        "artifacts",
        "classifier",
        "scoring",
        "export",
        "pipeline",
        "__main__",
    ),
]
MODULES = sorted(path for path in (ROOT / "textcnn").glob("*.py") if path.stem != "__init__")


def imported(source: str) -> set[str]:
    """The modules of the package that a source imports, at its top or within a function."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = ".".join(filter(None, ["textcnn", node.module]))
            names = [f"{base}.{alias.name}" for alias in node.names] if node.module is None else [base]
        elif isinstance(node, ast.ImportFrom) and node.module == "textcnn":
            names = [f"textcnn.{alias.name}" for alias in node.names]
        else:
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found |= {name.split(".")[1] for name in names if name.startswith("textcnn.")}
    return found


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("import textcnn.text\nfrom textcnn import model, errors as e", {"text", "model", "errors"}),
        ("def f():\n    from textcnn.plots import heatmap", {"plots"}),
        ("from . import hub\nfrom .card import model_card", {"hub", "card"}),
        ("import textcnnx.y, json\nfrom pathlib import Path", set()),
    ],
)
def test_imports_are_found_in_every_form(source: str, modules: set[str]) -> None:
    assert imported(source) == modules


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_imports_only_from_those_above_it(path: Path) -> None:
    assert path.stem in ORDER, f"{path.name} has no place in the house: put it into the list"
    above = set(ORDER[: ORDER.index(path.stem)])
    assert imported(path.read_text(encoding="utf-8")) <= above


@pytest.mark.parametrize("name", ["train.py", "app.py", "textcnn/__main__.py", "textcnn/scoring.py"])
def test_programs_use_the_public_face_and_nothing_below_the_model(name: str) -> None:
    """What reads predictions knows no network."""
    path = ROOT / name
    assert not imported(path.read_text(encoding="utf-8")) & {"model", "batches"}


def test_importing_the_package_loads_no_page_and_no_plots() -> None:
    """They take seconds, and a server that only predicts may not have them."""
    heavy = "{'gradio', 'matplotlib', 'pooch', 'huggingface_hub'}"
    code = f"import sys, textcnn; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_requirements_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = {*project["dependencies"], *extras["demo"], *extras["plots"]}
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    listed = [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]
    assert set(listed) == wanted
    assert len(listed) == len(set(listed))
