"""Pictures: each function takes results and returns a `matplotlib.figure.Figure`.

Figures are built without pyplot, which keeps global state and is not safe in threads; text is never parsed as math.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from textcnn.explain import Explanation

__all__ = ["Style", "confusion_matrix", "heatmap", "learning_curves", "to_png"]

_MAX_TOKENS = 60  # columns that can still be read


@dataclass(frozen=True)
class Style:
    """Colours of the paper and the ink."""

    background: str
    ink: str
    muted: str


STYLES = {
    "light": Style(background="#ffffff", ink="#1f2328", muted="#656d76"),
    "dark": Style(background="#18181b", ink="#e6e6e9", muted="#a1a1aa"),
}
# Both diverge around zero and can be told apart without red-green vision; two palettes, because how strongly a filter
# fired and what a word pushed are two things.
_FIRED = "PuOr_r"
_PUSHED = "RdBu_r"


def to_png(figure: Figure, dpi: int = 120) -> bytes:
    """Return the figure as a PNG file."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png", dpi=dpi, facecolor=figure.get_facecolor())
    return buffer.getvalue()


def heatmap(explanation: Explanation, style: str = "light", max_filters: int = 40) -> Figure:
    """Draw which token fired which filter, and above it what each token pushed (lesson: Interpretability).

    The map shows the values that enter the max over time, on one colour scale for all headlines; the frames are the
    windows that won. The strip above shows each token's contribution to the predicted class.

    Args:
        explanation: of one headline.
        style: "light" or "dark".
        max_filters: how many filters to show, those that moved the predicted class most.
    """
    colours = STYLES[style]
    if not explanation.tokens:
        return _nothing_to_read(colours)
    target = explanation.classes.index(explanation.label)
    columns = _columns(explanation, target)
    moved = np.abs(explanation.by_filter[target].sum(1))
    filters = np.argsort(-moved, kind="stable")[:max_filters]
    width = max(6.0, 0.55 * len(columns) + 2.2)
    height = 2.6 + 0.17 * len(filters)
    figure = Figure(figsize=(width, height), facecolor=colours.background)
    left, right = 0.75 / width, 1 - 1.35 / width
    strip_top, strip_bottom = 1 - 0.75 / height, 1 - 1.05 / height
    map_top, map_bottom = 1 - 1.15 / height, 1.15 / height
    strip = figure.add_axes((left, strip_bottom, right - left, strip_top - strip_bottom))
    axes = figure.add_axes((left, map_bottom, right - left, map_top - map_bottom))
    _draw_strip(strip, explanation, target, columns, colours)
    _draw_map(axes, explanation, columns, filters, colours)
    _draw_scale(figure, axes, colours, right, width, map_bottom, map_top)
    _title(figure, explanation, len(filters), len(columns), colours, left, height)
    return figure


def _columns(explanation: Explanation, target: int) -> np.ndarray:
    """The tokens to show, in reading order: all, or those that moved the class most."""
    strength = np.abs(explanation.contributions[target])
    return np.sort(np.argsort(-strength, kind="stable")[:_MAX_TOKENS])


def _draw_strip(axes: Axes, explanation: Explanation, target: int, columns: np.ndarray, colours: Style) -> None:
    pushed = explanation.contributions[target][columns]
    reach = max(1.0, float(np.abs(pushed).max()))
    axes.imshow(pushed[None], cmap=_PUSHED, norm=Normalize(-reach, reach), aspect="auto", interpolation="nearest")
    for place, value in enumerate(pushed):
        dark = abs(value) > 0.6 * reach
        axes.text(place, 0, f"{value:+.1f}", ha="center", va="center", fontsize=7, color="white" if dark else "#1f2328")
    _bare(axes, colours)
    axes.set_yticks([0], ["pushed"], fontsize=8, color=colours.ink)


