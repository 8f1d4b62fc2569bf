"""The heat map: what it shows is what was measured, and no headline, however odd, breaks it."""

import dataclasses
import io
import re
import subprocess
import sys
import textwrap
import warnings
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.collections import PolyCollection, QuadMesh
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.transforms import Bbox
from PIL import Image

from tests import reference
from tests.conftest import AWKWARD, ROOT, STOCKS
from textcnn import DataError, Explanation, HeadlineClassifier, Token
from textcnn.plots import alternative_text, heatmap
from textcnn.sheet import STYLES, shape, to_png, to_svg

BOTH = pytest.mark.parametrize("preset", ["default", "lesson"])
IN_BOTH_STYLES = pytest.mark.parametrize("style", ["light", "dark"])
ANY_TITLE = pytest.mark.parametrize("title", [*AWKWARD, STOCKS], ids=lambda title: repr(title[:12]))
MATH = "$ \\frac{1 $ ^x_"  # an error as math; fine as text
LONG = "the new york stock market, " * 5 + "bust"  # more than a filter's name has room for
TITLES = {  # of every length, and with words that are wide or high
    "1 word": "oil",
    "2 words": "oil up",
    "12 words": STOCKS,
    "17 words": "oil prices " * 8 + "up",
    "60 words": "market zxqv " * 30,
    "61 words": "market " * 61,
    "a wide word": "W" * 100,
    "wide words": f"oil {'W' * 100} i {'m' * 13} ǰÅḈ " * 5,
    "60 wide words": ("W" * 100 + " ") * 60,
}
SIZES = pytest.mark.parametrize("title", list(TITLES.values()), ids=list(TITLES))


@pytest.fixture
def model(preset, small_default, small_lesson) -> HeadlineClassifier:
    return {"default": small_default, "lesson": small_lesson}[preset]


@pytest.fixture(autouse=True)
def _no_warnings():
    """A warning of matplotlib's on a user's terminal is a fault."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# How a figure is read. All places are inches from the upper left corner.


def _mesh(figure: Figure, name: str) -> QuadMesh:
    (mesh,) = (artist for artist in figure.get_children() if artist.get_gid() == name)
    assert isinstance(mesh, QuadMesh)
    return mesh


def _values(figure: Figure, name: str) -> np.ndarray:
    return np.asarray(_mesh(figure, name).get_array())


def _edges(figure: Figure, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The left edges of a mesh's columns and the last right one; the upper edges of its rows and the last lower one."""
    corners = _mesh(figure, name).get_coordinates()
    return corners[0, :, 0], corners[:, 0, 1]


def _polygons(figure: Figure, name: str) -> list[Bbox]:
    (polygons,) = (artist for artist in figure.get_children() if artist.get_gid() == name)
    assert isinstance(polygons, PolyCollection)
    return [path.get_extents() for path in polygons.get_paths()]


def _patches(figure: Figure) -> list[PathPatch]:
    return [artist for artist in figure.get_children() if isinstance(artist, PathPatch)]


def _box(patch: PathPatch) -> Bbox:
    """The box around the ink of a text, or a trifle more where a curve has no point at its end."""
    return _around(patch.get_path())


def _around(path: Path) -> Bbox:
    points = path.vertices[path.codes != Path.CLOSEPOLY]  # what closes a letter has no place
    return Bbox([points.min(0), points.max(0)])


def _centre(patch: PathPatch) -> np.ndarray:
    return _box(patch).get_points().mean(0)


def _texts(figure: Figure) -> list[str]:
    return [patch.get_label() for patch in _patches(figure)]


def _in_column(patch: PathPatch, edges: np.ndarray) -> int:
    """The column in which a text stands, from its left edge to its right one."""
    box = _box(patch)
    column = int(np.searchsorted(edges, _centre(patch)[0])) - 1
    assert edges[column] <= box.x0, patch.get_label()
    assert box.x1 <= edges[column + 1], patch.get_label()
    return column


def _word_patches(figure: Figure) -> list[PathPatch]:
    """The words above the strip, from left to right: one for each column."""
    xs, (top, _) = _edges(figure, "pushed")
    over = [p for p in _patches(figure) if top - 0.1 < _box(p).y1 <= top and xs[0] < _centre(p)[0] < xs[-1]]
    over.sort(key=lambda patch: _centre(patch)[0])
    assert [_in_column(patch, xs) for patch in over] == list(range(len(xs) - 1))
    return over


def _words(figure: Figure) -> list[str]:
    return [patch.get_label() for patch in _word_patches(figure)]


def _figures_on(figure: Figure, name: str) -> list[PathPatch]:
    """The texts on the cells of a strip: one for each."""
    xs, (top, bottom) = _edges(figure, name)
    on = [p for p in _patches(figure) if top < _centre(p)[1] < bottom and xs[0] < _centre(p)[0] < xs[-1]]
    assert [_in_column(patch, xs) for patch in on] == list(range(len(xs) - 1))
    return on


