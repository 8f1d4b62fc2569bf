"""The heat map of an explanation, as a `matplotlib.figure.Figure`."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
from matplotlib.figure import Figure

from textcnn.errors import DataError
from textcnn.explain import Explanation
from textcnn.sheet import STYLES, Sheet, Style, shape
from textcnn.text import shorten

__all__ = ["alternative_text", "heatmap", "picture_size"]

_MAX_TOKENS = 60  # columns that can still be read
_ROW, _STRIP, _GAP = 0.135, 0.22, 0.06  # inches: height of a filter, of the strip, and between the parts
_LEFT, _BARS, _MARGIN = 1.26, 0.42, 0.10  # inches: the filters' names, what they moved, the right edge
_TITLE, _SCALE = 0.60, 0.62  # inches above the words and below the map
_NARROWEST = 4.1  # inches of a picture: room for its title
_NOTHING = "No word to read in this headline."


def heatmap(
    explanation: Explanation,
    style: str = "light",
    max_filters: int = 40,
    target: str | None = None,
    reach: float | None = None,
) -> Figure:
    """Draw which token fired which filter, and above it what each token pushed (lesson: Interpretability).

    The map shows the values that enter the max over time, on one colour scale for all headlines; frames are the windows
    that won. The strip above shows each token's contribution to a class, and the bias; bars show what each filter
    moved. A headline of more than 60 tokens shows the 60 that moved the class most, in reading order.

    Args:
        explanation: of one headline.
        style: "light" or "dark".
        max_filters: how many filters to show, those that moved the class most.
        target: the class, by default the predicted one.
        reach: where the strip's colours end, by default `Explanation.push_scale`; give one to compare two pictures.

    Raises:
        DataError: no such class, or no filter to show.
    """
    look = STYLES[style]
    class_ = explanation.class_index(target)
    layout = _Layout.of(explanation, class_, max_filters)
    sheet = Sheet(layout.width, layout.height, look)
    if not explanation.tokens:
        sheet.write(layout.width / 2, layout.height / 2, _NOTHING, 10, look.ink, "center")
        return sheet.figure
    columns, filters, cell, strip, top = layout.columns, layout.filters, layout.cell, layout.strip, layout.top
    _draw_title(sheet, explanation, class_, len(columns), len(filters), look)
    _draw_words(sheet, explanation, layout.words, columns, cell, strip - 0.05, look)
    pushed, bias = explanation.contributions[class_][columns], float(explanation.bias[class_])
    reach = reach or explanation.push_scale(target)
    _draw_pushed(sheet, pushed, bias, reach, (_LEFT, strip, cell), layout.bars, look)
    _draw_map(sheet, explanation, columns, filters, (_LEFT, top, cell), look)
    _draw_names(sheet, explanation, filters, top, look)
    _draw_bars(sheet, layout.moved[filters], layout.bars, top, look)
    _draw_scale(sheet, explanation.picture_scale, top + _ROW * len(filters), look)
    return sheet.figure


def picture_size(explanation: Explanation, max_filters: int = 40, target: str | None = None) -> tuple[float, float]:
    """Return the width and the height of the heat map in inches, without drawing it.

    Raises:
        DataError: no such class, or no filter to show.
    """
    layout = _Layout.of(explanation, explanation.class_index(target), max_filters)
    return layout.width, layout.height


@dataclass(frozen=True)
class _Layout:
    """What is shown, and where, in inches."""

    columns: np.ndarray  # (tokens shown,) in reading order
    filters: np.ndarray  # (filters shown,) the one that moved the class most first
    moved: np.ndarray  # (filters,) what each added to the class's logit
    words: list[str]  # over the columns
    cell: float  # width of a column
    strip: float  # upper edge of the strip
    top: float  # upper edge of the map
    bars: float  # left edge of the bars
    width: float
    height: float

    @classmethod
    def of(cls, explanation: Explanation, class_: int, max_filters: int) -> Self:
        if max_filters < 1:
            raise DataError(f"Got max_filters={max_filters}: a map shows at least 1.")
        moved = explanation.by_filter[class_].sum(1)
        columns = np.sort(_strongest(explanation.contributions[class_], _MAX_TOKENS))
        filters = _strongest(moved, max_filters)
        words = [_as_typed(explanation, int(column)) for column in columns]
        if not words:
            return cls(columns, filters, moved, words, 0, 0, 0, 0, width=_NARROWEST, height=1.4)
        cell = min(0.6, max(0.19, 2.75 / len(columns)))
        bars = _LEFT + cell * len(columns) + _GAP
        strip = _TITLE + max(shape(word, 9.5).width for word in words)
        top = strip + _STRIP + _GAP
        width, height = max(_NARROWEST, bars + _BARS + _MARGIN), top + _ROW * len(filters) + _SCALE
        return cls(columns, filters, moved, words, cell, strip, top, bars, width, height)


def alternative_text(explanation: Explanation, max_filters: int = 40, target: str | None = None) -> str:
    """Say in one sentence what the heat map shows.

    Raises:
        DataError: no such class.
    """
    class_ = explanation.class_index(target)
    if not explanation.tokens:
        return "No picture: there is no word to read in this headline."
    name, pushed = explanation.classes[class_], explanation.contributions[class_]
    strongest = [f"{_as_typed(explanation, int(t))} {pushed[t]:+.1f}" for t in _strongest(pushed, 3)]
    filters = min(max_filters, len(explanation.values))
    return (
        f"Heat map of {_words(len(explanation.tokens))} and the {filters} strongest of {len(explanation.values)} "
        f"filters for {name}, {explanation.distribution[name]:.0%}: most was moved by {', '.join(strongest)}."
    )


def _as_typed(explanation: Explanation, column: int) -> str:
    """The token as the reader typed it, of a length that fits; a question mark where the model has no such word."""
    token = explanation.tokens[column]
    typed = "".join(c if c.isprintable() else "?" for c in explanation.title[token.start : token.end])
    typed = shorten(typed, 13)
    return typed if token.known else f"{typed} (?)"


def _words(count: int) -> str:
    return f"{count:,} word{'s' if count != 1 else ''}"


def _strongest(values: np.ndarray, count: int) -> np.ndarray:
    """The places of the `count` largest values by size, the largest first."""
    return np.argsort(-np.abs(values), kind="stable")[:count]


def _draw_title(sheet: Sheet, explanation: Explanation, class_: int, columns: int, filters: int, look: Style) -> None:
    name, every = explanation.classes[class_], len(explanation.tokens)
    probability = explanation.distribution[name]
    words = _words(every) if columns == every else f"the strongest {columns} of {every:,} words"
    name = shorten(name)
    sheet.write(0.12, 0.20, f"{name}, {probability:.0%}", 12, look.ink, bold=True)
    text = f"{words}; the strongest {filters} of {len(explanation.values)} filters"
    sheet.write(0.12, 0.42, text, 7.5, look.muted)


def _draw_words(
    sheet: Sheet,
    explanation: Explanation,
    words: list[str],
    columns: np.ndarray,
    cell: float,
    bottom: float,
    look: Style,
) -> None:
    for place, (word, column) in enumerate(zip(words, columns, strict=True)):
        known = explanation.tokens[column].known
        colour = look.ink if known else look.muted
        x = _LEFT + (place + 0.5) * cell
        sheet.write(x, bottom, word, 9.5, colour, rising=True, slanted=not known)


def _draw_pushed(
    sheet: Sheet,
    pushed: np.ndarray,
    bias: float,
    reach: float,
    place: tuple[float, float, float],
    bars: float,
    look: Style,
) -> None:
    """One cell a token: what it added to the class's logit; and the bias."""
    left, top, cell = place
    middle = top + _STRIP / 2
    sheet.cells("pushed", pushed[None], look.pushed, reach, (left, top), (cell, _STRIP))
    sheet.cells("bias", np.array([[bias]]), look.pushed, reach, (bars, top), (_BARS, _STRIP))
    sheet.write(left - 0.07, middle, "pushed", 7.5, look.ink, "right")
    sheet.write(bars + _BARS / 2, top - 0.08, "bias", 7.5, look.ink, "center")
    size = min(7.0, 25 * cell)
    middles = [*(left + (np.arange(len(pushed)) + 0.5) * cell), bars + _BARS / 2]
    for x, value in zip(middles, [*pushed, bias], strict=True):
        ink = _ink_on(look.pushed((value / reach + 1) / 2))
        digits = 1 if abs(value) < 9.95 else 0  # as many as there is room for
        sheet.write(x, middle, f"{value:+.{digits}f}" if abs(value) >= 0.05 else "0", size, ink, "center")


