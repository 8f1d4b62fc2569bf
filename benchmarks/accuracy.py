"""Accuracy of the presets and of the usual classical model, on the same rows.

    python benchmarks/accuracy.py --data train.csv [--seeds 1 2 3] [--vectors FOLDER]

For each seed the rows are split anew, copies of one title on one side. Every model learns from the training rows, is
chosen on the validation rows, and is measured on the test rows. Figures are weighted F1.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import spread, write
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from textcnn import PRESETS, HeadlineClassifier, sources
from textcnn.pipeline import Rows, select
from textcnn.splits import split
from textcnn.text import clean
from textcnn.training import fit
from textcnn.vectors import Vectors, load_vectors


def main() -> None:
    """Measure every model with every seed, write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--vectors", help="folder of the word vectors, where the Hub is out of reach")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    options = parser.parse_args()
    data = sources.read_csv(options.data)
    if options.vectors:
        MODELS["default"] = preset("default", vectors=load_vectors(options.vectors))
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in options.models}
    for seed in options.seeds:
        parts = split(data.titles, data.labels, seed=seed)
        train, validation, test = (select(data, rows) for rows in (parts.train, parts.validation, parts.test))
        for name in options.models:
            started = time.perf_counter()
            predict = MODELS[name](train, validation, seed)
            seconds = time.perf_counter() - started
            f1 = f1_score(test.labels, predict(test.titles), average="weighted")
            runs[name].append({"seed": seed, "f1": float(f1), "train_s": seconds})
            print(f"seed {seed}  {name:<24} F1 {f1:.4f}  {seconds:.0f} s", flush=True)
    write(
        "accuracy",
        {
            "data": {"sha256": data.sha256, "rows": len(data)},
            "f1": {name: spread([run["f1"] for run in of]) for name, of in runs.items()},
            "train_seconds": {name: spread([run["train_s"] for run in of]) for name, of in runs.items()},
            "default_minus": {
                name: spread([a["f1"] - b["f1"] for a, b in zip(runs["default"], of, strict=True)])
                for name, of in runs.items()
                if name != "default" and "default" in runs
            },
        },
    )


Predict = Callable[[list[str]], list[str]]


def preset(name: str, vectors: Vectors | None = None) -> Callable[[Rows, Rows, int], Predict]:
    """Return how a preset is trained."""

    def train(rows: Rows, validation: Rows, seed: int) -> Predict:
        config = PRESETS[name].replace(seed=seed)
        watched = (validation.titles, validation.labels)
        fitted = fit(rows.titles, rows.labels, config, validation=watched, vectors=vectors)
        model = HeadlineClassifier.from_fit(fitted, config)
        return lambda titles: model.label_encoder.decode(model.predict_proba(titles).argmax(1))

    return train


def logistic_regression(rows: Rows, validation: Rows, seed: int) -> Predict:
    """TF-IDF of words and pairs of words, logistic regression; its strength C chosen on the validation rows."""
    vectorizer = TfidfVectorizer(preprocessor=clean, ngram_range=(1, 2), sublinear_tf=True)
    features = vectorizer.fit_transform(rows.titles)
    watched = vectorizer.transform(validation.titles)
    models = [LogisticRegression(C=c, max_iter=500).fit(features, rows.labels) for c in (1.0, 3.0, 10.0)]
    scores = [f1_score(validation.labels, model.predict(watched), average="weighted") for model in models]
    best = models[int(np.argmax(scores))]
    return lambda titles: list(best.predict(vectorizer.transform(titles)))


MODELS: dict[str, Callable[[Rows, Rows, int], Predict]] = {
    "default": preset("default"),
    "lesson": preset("lesson"),
    "tfidf-logistic-regression": logistic_regression,
}


if __name__ == "__main__":
    main()
