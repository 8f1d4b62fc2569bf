"""Pictures: each function takes results and returns a `matplotlib.figure.Figure`.

Figures are built without pyplot, which keeps global state and is not safe in threads. Text is never parsed as math, so
that a headline may say $5 and x_1.
"""

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from textcnn.explain import Explanation

__all__ = ["confusion_matrix", "heatmap", "learning_curves", "reliability", "to_png"]

_MAX_TOKENS = 60  # columns that can still be read
_COLUMN, _ROW = 0.30, 0.13  # inches of a token and of a filter
_LEFT, _RIGHT, _TOP, _STRIP, _GAP, _SCALE = 0.62, 0.22, 0.66, 0.24, 0.07, 0.68  # inches around the map
_LETTER = 0.09  # inches of a letter of the words below the map


@dataclass(frozen=True)
class Style:
    """Colours of a picture.

    Each palette diverges around zero and can be told apart without red-green vision. There are two, because how
    strongly a filter fired and what a word pushed are two things.
    """

    paper: str
    ink: str
    muted: str
    fired: Colormap
    pushed: Colormap


def _palette(*colours: str) -> Colormap:
    return LinearSegmentedColormap.from_list("diverging", colours)


_STYLES = {
    "light": Style(
        paper="#ffffff",
        ink="#27272a",
        muted="#63636b",
        fired=_palette("#4c1d95", "#a78bfa", "#f7f7f8", "#f5a34a", "#8a3b06"),
        pushed=_palette("#1e5fa8", "#f4f4f5", "#b3202c"),
    ),
    "dark": Style(
        paper="#18181b",
        ink="#e8e8ea",
        muted="#a8a8b0",
        fired=_palette("#c4b5fd", "#6d4fd0", "#222226", "#b4620f", "#ffc47a"),
        pushed=_palette("#6cb2f5", "#26262b", "#ff7a70"),
    ),
}


def to_png(figure: Figure, dpi: int = 200) -> bytes:
    """Return the figure as a PNG file."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        # A word in a script that no installed font has is drawn as boxes; the page shows it as typed.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="png", dpi=dpi, facecolor=figure.get_facecolor())
    return buffer.getvalue()


def heatmap(explanation: Explanation, style: str = "light", max_filters: int = 40) -> Figure:
    """Draw which token fired which filter, and above it what each token pushed (lesson: Interpretability).

    The map shows the values that enter the max over time, on one colour scale for all headlines; frames are the windows
    that won. The strip above shows each token's contribution to the predicted class. A headline of more than 60 tokens
    shows the 60 that moved the class most, in reading order.

    Args:
        explanation: of one headline.
        style: "light" or "dark".
        max_filters: how many filters to show, those that moved the predicted class most.
    """
    look = _STYLES[style]
    if not explanation.tokens:
        return _nothing_to_read(look)
    target = explanation.classes.index(explanation.label)
    columns = _strongest(explanation.contributions[target], _MAX_TOKENS)
    columns.sort()
    filters = _strongest(explanation.by_filter[target].sum(1), max_filters)
    words = [_as_typed(explanation, int(column)) for column in columns]
    wide, high = _COLUMN * max(9, len(columns)), _ROW * max(4, len(filters))
    below = _LETTER * max(map(len, words)) + _SCALE
    width, height = _LEFT + wide + _RIGHT, _TOP + _STRIP + _GAP + high + below
    figure = Figure(figsize=(width, height), facecolor=look.paper)

    def axes_at(left: float, top: float, wide: float, high: float) -> Axes:  # in inches from the upper left corner
        place = (left / width, 1 - (top + high) / height, wide / width, high / height)
        return figure.add_axes(place, facecolor=look.paper)

    _draw_title(figure, explanation, len(columns), len(filters), look)
    _draw_strip(axes_at(_LEFT, _TOP, wide, _STRIP), explanation.contributions[target][columns], look)
    map_axes = axes_at(_LEFT, _TOP + _STRIP + _GAP, wide, high)
    _draw_map(map_axes, explanation, columns, filters, look)
    map_axes.set_xticks(range(len(columns)), words, rotation=90, fontsize=9.5, parse_math=False)
    for tick, column in zip(map_axes.get_xticklabels(), columns, strict=True):
        known = explanation.tokens[column].known
        tick.set(color=look.ink if known else look.muted, fontstyle="normal" if known else "italic")
    _draw_scale(axes_at(_LEFT + 0.62, height - 0.30, wide - 1.24, 0.12), explanation.picture_scale, look)
    return figure


def _strongest(values: np.ndarray, count: int) -> np.ndarray:
    """The places of the `count` largest values by size, the largest first."""
    return np.argsort(-np.abs(values), kind="stable")[:count]


def _draw_title(figure: Figure, explanation: Explanation, columns: int, filters: int, look: Style) -> None:
    width, height = figure.get_size_inches()
    label, every = explanation.label, len(explanation.tokens)
    bias = explanation.bias[explanation.classes.index(label)]
    words = f"{every} words" if columns == every else f"the strongest {columns} of {every:,} words"
    left = _LEFT / width
    title = f"{label}, {explanation.distribution[label]:.0%}"
    figure.text(left, 1 - 0.24 / height, title, fontsize=12, weight="bold", color=look.ink, va="center")
    figure.text(
        left,
        1 - 0.48 / height,
        f"{words}; the strongest {filters} of {len(explanation.values)} filters. Bias {bias:+.1f}",
        fontsize=7.5,
        color=look.muted,
        va="center",
    )
    for text in figure.texts:
        text.set_parse_math(False)


def _draw_strip(axes: Axes, pushed: np.ndarray, look: Style) -> None:
    """One cell a token: what it added to the predicted class's logit, at least 1 to the end of the colours."""
    reach = max(1.0, float(np.abs(pushed).max()))
    axes.imshow(pushed[None], cmap=look.pushed, norm=Normalize(-reach, reach), aspect="auto", interpolation="nearest")
    for place, value in enumerate(pushed):
        figure = f"{value:+.1f}" if abs(value) >= 0.05 else "0"
        ink = _ink_on(look.pushed((value / reach + 1) / 2))
        axes.text(place, 0, figure, ha="center", va="center", fontsize=6.5, color=ink)
    _bare(axes)
    axes.set_yticks([0], ["pushed"], fontsize=7.5, color=look.ink)