def _ink_on(colour: Sequence[float]) -> str:
    """Black or white, whichever has more contrast with a colour: 4.5 at least (WCAG 2, relative luminance)."""
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3])
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#ffffff" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "#000000"


def _draw_map(
    sheet: Sheet,
    explanation: Explanation,
    columns: np.ndarray,
    filters: np.ndarray,
    place: tuple[float, float, float],
    look: Style,
) -> None:
    left, top, cell = place
    values = explanation.values[np.ix_(filters, columns)]
    sheet.cells("map", values, look.fired, explanation.picture_scale, (left, top), (cell, _ROW))
    place_of = {int(token): place for place, token in enumerate(columns)}
    frames = []
    for row, filter_ in enumerate(filters):
        shown = [place_of[token] for token in range(*explanation.window(int(filter_))) if token in place_of]
        if explanation.active[filter_] and shown:
            x, right = left + shown[0] * cell, left + (shown[-1] + 1) * cell
            y, bottom = top + row * _ROW, top + (row + 1) * _ROW
            frames.append([(x, y), (right, y), (right, bottom), (x, bottom)])
    sheet.shapes("frames", frames, facecolors="none", edgecolors=look.ink, linewidths=0.9)


def _draw_names(sheet: Sheet, explanation: Explanation, filters: np.ndarray, top: float, look: Style) -> None:
    """The number of each filter, and what it looks for."""
    names = explanation.filter_names or ("",) * len(explanation.values)
    for row, filter_ in enumerate(filters):
        y = top + (row + 0.5) * _ROW
        sheet.write(_LEFT - 0.07, y, _filter_name(int(filter_), names[filter_]), 6.5, look.ink, "right")
    if explanation.filter_names:
        sheet.write(_LEFT - 0.07, top + len(filters) * _ROW + 0.09, "looks for", 6.5, look.muted, "right")


