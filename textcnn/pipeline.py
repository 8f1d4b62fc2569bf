"""The steps of `train.py` after the headlines are read: fit, calibrate, measure, describe."""

import platform
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from textcnn import metrics
from textcnn.classifier import HeadlineClassifier
from textcnn.config import Config
from textcnn.explain import picture_scale
from textcnn.filters import FilterSummary, summarize_filters
from textcnn.sources import Headlines
from textcnn.splits import Split
from textcnn.training import Epoch, Fit, fit
from textcnn.vectors import Vectors

__all__ = ["Rows", "calibrated", "figures", "filters", "fit_rows", "measure", "performance", "select"]


@dataclass(frozen=True)
class Rows:
    """Titles and their labels."""

    titles: list[str]
    labels: list[str]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.titles)


def select(data: Headlines, rows: np.ndarray | None = None) -> Rows:
    """Return some rows of the headlines by number, or all."""
    if rows is None:
        return Rows(data.titles, data.labels)
    return Rows([data.titles[row] for row in rows], [data.labels[row] for row in rows])


def fit_rows(
    rows: Rows,
    config: Config,
    *,
    validation: Rows | None = None,
    replay: list[Epoch] | None = None,
    vectors: Vectors | None = None,
    device: torch.device | None = None,
) -> Fit:
    """Train on rows with a progress bar; see `training.fit`."""
    watched = None if validation is None else (validation.titles, validation.labels)
    return fit(
        rows.titles,
        rows.labels,
        config,
        validation=watched,
        replay=replay,
        vectors=vectors,
        device=device,
        progress=True,
    )


def calibrated(fitted: Fit, config: Config, validation: Rows) -> HeadlineClassifier:
    """Return the fitted model as a reader of its artifacts gets it, with temperature and picture scale.

    It goes through a folder, because what is stored (the embedding in float16) is what must be measured. The
    preset `lesson` keeps a temperature of 1: its probabilities are those of the lesson.
    """
    with tempfile.TemporaryDirectory() as folder:
        HeadlineClassifier.from_fit(fitted, config).save_pretrained(Path(folder) / "fitted")
        model = HeadlineClassifier.from_pretrained(Path(folder) / "fitted")
    targets = model.label_encoder.encode(validation.labels)
    temperature = (
        1.0 if config.preset == "lesson" else metrics.fit_temperature(targets, model.logits(validation.titles))
    )
    scale = picture_scale(model.model, model.tokenizer.texts_to_sequences(validation.titles[:2_000]))
    return HeadlineClassifier(
        config, model.tokenizer, model.label_encoder, model.model, temperature=temperature, picture_scale=scale
    )


def measure(model: HeadlineClassifier, rows: Rows) -> metrics.Performance:
    """Return the model's figures on rows that it has not learned from."""
    return metrics.evaluate(model.label_encoder.encode(rows.labels), model.predict_proba(rows.titles), model.classes)


def performance(
    measured: metrics.Performance,
    official_test: metrics.Performance | None,
    *,
    data: Headlines,
    split: Split,
    config: Config,
    fitted: Fit,
    shipped: Fit,
) -> dict[str, Any]:
    """Return the content of performance.json: the figures, and what they were measured on.

    What was read is named by its sha256 and its counts, never by a path.
    """
    return {
        **measured.to_dict(),
        "official_test": None if official_test is None else official_test.overall,
        "data": data.describe(),
        "split": {
            "method": config.train.split,
            "train": len(split.train),
            "validation": len(split.validation),
            "test": len(split.test),
            "seed": config.train.seed,
        },
        "shipped": {
            "refit": config.train.refit,
            "rows": shipped.rows,
            "no_words": shipped.no_words,
            "epochs": fitted.best_epoch,
            "vocabulary": len(shipped.tokenizer),
        },
        "history": [epoch.to_dict() for epoch in fitted.history],
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numpy", "nltk", "scikit-learn")},
        },
    }


def filters(fitted: Fit, rows: Rows) -> tuple[FilterSummary, ...]:
    """Return what each filter of a fitted model looks for, from the rows that it learned from."""
    return summarize_filters(fitted.model, fitted.tokenizer, fitted.label_encoder.classes, rows.titles)


def figures(content: Mapping[str, Any], classes: list[str]) -> dict[str, bytes]:
    """Return the pictures of a training as PNG files by name, from the content of performance.json."""
    from textcnn import figures as draw  # matplotlib is heavy, and only needed here
    from textcnn.sheet import to_png

    return {
        "learning_curves.png": to_png(draw.learning_curves(content["history"])),
        "confusion_matrix.png": to_png(draw.confusion_matrix(content["confusion"], classes)),
        "reliability.png": to_png(draw.reliability(content["reliability"])),
    }
