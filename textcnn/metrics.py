"""How good predictions are: overall, per class, confusions, calibration."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix, log_loss, precision_recall_fscore_support

__all__ = ["Performance", "Reliability", "evaluate", "fit_temperature", "reliability"]


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy in bins of equal width over 0 to 1."""

    confidence: list[float]  # mean probability of the predicted class in each bin; 0 in an empty one
    accuracy: list[float]  # share of right answers in each bin; 0 in an empty one
    counts: list[int]

    @property
    def expected_calibration_error(self) -> float:
        """Mean gap between confidence and accuracy, bins weighted by their counts (Naeini et al. 2015), 0 to 1."""
        gaps = np.abs(np.subtract(self.confidence, self.accuracy))
        return float(np.average(gaps, weights=self.counts)) if sum(self.counts) else 0.0


@dataclass(frozen=True)
class Performance:
    """Figures of one model on one set of headlines. Precision, recall, F1 and accuracy are shares from 0 to 1."""

    overall: dict[str, float]  # precision, recall and f1 weighted by class; macro_f1, accuracy, log_loss (nats), ...
    per_class: dict[str, dict[str, float]]  # precision, recall, f1, num_samples of each class
    confusion: list[list[int]]  # rows: true class; columns: predicted class
    reliability: Reliability

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain dictionaries; `class` is the lesson's name for the figures per class."""
        content = asdict(self)
        content["class"] = content.pop("per_class")
        return content


def evaluate(y_true: np.ndarray, y_prob: np.ndarray, classes: Sequence[str]) -> Performance:
    """Measure predictions (lesson: Evaluation, whose figures are `overall` precision, recall and f1).

    A class that never occurs keeps its place with zeros.

    Args:
        y_true: class indices (headlines,).
        y_prob: probabilities (headlines, classes).
        classes: class names by index.
    """
    indices = list(range(len(classes)))
    y_pred = y_prob.argmax(1)
    exact = y_prob.astype(np.float64)
    exact /= exact.sum(1, keepdims=True)  # float32 rows sum to 1 but for rounding
    weighted = precision_recall_fscore_support(y_true, y_pred, labels=indices, average="weighted", zero_division=0)
    per_class = precision_recall_fscore_support(y_true, y_pred, labels=indices, average=None, zero_division=0)
    bins = reliability(y_true, y_prob)
    overall = {
        "precision": weighted[0],
        "recall": weighted[1],
        "f1": weighted[2],
        "macro_f1": np.mean(per_class[2]),
        "accuracy": np.mean(y_pred == y_true),
        "log_loss": log_loss(y_true, exact, labels=indices),
        "expected_calibration_error": bins.expected_calibration_error,
        "num_samples": len(y_true),
    }
    names = ("precision", "recall", "f1", "num_samples")
    return Performance(
        overall={name: float(value) for name, value in overall.items()},
        per_class={
            class_: {name: float(values[i]) for name, values in zip(names, per_class, strict=True)}
            for i, class_ in enumerate(classes)
        },
        confusion=confusion_matrix(y_true, y_pred, labels=indices).tolist(),
        reliability=bins,
    )


def reliability(y_true: np.ndarray, y_prob: np.ndarray, num_bins: int = 15) -> Reliability:
    """Compare confidence with accuracy in bins.

    Args:
        y_true: class indices (headlines,).
        y_prob: probabilities (headlines, classes).
        num_bins: bins of equal width over 0 to 1.
    """
    confidence = y_prob.max(1).astype(np.float64)
    right = (y_prob.argmax(1) == y_true).astype(np.float64)
    bins = np.minimum((confidence * num_bins).astype(int), num_bins - 1)
    counts = np.bincount(bins, minlength=num_bins)
    filled = np.maximum(counts, 1)
    return Reliability(
        confidence=(np.bincount(bins, confidence, num_bins) / filled).tolist(),
        accuracy=(np.bincount(bins, right, num_bins) / filled).tolist(),
        counts=counts.tolist(),
    )


def fit_temperature(y_true: np.ndarray, logits: np.ndarray) -> float:
    """Return the temperature T that gives softmax(logits / T) the least log loss (Guo et al. 2017).

    Args:
        y_true: class indices (headlines,).
        logits: (headlines, classes), of headlines that the model was not trained on.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    logits = logits.astype(np.float64)
    rows = np.arange(len(y_true))

    def loss(log_temperature: float) -> float:
        return float(-log_softmax(logits / np.exp(log_temperature), axis=1)[rows, y_true].mean())

    # Between a tenth and ten: a handful of validation headlines, all right or all wrong, has no finite optimum.
    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.1), np.log(10)), method="bounded").x))