def _draw_map(axes: Axes, explanation: Explanation, columns: np.ndarray, filters: np.ndarray, colours: Style) -> None:
    scale = explanation.picture_scale
    values = explanation.values[np.ix_(filters, columns)]
    axes.imshow(values, cmap=_FIRED, norm=Normalize(-scale, scale), aspect="auto", interpolation="nearest")
    place_of = {int(token): place for place, token in enumerate(columns)}
    for row, filter_ in enumerate(filters):
        shown = [place_of[t] for t in range(*explanation.window(int(filter_))) if t in place_of]
        if explanation.active[filter_] and shown:
            frame = Rectangle(
                (shown[0] - 0.5, row - 0.5), shown[-1] - shown[0] + 1, 1, fill=False, lw=0.9, edgecolor=colours.ink
            )
            axes.add_patch(frame)
    _bare(axes, colours)
    words = [_shown(explanation, int(column)) for column in columns]
    axes.set_xticks(range(len(columns)), words, rotation=40, ha="right", fontsize=9, parse_math=False)
    for tick, column in zip(axes.get_xticklabels(), columns, strict=True):
        known = explanation.tokens[column].known
        tick.set_color(colours.ink if known else colours.muted)
        tick.set_fontstyle("normal" if known else "italic")
    axes.set_yticks(range(len(filters)), [str(f) for f in filters], fontsize=6.5, color=colours.muted)
    axes.set_ylabel("filters, the most moving first", fontsize=8, color=colours.ink)


def _shown(explanation: Explanation, column: int) -> str:
    """The token as the reader typed it, cut to a length that fits; a question mark where the model has no such word."""
    token = explanation.tokens[column]
    typed = "".join(c if c.isprintable() else "?" for c in explanation.title[token.start : token.end])
    typed = typed if len(typed) <= 16 else typed[:15] + "…"
    return typed if token.known else f"{typed} ?"


def _draw_scale(
    figure: Figure, axes: Axes, colours: Style, right: float, width: float, bottom: float, top: float
) -> None:
    bar_axes = figure.add_axes((right + 0.2 / width, bottom, 0.14 / width, top - bottom))
    bar = figure.colorbar(axes.images[0], cax=bar_axes)
    bar.outline.set_visible(False)
    bar_axes.tick_params(labelsize=7, colors=colours.muted, length=2)
    bar_axes.set_ylabel("filter output", fontsize=8, color=colours.ink)


def _title(
    figure: Figure, explanation: Explanation, filters: int, columns: int, colours: Style, left: float, height: float
) -> None:
    probability = explanation.distribution[explanation.label]
    bias = explanation.bias[explanation.classes.index(explanation.label)]
    figure.text(
        left, 1 - 0.28 / height, f"{explanation.label}, {probability:.0%}", fontsize=12, weight="bold",
        color=colours.ink, va="center", parse_math=False,
    )  # fmt: skip
    words = f"{len(explanation.tokens)} words" if columns == len(explanation.tokens) else (
        f"the strongest {columns} of {len(explanation.tokens):,} words"
    )  # fmt: skip
    figure.text(
        left, 1 - 0.55 / height,
        f"{words}, the strongest {filters} of {len(explanation.values)} filters; frames: winning windows; "
        f"bias {bias:+.1f}; ?: unknown word",
        fontsize=7, color=colours.muted, va="center", parse_math=False,
    )  # fmt: skip


def _nothing_to_read(colours: Style) -> Figure:
    figure = Figure(figsize=(6, 1.6), facecolor=colours.background)
    figure.text(0.5, 0.5, "No word to read in this headline.", ha="center", va="center", color=colours.ink)
    return figure


def confusion_matrix(confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> Figure:
    """Draw how often each true class (rows) was taken for each class (columns).

    Args:
        confusion: counts (classes, classes).
        classes: their names.
    """
    colours = STYLES["light"]
    counts = np.asarray(confusion)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure = Figure(figsize=(5.2, 4.4), facecolor=colours.background)
    axes = figure.add_axes((0.2, 0.17, 0.75, 0.75))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        ink = "white" if shares[row, column] > 0.5 else colours.ink
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
    colours = STYLES["light"]
    epochs = [epoch["epoch"] for epoch in history]
    figure = Figure(figsize=(8, 3.4), facecolor=colours.background)
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


def _bare(axes: Axes, colours: Style) -> None:
    axes.set_xticks([])
    axes.tick_params(length=0, colors=colours.ink)
    for spine in axes.spines.values():
        spine.set_visible(False)
