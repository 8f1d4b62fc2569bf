"""Pictures of a training: confusion matrix, learning curves, reliability diagram.

Each function takes results and returns a `matplotlib.figure.Figure`. Text is never parsed as math.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

__all__ = ["confusion_matrix", "learning_curves", "reliability"]

_PAPER, _INK, _MUTED = "#ffffff", "#27272a", "#63636b"


def confusion_matrix(confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> Figure:
    """Draw how often each true class (rows) was taken for each class (columns).

    Args:
        confusion: counts (classes, classes).
        classes: their names.
    """
    counts = np.asarray(confusion)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure = Figure(figsize=(5.2, 4.4), facecolor=_PAPER)
    axes = figure.add_axes((0.2, 0.17, 0.75, 0.75))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        ink = "white" if shares[row, column] > 0.5 else _INK
        text = f"{counts[row, column]:,}\n{shares[row, column]:.0%}"
        axes.text(column, row, text, ha="center", va="center", fontsize=9, color=ink)
    places = range(len(classes))
    axes.set_xticks(places, classes, fontsize=9, parse_math=False)
    axes.set_yticks(places, classes, fontsize=9, parse_math=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    return figure


def learning_curves(history: Sequence[dict[str, Any]]) -> Figure:
    """Draw loss and F1 by epoch.

    Args:
        history: `Epoch.to_dict()` of each epoch, measured on validation rows.
    """
    epochs = [epoch["epoch"] for epoch in history]
    figure = Figure(figsize=(8, 3.4), facecolor=_PAPER)
    loss = figure.add_axes((0.09, 0.17, 0.38, 0.74))
    f1 = figure.add_axes((0.59, 0.17, 0.38, 0.74))
    loss.plot(epochs, [epoch["train_loss"] for epoch in history], marker="o", ms=3, label="training")
    loss.plot(epochs, [epoch["val_loss"] for epoch in history], marker="o", ms=3, label="validation")
    f1.plot(epochs, [epoch["val_f1"] for epoch in history], marker="o", ms=3, color="C1", label="validation")
    for axes, name in ((loss, "loss"), (f1, "weighted F1")):
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False, fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def reliability(bins: Mapping[str, Sequence[float]]) -> Figure:
    """Draw how often the model is right at each confidence, and below it how many headlines have that confidence.

    On the diagonal it is right as often as it says; above it, more often.

    Args:
        bins: `Reliability` as a dictionary: confidence, accuracy and counts of bins of equal width over 0 to 1.
    """
    counts = np.asarray(bins["counts"], dtype=float)
    filled = counts > 0
    confidence, accuracy = (np.asarray(bins[name])[filled] for name in ("confidence", "accuracy"))
    shares = counts / max(counts.sum(), 1)
    error = float(np.abs(confidence - accuracy) @ shares[filled])
    figure = Figure(figsize=(4.4, 4.8), facecolor=_PAPER)
    right = figure.add_axes((0.15, 0.38, 0.81, 0.57))
    many = figure.add_axes((0.15, 0.11, 0.81, 0.19))
    right.plot([0, 1], [0, 1], color=_MUTED, lw=0.9, ls="--", label="right as often as it says")
    right.plot(confidence, accuracy, marker="o", ms=4, label="this model")
    right.set_ylabel("share of right answers")
    right.set_ylim(0, 1.02)
    right.legend(frameon=False, fontsize=8, loc="upper left", title=f"calibration error {error:.3f}", title_fontsize=8)
    width = 1 / max(len(counts), 1)
    many.bar((np.arange(len(counts)) + 0.5) * width, shares, width=0.9 * width)
    many.set_ylabel("headlines")
    many.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    many.set_xlabel("probability of the predicted class")
    for axes in (right, many):
        axes.set_xlim(0, 1)
        axes.spines[["top", "right"]].set_visible(False)
    return figure
