"""The README says what the benchmarks measured."""

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT

RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))


def test_the_figures_in_the_readme_are_those_of_the_results():
    done = subprocess.run(
        [sys.executable, "benchmarks/report.py", "--check"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_readme_that_says_something_else_is_found(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import report

    text = report.README.read_text(encoding="utf-8")
    assert report.filled(text) == text
    digit = text.index("0.", text.index("<!-- accuracy -->"))
    changed = text[: digit + 2] + "000" + text[digit + 5 :]
    assert report.filled(changed) == text


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_each_result_names_the_machine_the_versions_and_the_code(path):
    machine = json.loads(path.read_text(encoding="utf-8"))["machine"]
    assert machine["processor"]
    assert machine["versions"]["torch"]
    assert len(machine["commit"]) == 40
