"""What the benchmarks share: where results go, and what they were measured with."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

# `python benchmarks/...` finds the library beside it, installed or not; every benchmark imports this module first.
sys.path.insert(0, str(Path(__file__).parent.parent))

# TEXTCNN_RESULTS=FOLDER keeps the trials away from what is committed.
RESULTS = Path(os.environ.get("TEXTCNN_RESULTS") or Path(__file__).parent / "results")
VERSIONS = ("torch", "numpy", "scikit-learn", "gradio", "fasttext-wheel", "transformers", "lime", "shap", "captum")


def machine() -> dict[str, Any]:
    """Return what figures depend on beside the code: processor, threads, versions, commit."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in VERSIONS},
        "commit": _commit(),
    }


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Return mean, standard deviation over the runs, and the values themselves."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"mean": float(np.mean(values)), "deviation": deviation, "values": [float(value) for value in values]}


def write(name: str, content: Mapping[str, Any], *, show: bool = True) -> None:
    """Write a result with the machine it was measured on, and print it unless `show` is off."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    result = {**content, "machine": machine()}
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if show:
        print(json.dumps(content, indent=2))


def measured_on(result: dict[str, Any]) -> str:
    """What it was measured on, in words."""
    of = result["machine"]
    return f"{of['cores']} cores of {of['processor']}, torch {of['versions']['torch']}"


def amount(value: float) -> str:
    """A number of two or three digits, larger ones in thousands."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    found = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent, check=False
    )
    return found.stdout.strip() or None