def _names(figure: Figure) -> list[str]:
    """The texts left of the map, from the top: one for each row, on its middle."""
    xs, ys = _edges(figure, "map")
    beside = [p for p in _patches(figure) if ys[0] < _centre(p)[1] < ys[-1] and _box(p).x1 < xs[0]]
    beside.sort(key=lambda patch: _centre(patch)[1])
    assert len(beside) == len(ys) - 1
    for patch, top, bottom in zip(beside, ys, ys[1:], strict=False):
        assert top <= _box(patch).y0 < (top + bottom) / 2 < _box(patch).y1 <= bottom
    return [patch.get_label() for patch in beside]


def _frames(figure: Figure) -> dict[int, set[int]]:
    """The columns that each row's frame stands around."""
    xs, ys = _edges(figure, "map")
    frames = {}
    for box in _polygons(figure, "frames"):
        left, right, top, bottom = (
            int(np.abs(edges - place).argmin())
            for edges, place in ((xs, box.x0), (xs, box.x1), (ys, box.y0), (ys, box.y1))
        )
        np.testing.assert_allclose([box.x0, box.x1, box.y0, box.y1], [xs[left], xs[right], ys[top], ys[bottom]])
        assert bottom == top + 1
        assert top not in frames
        frames[top] = set(range(left, right))
    return frames


def _bars(figure: Figure) -> np.ndarray:
    """How far each row's bar reaches to the right of the line they start from, or to the left; each in its row."""
    _, ys = _edges(figure, "map")
    boxes = _polygons(figure, "bars")
    assert len(boxes) == len(ys) - 1
    for box, top, bottom in zip(boxes, ys, ys[1:], strict=False):
        assert top < box.y0 < box.y1 < bottom
    (left, right), _ = _edges(figure, "bias")  # the bars stand below the bias
    line = (left + right) / 2
    assert all(np.isclose(box.x0, line) or np.isclose(box.x1, line) for box in boxes)
    return np.array([box.x1 - line if np.isclose(box.x0, line) else box.x0 - line for box in boxes])


def _points(patch: PathPatch, *, rising: bool = False) -> float:
    """The size of a text's letters in points, from its ink."""
    one = shape(patch.get_label(), 1)
    ink = _around(Path(one.points, one.codes))
    return _box(patch).height / ink.width if rising else _box(patch).width / ink.width


def _strongest(explanation: Explanation, count: int, target: str | None = None) -> list[int]:
    """The filters that moved a class most, the most moving first."""
    class_ = explanation.classes.index(target or explanation.label)
    moved = [abs(float(explanation.by_filter[class_, f].sum())) for f in range(len(explanation.values))]
    return sorted(range(len(moved)), key=lambda f: -moved[f])[:count]


def _named(explanation: Explanation, name: str = "") -> Explanation:
    """The same with a name for each filter, by default one of its own."""
    names = tuple(name or f"word{f}" for f in range(len(explanation.values)))
    return dataclasses.replace(explanation, filter_names=names)


# Any headline.


