"""F1 against the number of training titles, and what it suggests for all 120,000.

    python benchmarks/learning_curve.py --data train.csv [--seeds 1 2 3] [--vectors FOLDER]

For each seed the rows are split as in accuracy.py. The training rows are cut into nested subsets, each beginning with
the rows of the one before; the validation rows, by which the preset chooses its epoch, and the test rows stay whole.
The preset `default` keeps its settings at every size: at 1,000 titles its five epochs are 20 steps, which is little. C
of the LinearSVC is fixed at .25.

The extrapolation is a straight line over the logarithm of the titles through the last three sizes, read at 84,000, the
70 % of 120,000 that a split leaves for training. Nothing was measured there, and such curves flatten.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import common
import numpy as np
from peers import MODELS, Linear, Trained, preset

from textcnn import PRESETS, metrics, sources
from textcnn.pipeline import Rows, select
from textcnn.splits import split
from textcnn.text import LabelEncoder
from textcnn.vectors import Vectors, load_vectors

SIZES = (1_000, 2_000, 5_000, 10_000, 20_000)
FITTED = 3  # points the line goes through
AT = 84_000
SVC = "linear-svc-words-characters"


def main() -> None:
    """Train at every size with every seed, write the result after each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--vectors", help="folder of the word vectors, where the Hub is out of reach")
    parser.add_argument("--rows", type=int, help="the first so many rows only")
    options = parser.parse_args()
    data = sources.read_csv(options.data)
    if options.rows:
        data = replace(data, titles=data.titles[: options.rows], labels=data.labels[: options.rows])
    source = options.vectors or PRESETS["default"].train.vectors
    vectors = load_vectors(source) if source else None
    runs: list[dict[str, Any]] = []
    for seed in options.seeds:
        parts = split(data.titles, data.labels, seed=seed)
        order = np.random.default_rng(seed).permutation(parts.train)
        validation, test = select(data, parts.validation), select(data, parts.test)
        sizes = [size for size in SIZES if size < len(order)]
        for place, titles in enumerate([*sizes, len(order)]):
            rows = select(data, order[:titles])
            for name, trained in both(rows, validation, seed, vectors):
                f1 = f1_on(trained, test)
                runs.append({"seed": seed, "place": place, "titles": titles, "model": name, "f1": f1})
                print(f"seed {seed}  {titles:>6} titles  {name:<27} F1 {f1:.4f}", flush=True)
        content = {"data": {"sha256": data.sha256, "rows": len(data)}, "models": curves(runs), "runs": runs}
        common.write("learning_curve", content, show=False)


def both(rows: Rows, validation: Rows, seed: int, vectors: Vectors | None) -> list[tuple[str, Trained]]:
    """Train both models on the same rows."""
    svc = MODELS[SVC]
    assert isinstance(svc, Linear)
    return [
        ("default", preset("default", vectors)(rows, validation, seed)),
        (SVC, svc.fitted(rows, validation, seed, sublinear=True, value=0.25)),
    ]


def f1_on(trained: Trained, test: Rows) -> float:
    """Return the weighted F1 on the test rows."""
    targets = LabelEncoder.fit(trained.classes).encode(test.labels)
    return metrics.evaluate(targets, trained.predict_proba(test.titles), trained.classes).overall["f1"]


def curves(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return for each model its points, mean and deviation over the seeds, and the line through the last of them."""
    result = {}
    for model in dict.fromkeys(run["model"] for run in runs):
        points = []
        for place in sorted({run["place"] for run in runs}):
            of = [run for run in runs if run["model"] == model and run["place"] == place]
            # All rows are some more or fewer with each seed, as copies of a title stay together.
            titles = round(float(np.mean([run["titles"] for run in of])))
            points.append({"titles": titles, "f1": common.spread([run["f1"] for run in of])})
        result[model] = {"points": points, "line": line(points)}
    return result


def line(points: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the least-squares line of F1 over log2 of the titles through the last points, read at `AT`."""
    last = points[-FITTED:]
    titles, f1 = [point["titles"] for point in last], [point["f1"]["mean"] for point in last]
    slope, start = np.polyfit(np.log2(titles), f1, 1)
    return {
        "through": titles,
        "f1_a_doubling": float(slope),
        "at": AT,
        "f1": float(start + slope * np.log2(AT)),
    }


if __name__ == "__main__":
    main()