def _ink_on(colour: Sequence[float]) -> str:
    """Black or white, whichever has more contrast with a colour: 4.5 at least (WCAG 2, relative luminance)."""
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3])
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#ffffff" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "#000000"


def _draw_map(axes: Axes, explanation: Explanation, columns: np.ndarray, filters: np.ndarray, look: Style) -> None:
    scale = explanation.picture_scale
    values = explanation.values[np.ix_(filters, columns)]
    axes.imshow(values, cmap=look.fired, norm=Normalize(-scale, scale), aspect="auto", interpolation="nearest")
    place_of = {int(token): place for place, token in enumerate(columns)}
    for row, filter_ in enumerate(filters):
        shown = [place_of[token] for token in range(*explanation.window(int(filter_))) if token in place_of]
        if explanation.active[filter_] and shown:
            corner = (shown[0] - 0.5, row - 0.5)
            axes.add_patch(Rectangle(corner, shown[-1] - shown[0] + 1, 1, fill=False, lw=0.9, edgecolor=look.ink))
    _bare(axes)
    axes.set_yticks([])
    axes.set_ylabel("filters", fontsize=7.5, color=look.ink, labelpad=6)


def _as_typed(explanation: Explanation, column: int) -> str:
    """The token as the reader typed it, of a length that fits; a question mark where the model has no such word."""
    token = explanation.tokens[column]
    typed = "".join(c if c.isprintable() else "?" for c in explanation.title[token.start : token.end])
    typed = typed if len(typed) <= 13 else typed[:12] + "…"
    return typed if token.known else f"{typed} (?)"


def _draw_scale(axes: Axes, scale: float, look: Style) -> None:
    """The colours of the map from one end to the other, with words for both ends."""
    axes.imshow(np.linspace(-1, 1, 101)[None], cmap=look.fired, aspect="auto", extent=(-scale, scale, 0, 1))
    _bare(axes)
    axes.set_yticks([])
    axes.set_title("filter output; frames: the windows that won", fontsize=7.5, color=look.muted, pad=3)
    for side, align, value in ((-0.02, "right", -scale), (1.02, "left", scale)):
        axes.text(
            side, 0.45, f"{value:+.1f}", ha=align, va="center", fontsize=7.5, color=look.ink, transform=axes.transAxes
        )


def _nothing_to_read(look: Style) -> Figure:
    figure = Figure(figsize=(4.2, 1.4), facecolor=look.paper)
    figure.text(0.5, 0.5, "No word to read in this headline.", ha="center", va="center", color=look.ink)
    return figure


def confusion_matrix(confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> Figure:
    """Draw how often each true class (rows) was taken for each class (columns).

    Args:
        confusion: counts (classes, classes).
        classes: their names.
    """
    look = _STYLES["light"]
    counts = np.asarray(confusion)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure = Figure(figsize=(5.2, 4.4), facecolor=look.paper)
    axes = figure.add_axes((0.2, 0.17, 0.75, 0.75))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        ink = "white" if shares[row, column] > 0.5 else look.ink
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
    figure = Figure(figsize=(8, 3.4), facecolor=_STYLES["light"].paper)
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
    look = _STYLES["light"]
    counts = np.asarray(bins["counts"], dtype=float)
    filled = counts > 0
    confidence, accuracy = (np.asarray(bins[name])[filled] for name in ("confidence", "accuracy"))
    shares = counts / max(counts.sum(), 1)
    error = float(np.abs(confidence - accuracy) @ shares[filled])
    figure = Figure(figsize=(4.4, 4.8), facecolor=look.paper)
    right = figure.add_axes((0.15, 0.38, 0.81, 0.57))
    many = figure.add_axes((0.15, 0.11, 0.81, 0.19))
    right.plot([0, 1], [0, 1], color=look.muted, lw=0.9, ls="--", label="right as often as it says")
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


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