@ANY_TITLE
@BOTH
def test_any_headline_is_drawn(model, title):
    figure = heatmap(model.explain(title))
    assert isinstance(figure, Figure)
    assert to_png(figure, dpi=30).startswith(b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize("title", ["", STOCKS, "北京 股市 🎉 oil \x00"])
def test_any_headline_is_drawn_in_the_dark(small_default, title):
    assert to_png(heatmap(small_default.explain(title), style="dark"), dpi=30).startswith(b"\x89PNG\r\n\x1a\n")


@ANY_TITLE
def test_any_headline_is_an_svg_that_keeps_what_it_shows(small_default, title):
    explanation = small_default.explain(title)
    said = alternative_text(explanation)
    source = to_svg(heatmap(explanation), said)
    document = ElementTree.fromstring(source)
    assert [e.text for e in document.iter("{http://purl.org/dc/elements/1.1/}description")] == [said]
    assert not re.search(rb"(?i)<(text|image|script|foreignObject|style[^>]*>[^<]*url)|href|url\(|@import", source)


def test_a_png_keeps_what_it_shows(small_default):
    explanation = small_default.explain("oil 北京 <b>")
    said = alternative_text(explanation)
    picture = Image.open(io.BytesIO(to_png(heatmap(explanation), 50, said)))
    assert picture.text == {"Description": said}


@pytest.mark.parametrize("dpi", [40, 160])
def test_a_png_has_the_figures_size_times_dots_an_inch(small_default, dpi):
    figure = heatmap(small_default.explain(STOCKS))
    size = figure.get_size_inches() * dpi
    picture = Image.open(io.BytesIO(to_png(figure, dpi=dpi)))
    np.testing.assert_allclose(picture.size, size, atol=1)


def test_words_classes_and_filters_are_never_read_as_math(small_default):
    """A dollar sign, a backslash or an underscore is drawn, and never an error of matplotlib's math parser."""
    explanation = small_default.explain("oil")
    explanation = dataclasses.replace(
        explanation,
        title=MATH,
        tokens=(Token(MATH, 0, len(MATH), 5, known=True),),
        label=MATH,
        classes=(MATH, *explanation.classes[1:]),
        distribution={MATH: 0.9, "b": 0.1},
        filter_names=(MATH,) * len(explanation.values),
    )
    figure = heatmap(explanation)
    assert to_png(figure, dpi=30)
    assert f"{MATH}, 90%" in _texts(figure)
    (word,) = _words(figure)
    assert word.startswith(MATH[:10])
    assert all(MATH[:10] in name for name in _names(figure))
    title = next(patch for patch in _patches(figure) if patch.get_label() == f"{MATH}, 90%")
    letters = [shape(c, 12, bold=True) for c in title.get_label()]
    assert len(title.get_path().vertices) == sum(len(letter.points) for letter in letters)


@pytest.mark.parametrize("style", ["light", "dark"])
def test_a_headline_without_words_says_so(small_default, style):
    figure = heatmap(small_default.explain("?!"), style=style)
    assert _texts(figure) == ["No word to read in this headline."]
    assert all(not isinstance(artist, QuadMesh | PolyCollection) for artist in figure.get_children())
    (box,), (width, height) = [_box(patch) for patch in _patches(figure)], figure.get_size_inches()
    assert 0 < box.x0 < box.x1 < width
    assert 0 < box.y0 < box.y1 < height


def test_a_figure_has_no_axes(small_default):
    """Their layout takes longer than all the drawing."""
    assert heatmap(small_default.explain(STOCKS)).axes == []


# The map.


@BOTH
def test_the_map_shows_the_values_of_the_filters_that_moved_the_class_most(model):
    explanation = model.explain(STOCKS)
    filters = _strongest(explanation, 40)
    np.testing.assert_array_equal(_values(heatmap(explanation), "map"), explanation.values[filters])


@pytest.mark.parametrize(("count", "rows"), [(40, 40), (5, 5), (1, 1), (10_000, 50)])
def test_the_map_shows_as_many_filters_as_asked_for(small_lesson, count, rows):
    explanation = small_lesson.explain(STOCKS)
    figure = heatmap(explanation, max_filters=count)
    assert _values(figure, "map").shape == (rows, len(explanation.tokens))
    assert f"{len(explanation.tokens)} words; the strongest {rows} of 50 filters" in _texts(figure)


def test_at_most_40_filters_are_shown_by_default(small_default):
    figure = heatmap(small_default.explain(STOCKS))
    assert _values(figure, "map").shape == (40, 12)
    assert "12 words; the strongest 40 of 384 filters" in _texts(figure)


def test_the_map_stands_below_its_words_and_its_strip(small_default):
    figure = heatmap(small_default.explain(STOCKS))
    (map_xs, map_ys), (strip_xs, strip_ys) = _edges(figure, "map"), _edges(figure, "pushed")
    np.testing.assert_array_equal(map_xs, strip_xs)
    assert max(_box(patch).y1 for patch in _word_patches(figure)) <= strip_ys[0] < strip_ys[1] < map_ys[0]
    assert map_ys[-1] < _edges(figure, "scale")[1][0]


@BOTH
def test_frames_stand_around_the_windows_that_won(model):
    explanation = model.explain(STOCKS)
    filters = _strongest(explanation, 40)
    sizes, winners, words = explanation.filter_sizes, explanation.winners, len(explanation.tokens)
    expected = {
        row: reference.covered(int(winners[f]), int(sizes[f]), words)
        for row, f in enumerate(filters)
        if explanation.active[f]
    }
    assert _frames(heatmap(explanation)) == expected


def test_a_filter_at_zero_gets_no_frame(small_default):
    explanation = small_default.explain(STOCKS)
    filters = _strongest(explanation, 384)
    frames = _frames(heatmap(explanation, max_filters=384))
    assert {filters[row] for row in frames} == set(np.flatnonzero(explanation.active))
    assert 0 < len(frames) < 384


def test_frames_can_be_seen_through(small_default):
    figure = heatmap(small_default.explain(STOCKS))
    (frames,) = (artist for artist in figure.get_children() if artist.get_gid() == "frames")
    assert len(frames.get_facecolor()) == 0
    assert {to_hex(colour) for colour in frames.get_edgecolor()} == {STYLES["light"].ink}
    children = figure.get_children()
    assert children.index(frames) > children.index(_mesh(figure, "map"))


@IN_BOTH_STYLES
def test_the_colours_mean_the_same_in_every_picture(small_default, style):
    """They end at the model's picture scale on both sides of zero, whatever the headline."""
    for title in ("oil", STOCKS):
        explanation = dataclasses.replace(small_default.explain(title), picture_scale=2.5)
        figure = heatmap(explanation, style=style)
        assert _mesh(figure, "map").get_clim() == (-2.5, 2.5)


@IN_BOTH_STYLES
def test_the_scale_says_what_the_colours_of_the_map_mean(small_default, style):
    figure = heatmap(dataclasses.replace(small_default.explain(STOCKS), picture_scale=2.5), style=style)
    scale, shown = _mesh(figure, "scale"), _mesh(figure, "map")
    assert scale.get_clim() == shown.get_clim()
    assert scale.cmap == shown.cmap
    np.testing.assert_allclose(scale.get_array()[0], np.linspace(-2.5, 2.5, scale.get_array().shape[1]))
    xs, (top, bottom) = _edges(figure, "scale")
    ends = sorted((p for p in _patches(figure) if top < _centre(p)[1] < bottom), key=lambda patch: _centre(patch)[0])
    assert [patch.get_label() for patch in ends] == ["-2.5", "+2.5"]
    assert _box(ends[0]).x1 < xs[0] < xs[-1] < _box(ends[1]).x0


@IN_BOTH_STYLES
def test_both_palettes_diverge_around_zero(small_default, style):
    """Below, at and above zero can be told apart, and zero is nearest to the paper."""
    figure = heatmap(small_default.explain(STOCKS), style=style)
    paper = np.array(to_rgb(figure.get_facecolor()))
    for name in ("map", "pushed", "bias", "scale"):
        low, middle, high = (np.array(_mesh(figure, name).cmap(x)[:3]) for x in (0.0, 0.5, 1.0))
        assert np.abs(middle - paper).max() < 0.1
        assert min(np.abs(low - high).max(), np.abs(low - middle).max(), np.abs(high - middle).max()) > 0.3


# The filters: what they look for and what they moved.


def test_each_row_names_its_filter_and_what_it_looks_for(small_default):
    explanation = _named(small_default.explain(STOCKS))
    figure = heatmap(explanation)
    assert _names(figure) == [f"{f}  word{f}" for f in _strongest(explanation, 40)]
    assert "looks for" in _texts(figure)


def test_a_filter_without_a_name_has_its_number(small_default):
    explanation = small_default.explain(STOCKS)
    figure = heatmap(explanation)
    assert _names(figure) == [f"filter {f}" for f in _strongest(explanation, 40)]
    assert "looks for" not in _texts(figure)


def test_a_filter_that_fires_on_nothing_has_its_number_among_named_ones(small_default):
    explanation = _named(small_default.explain(STOCKS))
    names = list(explanation.filter_names)
    first, second = _strongest(explanation, 2)
    names[first] = ""
    figure = heatmap(dataclasses.replace(explanation, filter_names=tuple(names)), max_filters=2)
    assert _names(figure) == [f"filter {first}", f"{second}  word{second}"]


def test_of_a_filters_ngrams_as_many_are_named_as_there_is_room_for(small_default):
    """None is cut but the first, where that alone is too long."""
    explanation = small_default.explain(STOCKS)
    for names, expected in (
        ("oil, up, buy", "oil, up, buy"),
        ("oil up, market falls, stocks", "oil up, market falls"),
        ("| the, new york stock market", "| the"),
    ):
        (name,) = _names(heatmap(_named(explanation, names), max_filters=1))
        assert name.split("  ")[1] == expected
    (name,) = _names(heatmap(_named(explanation, "the new york stock market, up"), max_filters=1))
    assert re.fullmatch(r"\d+  the new yo.*…", name)
    assert "market" not in name


@pytest.mark.parametrize("target", [None, "Business", "World", "Sports"])
@BOTH
def test_bars_show_what_each_filter_moved(model, target):
    """To the right of their line for the class, to the left against it; the longest fills its side."""
    explanation = model.explain(STOCKS)
    class_ = explanation.classes.index(target or explanation.label)
    moved = explanation.by_filter[class_, _strongest(explanation, 40, target)].sum(1)
    figure = heatmap(explanation, target=target)
    (left, right), _ = _edges(figure, "bias")
    np.testing.assert_allclose(_bars(figure), moved / np.abs(moved).max() * (right - left) / 2, atol=1e-6)
    assert f"moved ±{np.abs(moved).max():.2g}" in _texts(figure)


@IN_BOTH_STYLES
def test_bars_have_the_colours_of_the_strip(small_default, style):
    explanation = small_default.explain(STOCKS)
    for target in explanation.classes:
        figure = heatmap(explanation, style=style, target=target)
        (bars,) = (artist for artist in figure.get_children() if artist.get_gid() == "bars")
        moved = explanation.by_filter[explanation.classes.index(target), _strongest(explanation, 40, target)].sum(1)
        low, high = (np.array(STYLES[style].pushed(x)) for x in (0.0, 1.0))
        nearer_high = [np.abs(c - high).sum() < np.abs(c - low).sum() for c in bars.get_facecolor()]
        assert nearer_high == (moved > 0).tolist()


def test_filters_that_moved_nothing_have_no_bar(small_default):
    explanation = small_default.explain(STOCKS)
    figure = heatmap(dataclasses.replace(explanation, by_filter=explanation.by_filter * 0))
    np.testing.assert_allclose(_bars(figure), 0, atol=1e-6)
    assert to_png(figure, dpi=30)


# The words and what they pushed.


def test_words_stand_as_typed_and_unknown_ones_are_marked(small_default):
    figure = heatmap(small_default.explain("Oil ZXQV Market"))
    assert _words(figure) == ["Oil", "ZXQV (?)", "Market"]
    look = STYLES["light"]
    for patch, known in zip(_word_patches(figure), (True, False, True), strict=True):
        assert to_hex(patch.get_facecolor()) == (look.ink if known else look.muted)
        letters = shape(patch.get_label(), 10, slanted=not known)
        ink = _around(Path(letters.points, letters.codes))  # as a line; the word rises
        assert _box(patch).height / _box(patch).width == pytest.approx(ink.width / ink.height)


def test_words_are_read_from_the_lower_end_up(small_default):
    """The letters of a rising word: those of its line, a quarter turn to the left."""
    (patch,) = _word_patches(heatmap(small_default.explain("oil")))
    points, ink = shape("oil", 9.5).points, patch.get_path().vertices
    np.testing.assert_allclose(ink - ink[0], np.column_stack([-points[:, 1], -points[:, 0]]) - [
        -points[0, 1], -points[0, 0]
    ], atol=1e-9)  # fmt: skip


def test_a_control_character_becomes_a_question_mark(small_default):
    explanation = small_default.explain("oil")
    token = dataclasses.replace(explanation.tokens[0], end=5)
    explanation = dataclasses.replace(explanation, title="o\x00i\nl", tokens=(token,))
    assert _words(heatmap(explanation)) == ["o?i?l"]
    assert "o?i?l" in alternative_text(explanation)


def test_a_character_that_the_font_lacks_becomes_a_box(small_default):
    explanation = small_default.explain("oil")
    for title in ("北京", "🎉"):
        token = dataclasses.replace(explanation.tokens[0], end=len(title))
        (patch,) = _word_patches(heatmap(dataclasses.replace(explanation, title=title, tokens=(token,))))
        assert patch.get_label() == title
        assert patch.get_path().vertices.shape == shape("□" * len(title), 9.5).points.shape


def test_a_very_long_word_is_cut(small_default):
    (word,) = _words(heatmap(small_default.explain("x" * 10_000)))
    assert re.fullmatch(r"x{8,12}… \(\?\)", word)


def test_a_word_that_fits_is_not_cut(small_default):
    assert _words(heatmap(small_default.explain("xylophonistic"))) == ["xylophonistic (?)"]


@pytest.mark.parametrize("target", [None, "Business", "World", "Sports"])
@BOTH
def test_the_strip_shows_what_each_word_pushed_and_the_bias(model, target):
    explanation = model.explain(STOCKS)
    class_ = explanation.classes.index(target or explanation.label)
    figure = heatmap(explanation, target=target)
    for name, values in (("pushed", explanation.contributions[class_]), ("bias", explanation.bias[[class_]])):
        np.testing.assert_allclose(_values(figure, name), [values])
        for patch, value in zip(_figures_on(figure, name), values, strict=True):
            assert float(patch.get_label()) == pytest.approx(value, abs=0.051)
            assert re.fullmatch(r"[+-]\d+\.\d|0", patch.get_label())
    assert {"pushed", "bias"} <= set(_texts(figure))


def test_the_bias_stands_right_of_the_words(small_default):
    figure = heatmap(small_default.explain(STOCKS))
    (xs, ys), (bias_xs, bias_ys) = _edges(figure, "pushed"), _edges(figure, "bias")
    assert xs[-1] < bias_xs[0]
    np.testing.assert_array_equal(ys, bias_ys)
    (label,) = (patch for patch in _patches(figure) if patch.get_label() == "bias")
    assert bias_xs[0] < _box(label).x0 < _box(label).x1 < bias_xs[1]
    assert ys[0] - 0.2 < _box(label).y0 < _box(label).y1 <= ys[0]


def test_weak_pushes_do_not_look_strong(small_default):
    """The strip's colours end at one logit or more: of a headline where nothing pushes, no cell is bright."""
    explanation = small_default.explain(STOCKS)
    class_ = explanation.classes.index(explanation.label)
    weak = dataclasses.replace(explanation, by_filter=explanation.by_filter * 1e-3)
    strong = dataclasses.replace(explanation, by_filter=explanation.by_filter * 5)
    biased = dataclasses.replace(weak, bias=np.full_like(explanation.bias, -7))
    most = float(np.abs(strong.contributions[class_]).max())
    assert most > 1
    against = dataclasses.replace(strong, by_filter=-strong.by_filter)
    for case, reach in ((weak, 1), (strong, most), (against, most), (biased, 7)):
        figure = heatmap(case)
        assert _mesh(figure, "pushed").get_clim() == pytest.approx((-reach, reach))
        assert _mesh(figure, "bias").get_clim() == _mesh(figure, "pushed").get_clim()


@pytest.mark.parametrize("reach", [0.5, 9])
def test_two_pictures_can_be_given_the_same_colours_of_pushes(small_default, reach):
    """The figures stay as they are, and can be read where a push is beyond the end of the colours."""
    explanation = small_default.explain(STOCKS)
    figure, alone = heatmap(explanation, reach=reach), heatmap(explanation)
    assert _texts(figure) == _texts(alone)
    assert np.abs(_values(figure, "pushed")).max() > 0.5
    for name in ("pushed", "bias"):
        mesh = _mesh(figure, name)
        assert mesh.get_clim() == (-reach, reach)
        cells = mesh.cmap(mesh.norm(mesh.get_array()[0]))
        for patch, cell in zip(_figures_on(figure, name), cells, strict=True):
            assert _contrast(patch.get_facecolor(), cell) >= 4.5, patch.get_label()


def test_of_a_long_headline_the_strongest_60_words_are_shown_in_reading_order(small_default):
    title = " ".join(f"w{i}" if i % 3 else "market" for i in range(90)) + " oil prices coach"
    explanation = _named(small_default.explain(title))
    figure = heatmap(explanation)
    assert "the strongest 60 of 93 words; the strongest 40 of 384 filters" in _texts(figure)
    pushed = explanation.contributions[explanation.classes.index(explanation.label)]
    chosen = sorted(sorted(range(93), key=lambda t: -abs(float(pushed[t])))[:60])
    np.testing.assert_array_equal(_values(figure, "pushed")[0], pushed[chosen])
    filters = _strongest(explanation, 40)
    np.testing.assert_array_equal(_values(figure, "map"), explanation.values[np.ix_(filters, chosen)])
    typed = [title[explanation.tokens[t].start : explanation.tokens[t].end] for t in chosen]
    assert [word.removesuffix(" (?)") for word in _words(figure)] == typed
    pale = [to_hex(patch.get_facecolor()) == STYLES["light"].muted for patch in _word_patches(figure)]
    assert pale == [not explanation.tokens[t].known for t in chosen]


@pytest.mark.parametrize(("words", "said"), [(1, "1 word"), (60, "60 words"), (61, "the strongest 60 of 61 words")])
def test_a_word_is_left_out_only_from_the_61st(small_default, words, said):
    figure = heatmap(small_default.explain("market " * words))
    assert f"{said}; the strongest 40 of 384 filters" in _texts(figure)
    assert len(_words(figure)) == min(words, 60)


def test_a_frame_of_a_long_headline_stands_where_its_word_stands(small_default):
    """Left-out words move the columns; the frame goes with its word."""
    explanation = small_default.explain("zxqv " * 70 + "oil prices market")
    rows = _strongest(explanation, 40)
    figure = heatmap(explanation)
    words, frames = _words(figure), _frames(figure)
    single = {f for f in rows if explanation.filter_sizes[f] == 1 and explanation.active[f]}
    placed = {f: [words[column] for column in frames[rows.index(f)]] for f in single}
    expected = {f: explanation.tokens[explanation.winners[f]].text for f in single}
    assert {"oil", "prices", "market"} & set(expected.values())
    assert {f: [word.removesuffix(" (?)") for word in found] for f, found in placed.items()} == {
        f: [text] for f, text in expected.items()
    }


def test_the_frame_of_a_window_that_is_not_shown_is_left_out(small_default):
    """A filter may move the class by words that are among the strongest 60 in part only, or not at all."""
    explanation = small_default.explain("zxqv " * 70 + "oil prices market")
    pushed = explanation.contributions[explanation.classes.index(explanation.label)]
    shown = sorted(np.argsort(-np.abs(pushed), kind="stable")[:60].tolist())
    hidden = next(t for t in range(len(pushed)) if t not in shown and t + 1 not in shown and t - 1 not in shown)
    first, second = _strongest(explanation, 2)
    winners, sizes = explanation.winners.copy(), explanation.filter_sizes.copy()
    sizes[[first, second]] = 1
    winners[first], winners[second] = hidden, shown[-1]
    figure = heatmap(dataclasses.replace(explanation, winners=winners, filter_sizes=sizes), max_filters=2)
    assert _frames(figure) == {1: {59}}


def test_the_title_names_class_and_probability(small_default):
    explanation = small_default.explain(STOCKS)
    assert _texts(heatmap(explanation))[0] == f"Business, {explanation.distribution['Business']:.0%}"
    for target in explanation.classes:
        title = _texts(heatmap(explanation, target=target))[0]
        assert title == f"{target}, {explanation.distribution[target]:.0%}"


# Another class.


@BOTH
def test_the_map_of_another_class_shows_the_filters_that_moved_that_class(model):
    explanation = _named(model.explain(STOCKS))
    orders = []
    for target in explanation.classes:
        filters = _strongest(explanation, 40, target)
        orders.append(tuple(filters))
        figure = heatmap(explanation, target=target)
        np.testing.assert_array_equal(_values(figure, "map"), explanation.values[filters])
        assert _names(figure) == [f"{f}  word{f}" for f in filters]
        assert set(_frames(figure)) == {row for row, f in enumerate(filters) if explanation.active[f]}
    assert len(set(orders)) == len(explanation.classes)


def test_the_predicted_class_is_shown_by_default(small_default):
    explanation = small_default.explain(STOCKS)
    assert explanation.label == "Business"
    assert to_png(heatmap(explanation), 50) == to_png(heatmap(explanation, target="Business"), 50)


@pytest.mark.parametrize("title", [STOCKS, ""])
@pytest.mark.parametrize("draw", [heatmap, alternative_text])
def test_a_class_that_the_model_does_not_have_is_an_error(small_default, draw, title):
    with pytest.raises(DataError, match=r"Weather.*Business"):
        draw(small_default.explain(title), target="Weather")


# In words.


@pytest.mark.parametrize("title", ["", "?!", "   "])
def test_of_a_headline_without_words_it_is_said_that_there_is_none(small_default, title):
    assert alternative_text(small_default.explain(title)) == "No picture: there is no word to read in this headline."


@pytest.mark.parametrize("target", [None, "World"])
@pytest.mark.parametrize("title", ["oil", "oil up", STOCKS, "market zxqv " * 600], ids=lambda title: title[:10])
def test_the_heat_map_is_said_in_one_sentence(small_default, title, target):
    """Class, probability, number of words and of filters, and the words that moved the class most."""
    explanation = small_default.explain(title)
    name = target or explanation.label
    pushed = explanation.contributions[explanation.classes.index(name)]
    strongest = sorted(range(len(pushed)), key=lambda t: -abs(float(pushed[t])))[:3]
    words = []
    for t in strongest:
        token = explanation.tokens[t]
        words.append(f"{title[token.start : token.end]}{'' if token.known else ' (?)'} {pushed[t]:+.1f}")
    count = f"{len(pushed):,} word" + ("s" if len(pushed) > 1 else "")
    assert alternative_text(explanation, target=target) == (
        f"Heat map of {count} and the 40 strongest of 384 filters for {name}, {explanation.distribution[name]:.0%}: "
        f"most was moved by {', '.join(words)}."
    )


@pytest.mark.parametrize(("count", "filters"), [(5, 5), (10_000, 50)])
def test_the_sentence_counts_the_filters_that_are_shown(small_lesson, count, filters):
    assert f"the {filters} strongest of 50 filters" in alternative_text(small_lesson.explain(STOCKS), count)


@ANY_TITLE
def test_any_headline_is_said_in_a_line_of_some_length(small_default, title):
    said = alternative_text(small_default.explain(title))
    assert said.isprintable()
    assert said.endswith(".")
    assert len(said) < 200


# Light and dark, size and room.


def _contrast(one, other) -> float:
    """The contrast of two colours, 1 to 21 (WCAG 2.2)."""

    def luminance(colour):
        channels = np.array(to_rgb(colour))
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("title", [STOCKS, "zxqv oil", "?!"])
@IN_BOTH_STYLES
def test_every_text_can_be_read_on_its_paper(small_default, style, title):
    explanation = _named(small_default.explain(title))
    figure = heatmap(explanation, style=style)
    on_cells = [*_figures_on(figure, "pushed"), *_figures_on(figure, "bias")] if explanation.tokens else []
    shown = [patch for patch in _patches(figure) if patch not in on_cells]
    assert shown
    assert min(_contrast(patch.get_facecolor(), figure.get_facecolor()) for patch in shown) >= 4.5


@IN_BOTH_STYLES
def test_every_figure_of_the_strip_can_be_read_on_its_cell(small_default, style):
    explanation = small_default.explain(STOCKS)
    for strength in (0.5, 1, 3, -3):  # cells of every colour
        figure = heatmap(dataclasses.replace(explanation, by_filter=explanation.by_filter * strength), style=style)
        for name in ("pushed", "bias"):
            mesh = _mesh(figure, name)
            cells = mesh.cmap(mesh.norm(mesh.get_array()[0]))
            for patch, cell in zip(_figures_on(figure, name), cells, strict=True):
                assert _contrast(patch.get_facecolor(), cell) >= 4.5, patch.get_label()


@IN_BOTH_STYLES
def test_frames_can_be_told_from_the_paper(small_default, style):
    figure = heatmap(small_default.explain(STOCKS), style=style)
    (frames,) = (artist for artist in figure.get_children() if artist.get_gid() == "frames")
    assert all(_contrast(colour, figure.get_facecolor()) >= 4.5 for colour in frames.get_edgecolor())


@pytest.mark.parametrize("title", [STOCKS, "?!"])
def test_dark_is_dark_and_light_is_light(small_default, title):
    explanation = small_default.explain(title)
    for style, dark in (("light", False), ("dark", True)):
        picture = Image.open(io.BytesIO(to_png(heatmap(explanation, style=style), dpi=30)))
        assert (sum(picture.convert("RGB").getpixel((0, 0))) < 3 * 60) is dark


def _crossing(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which boxes (left, top, right, bottom) share room with which others: (boxes, others)."""
    first = np.maximum(boxes[:, None, :2], others[None, :, :2])
    last = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return (first < last).all(2)


@pytest.mark.parametrize(("named", "max_filters"), [("", 40), (LONG, 40), ("W" * 50, 1)])
@SIZES
def test_no_text_runs_out_of_the_picture_or_into_what_else_is_drawn(small_default, title, named, max_filters):
    explanation = small_default.explain(title)
    figure = heatmap(_named(explanation, named) if named else explanation, max_filters=max_filters)
    width, height = figure.get_size_inches()
    patches = _patches(figure)
    labels = [patch.get_label() for patch in patches]
    boxes = np.array([_box(patch).extents for patch in patches])
    out = (boxes < 0.02).any(1) | (boxes[:, 2] > width - 0.02) | (boxes[:, 3] > height - 0.02)
    assert [labels[i] for i in np.flatnonzero(out)] == []
    assert [(labels[i], labels[j]) for i, j in np.argwhere(np.triu(_crossing(boxes, boxes), 1))] == []
    drawn = [box.extents for box in _polygons(figure, "bars")]
    for name in ("map", "pushed", "bias", "scale"):
        xs, ys = _edges(figure, name)
        drawn.append([xs[0], ys[0], xs[-1], ys[-1]])
    on_cells = {id(patch) for name in ("pushed", "bias") for patch in _figures_on(figure, name)}
    assert len(on_cells) == len(_words(figure)) + 1
    others = np.array([id(patch) not in on_cells for patch in patches])
    assert [labels[i] for i in np.flatnonzero(others & _crossing(boxes, np.array(drawn)).any(1))] == []


@pytest.mark.parametrize("strength", [10, -100])
@SIZES
def test_figures_of_a_model_with_large_logits_stay_in_their_cells(small_default, title, strength):
    explanation = small_default.explain(title)
    class_ = explanation.classes.index(explanation.label)
    explanation = dataclasses.replace(
        explanation, by_filter=explanation.by_filter * strength, bias=explanation.bias - strength
    )
    figure = heatmap(explanation)
    for name, values in (("pushed", _values(figure, "pushed")[0]), ("bias", explanation.bias[[class_]])):
        figures = [float(patch.get_label()) for patch in _figures_on(figure, name)]
        np.testing.assert_allclose(figures, values, atol=0.501)


@SIZES
def test_every_picture_keeps_a_size_at_which_it_can_be_read(small_default, title):
    """Letters are measured in points, whatever the number of words; cells and rows have room for them."""
    figure = heatmap(_named(small_default.explain(title)))
    xs, ys = _edges(figure, "map")
    assert np.diff(xs).min() >= 0.18
    assert np.diff(ys).min() >= 0.13
    assert figure.get_size_inches()[0] >= 4  # room for the title
    upright = [patch for patch in _word_patches(figure) if "(?)" not in patch.get_label()]
    for patches, size, rising in (
        (upright, 9, True),
        (_figures_on(figure, "pushed"), 4.5, False),
        (_figures_on(figure, "bias"), 4.5, False),
        ([patch for patch in _patches(figure) if re.fullmatch(r"\d+  word\d+", patch.get_label())], 6, False),
    ):
        assert all(_points(patch, rising=rising) >= size for patch in patches)


def test_letters_are_as_large_in_the_picture_of_one_word_as_in_one_of_60(small_default):
    one, many = (heatmap(_named(small_default.explain("market " * count))) for count in (1, 60))
    for read in (_word_patches, lambda figure: _patches(figure)[:2]):
        first, other = read(one)[0], read(many)[0]
        assert _box(first).height == pytest.approx(_box(other).height)
        assert _box(first).width == pytest.approx(_box(other).width, rel=0.25)  # 86% and 9% are not equally long
    np.testing.assert_allclose(*(np.diff(_edges(figure, "map")[1]) for figure in (one, many)))


@pytest.mark.parametrize("words", [1, 5, 10])
def test_a_headline_of_ten_words_fits_a_phone(small_default, words):
    assert heatmap(small_default.explain("market " * words)).get_size_inches()[0] <= 4.61


def test_60_words_are_no_wider_than_a_page_on_its_side(small_default):
    assert heatmap(small_default.explain("market " * 100)).get_size_inches()[0] <= 14


# In threads, and without pyplot.


def test_pictures_drawn_at_once_are_those_drawn_alone(small_default):
    """The demo draws in threads; letters are kept for all of them."""
    titles = [STOCKS, "oil zxqv", "?!", "market " * 70, "北京 oil", "W" * 100, STOCKS, "Oil prices up"]
    explanations = [_named(small_default.explain(title)) for title in titles]
    together = Barrier(len(titles))

    def draw(case: tuple[int, Explanation], wait: bool = True) -> list[bytes]:
        place, explanation = case
        if wait:
            together.wait(30)
        figure = heatmap(explanation, style=["light", "dark"][place % 2])
        return [to_png(figure, 60, "oil"), to_svg(figure, "oil")]

    shape.cache_clear()
    with ThreadPoolExecutor(len(titles)) as pool:
        at_once = list(pool.map(draw, enumerate(explanations)))
    shape.cache_clear()
    assert at_once == [draw(case, wait=False) for case in enumerate(explanations)]


def test_pyplot_is_never_imported():
    """Its global state is not safe in the demo's threads: all pictures are drawn in a fresh process without it."""
    script = """
        import sys
        from textcnn import PRESETS, HeadlineClassifier, figures, plots, sheet
        from textcnn.training import fit
        config = PRESETS["lesson"].replace(epochs=1)
        model = HeadlineClassifier.from_fit(fit(["oil up", "coach wins"], ["B", "S"], config), config)
        history = [{"epoch": 1, "train_loss": 1.0, "val_loss": 1.0, "val_f1": 0.5}]
        drawn = [
            *(plots.heatmap(model.explain(title), style) for title in ("oil", "") for style in ("light", "dark")),
            figures.confusion_matrix([[1, 0], [0, 1]], ["B", "S"]),
            figures.learning_curves(history),
            figures.reliability({"confidence": [0.9], "accuracy": [1.0], "counts": [3]}),
        ]
        sizes = [len(save(figure)) for figure in drawn for save in (sheet.to_png, sheet.to_svg)]
        assert len(sizes) == 14 and min(sizes) > 500
        sys.exit("pyplot was imported" if "matplotlib.pyplot" in sys.modules else 0)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