@lru_cache(maxsize=4096)
def _filter_name(filter_: int, looks_for: str) -> str:
    """A filter's number and as many of its n-grams as there is room for."""
    ngrams = looks_for.split(", ") if looks_for else []
    for count in range(len(ngrams), 1, -1):
        text = f"{filter_}  {', '.join(ngrams[:count])}"
        if shape(text, 6.5).width <= _LEFT - 0.12:
            return text
    text = f"{filter_}  {ngrams[0]}" if ngrams else f"filter {filter_}"
    while (width := shape(text, 6.5).width) > _LEFT - 0.12:
        fits = int(len(text) * (_LEFT - 0.12) / width)
        text = text.removesuffix("…")[: min(fits, len(text) - 2)] + "…"
    return text


def _draw_bars(sheet: Sheet, moved: np.ndarray, left: float, top: float, look: Style) -> None:
    """What each filter added to the class's logit: to the right for it, to the left against it."""
    half = _BARS / 2
    reach = max(float(np.abs(moved).max()), 1e-9)
    ends = left + half + half * moved / reach
    rows = top + np.arange(len(moved)) * _ROW
    bars = [
        [(left + half, y + 0.2 * _ROW), (x, y + 0.2 * _ROW), (x, y + 0.8 * _ROW), (left + half, y + 0.8 * _ROW)]
        for x, y in zip(ends, rows, strict=True)
    ]
    colours = [look.pushed(0.9 if value > 0 else 0.1) for value in moved]
    sheet.shapes("bars", bars, facecolors=colours, linewidths=0)
    bottom = top + len(moved) * _ROW + 0.09
    sheet.write(left + _BARS, bottom, f"moved ±{np.abs(moved).max():.2g}", 6.5, look.muted, "right")


def _draw_scale(sheet: Sheet, scale: float, top: float, look: Style) -> None:
    """The colours of the map from one end to the other, with words for both ends."""
    left, right, y = 0.55, sheet.width - 0.55, top + 0.40
    sheet.cells(
        "scale", np.linspace(-scale, scale, 101)[None], look.fired, scale, (left, y), ((right - left) / 101, 0.11)
    )
    sheet.write(left, y - 0.11, "filter output; frames: the windows that won", 7.5, look.muted)
    for x, align, value in ((left - 0.05, "right", -scale), (right + 0.05, "left", scale)):
        sheet.write(x, y + 0.055, f"{value:+.1f}", 7.5, look.ink, align)
