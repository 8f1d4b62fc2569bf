"""Pictures: what they show is what was measured, and no headline, however odd, breaks them."""

import dataclasses
import io
import itertools
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from tests import reference
from tests.conftest import AWKWARD, ROOT, STOCKS
from textcnn import Explanation, HeadlineClassifier, Token, metrics
from textcnn.plots import confusion_matrix, heatmap, learning_curves, reliability, to_png

BOTH = pytest.mark.parametrize("preset", ["default", "lesson"])
STYLES = pytest.mark.parametrize("style", ["light", "dark"])
HISTORY = [
    {"epoch": epoch, "train_loss": 1 / epoch, "val_loss": 1.1 / epoch, "val_f1": 1 - 0.5 / epoch}
    for epoch in range(1, 6)
]
BINS = {"confidence": [0, 0.5, 0.9], "accuracy": [0, 0.25, 1], "counts": [0, 4, 16]}
CLASSES = ["Business", "Sci/Tech", "Sports", "World"]
COUNTS = [[8, 2, 0, 0], [1, 1_200, 0, 3], [0, 0, 0, 0], [5, 5, 5, 5]]
MATH = "$ \\frac{1 $ ^x_"  # an error as math; fine as text


@pytest.fixture
def model(preset, small_default, small_lesson) -> HeadlineClassifier:
    return {"default": small_default, "lesson": small_lesson}[preset]


@pytest.fixture(autouse=True)
def _no_warnings():
    """A warning of matplotlib's on a user's terminal is a fault."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def _images(figure):
    return [axes for axes in figure.axes if axes.images]


def _map(figure):
    """The axes with the largest image."""
    return max(_images(figure), key=lambda axes: axes.images[0].get_array().shape[0])


def _strip(figure):
    """The axes with one row, as wide as the map."""
    columns = _map(figure).images[0].get_array().shape[1]
    (strip,) = [axes for axes in _images(figure) if axes.images[0].get_array().shape == (1, columns)]
    return strip


def _words(figure) -> list[str]:
    return [label.get_text() for label in _map(figure).get_xticklabels()]


def _texts(figure) -> str:
    return "\n".join(text.get_text() for text in figure.texts)


def _strongest(explanation: Explanation, count: int) -> list[int]:
    """The filters that moved the predicted class most, the most moving first."""
    target = explanation.classes.index(explanation.label)
    moved = [abs(float(explanation.by_filter[target, f].sum())) for f in range(len(explanation.values))]
    return sorted(range(len(moved)), key=lambda f: -moved[f])[:count]


# Any headline.


@pytest.mark.parametrize("title", [*AWKWARD, STOCKS], ids=lambda title: repr(title[:12]))
@BOTH
def test_any_headline_is_drawn(model, title):
    figure = heatmap(model.explain(title))
    assert isinstance(figure, Figure)
    assert to_png(figure, dpi=30).startswith(b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize("title", ["", STOCKS, "北京 股市 🎉 oil \x00"])
def test_any_headline_is_drawn_in_the_dark(small_default, title):
    assert to_png(heatmap(small_default.explain(title), style="dark"), dpi=30).startswith(b"\x89PNG\r\n\x1a\n")


def test_words_and_classes_are_never_read_as_math(small_default):
    """A dollar sign, a backslash or an underscore is drawn, and never an error of matplotlib's math parser."""
    explanation = small_default.explain("oil")
    explanation = dataclasses.replace(
        explanation,
        title=MATH,
        tokens=(Token(MATH, 0, len(MATH), 5, known=True),),
        label=MATH,
        classes=(MATH, *explanation.classes[1:]),
        distribution={MATH: 0.9, "b": 0.1},
    )
    figure = heatmap(explanation)
    assert to_png(figure, dpi=30)
    assert f"{MATH}, 90%" in _texts(figure)
    assert _words(figure)[0].startswith(MATH[:10])


def test_class_names_of_a_confusion_matrix_are_never_read_as_math():
    assert to_png(confusion_matrix([[1, 2], [3, 4]], [MATH, "b_$"]), dpi=30)


def test_a_headline_without_words_says_so(small_default):
    figure = heatmap(small_default.explain("?!"))
    assert _texts(figure) == "No word to read in this headline."
    assert figure.axes == []


# The map.


@BOTH
def test_the_map_shows_the_values_of_the_filters_that_moved_the_class_most(model):
    explanation = model.explain(STOCKS)
    filters = _strongest(explanation, 40)
    np.testing.assert_array_equal(_map(heatmap(explanation)).images[0].get_array(), explanation.values[filters])


@pytest.mark.parametrize(("count", "rows"), [(40, 40), (5, 5), (1, 1), (10_000, 50)])
def test_the_map_shows_as_many_filters_as_asked_for(small_lesson, count, rows):
    figure = heatmap(small_lesson.explain(STOCKS), max_filters=count)
    assert max(axes.images[0].get_array().shape[0] for axes in _images(figure)) == rows
    assert f"the strongest {rows} of 50 filters" in _texts(figure)


def test_at_most_40_filters_are_shown_by_default(small_default):
    assert _map(heatmap(small_default.explain(STOCKS))).images[0].get_array().shape == (40, 12)


@BOTH
def test_frames_stand_around_the_windows_that_won(model):
    explanation = model.explain(STOCKS)
    filters = _strongest(explanation, 40)
    frames = {}
    for frame in _map(heatmap(explanation)).patches:
        assert isinstance(frame, Rectangle)
        first = frame.get_x() + 0.5
        frames[filters[int(frame.get_y() + 0.5)]] = set(range(int(first), int(first + frame.get_width())))
        assert frame.get_height() == 1
    sizes, winners, words = explanation.filter_sizes, explanation.winners, len(explanation.tokens)
    active = [f for f in filters if explanation.active[f]]
    assert frames == {f: reference.covered(int(winners[f]), int(sizes[f]), words) for f in active}


def test_a_filter_at_zero_gets_no_frame(small_default):
    explanation = small_default.explain(STOCKS)
    figure = heatmap(explanation, max_filters=384)
    assert len(_map(figure).patches) == explanation.active.sum() < 384


@STYLES
def test_the_colours_mean_the_same_in_every_picture(small_default, style):
    """They end at the model's picture scale on both sides of zero, whatever the headline."""
    for title in ("oil", STOCKS):
        explanation = dataclasses.replace(small_default.explain(title), picture_scale=2.5)
        assert _map(heatmap(explanation, style=style)).images[0].get_clim() == (-2.5, 2.5)


@STYLES
def test_both_palettes_diverge_around_zero(small_default, style):
    """Below, at and above zero can be told apart, and zero is nearest to the paper."""
    figure = heatmap(small_default.explain(STOCKS), style=style)
    paper = np.array(to_rgb(figure.get_facecolor()))
    for axes in (_map(figure), _strip(figure)):
        low, middle, high = (np.array(axes.images[0].cmap(x)[:3]) for x in (0.0, 0.5, 1.0))
        assert np.abs(middle - paper).max() < 0.1
        assert min(np.abs(low - high).max(), np.abs(low - middle).max(), np.abs(high - middle).max()) > 0.3


# The words and what they pushed.


def test_words_stand_as_typed_and_unknown_ones_are_marked(small_default):
    figure = heatmap(small_default.explain("Oil ZXQV Market"))
    labels = _map(figure).get_xticklabels()
    assert [label.get_text() for label in labels] == ["Oil", "ZXQV (?)", "Market"]
    assert [label.get_fontstyle() for label in labels] == ["normal", "italic", "normal"]


def test_a_character_that_cannot_be_drawn_becomes_a_question_mark(small_default):
    explanation = small_default.explain("oil")
    token = dataclasses.replace(explanation.tokens[0], end=5)
    figure = heatmap(dataclasses.replace(explanation, title="o\x00i\nl", tokens=(token,)))
    assert _words(figure) == ["o?i?l"]


def test_a_very_long_word_is_cut(small_default):
    (word,) = _words(heatmap(small_default.explain("x" * 10_000)))
    assert word.startswith("xxxxxxxx")
    assert "…" in word
    assert len(word) < 20


@BOTH
def test_the_strip_shows_what_each_word_pushed(model):
    explanation = model.explain(STOCKS)
    pushed = explanation.contributions[explanation.classes.index(explanation.label)]
    strip = _strip(heatmap(explanation))
    np.testing.assert_array_equal(strip.images[0].get_array()[0], pushed)
    for text, value in zip(strip.texts, pushed, strict=True):
        assert float(text.get_text()) == pytest.approx(value, abs=0.051)
        assert text.get_text().startswith(("+", "-", "0"))


def test_weak_pushes_do_not_look_strong(small_default):
    """The strip's colours end at one logit or more: of a headline where nothing pushes, no cell is bright."""
    explanation = small_default.explain(STOCKS)
    weak = dataclasses.replace(explanation, by_filter=explanation.by_filter * 1e-3)
    assert _strip(heatmap(weak)).images[0].get_clim() == (-1, 1)
    strong = dataclasses.replace(explanation, by_filter=explanation.by_filter * 1e3)
    most = np.abs(strong.contributions[strong.classes.index(strong.label)]).max()
    assert _strip(heatmap(strong)).images[0].get_clim() == pytest.approx((-most, most))


def test_of_a_long_headline_the_strongest_60_words_are_shown_in_reading_order(small_default):
    title = " ".join(f"w{i}" if i % 3 else "market" for i in range(90)) + " oil prices coach"
    explanation = small_default.explain(title)
    figure = heatmap(explanation)
    assert "the strongest 60 of 93 words" in _texts(figure)
    pushed = explanation.contributions[explanation.classes.index(explanation.label)]
    chosen = sorted(sorted(range(93), key=lambda t: -abs(float(pushed[t])))[:60])
    np.testing.assert_array_equal(_strip(figure).images[0].get_array()[0], pushed[chosen])
    typed = [title[explanation.tokens[t].start : explanation.tokens[t].end] for t in chosen]
    assert [word.removesuffix(" (?)") for word in _words(figure)] == typed


def test_a_frame_of_a_long_headline_stands_where_its_word_stands(small_default):
    """Left-out words move the columns; the frame goes with its word."""
    explanation = small_default.explain("zxqv " * 70 + "oil prices market")
    single = [f for f in _strongest(explanation, 40) if explanation.filter_sizes[f] == 1 and explanation.active[f]]
    figure = heatmap(explanation)
    words, rows = _words(figure), _strongest(explanation, 40)
    placed = {rows[int(p.get_y() + 0.5)]: words[int(p.get_x() + 0.5)] for p in _map(figure).patches}
    expected = {f: explanation.tokens[explanation.winners[f]] for f in single}
    assert {"oil", "prices", "market"} & {token.text for token in expected.values()}
    assert {f: placed[f].removesuffix(" (?)") for f in single} == {f: token.text for f, token in expected.items()}


def test_the_title_names_class_probability_and_bias(small_default):
    explanation = small_default.explain(STOCKS)
    text = _texts(heatmap(explanation))
    assert f"Business, {explanation.distribution['Business']:.0%}" in text
    assert f"ias {explanation.bias[0]:+.1f}" in text
    assert "12 words" in text


# Light and dark.


def _contrast(one, other) -> float:
    """The contrast of two colours, 1 to 21 (WCAG 2.2)."""

    def luminance(colour):
        channels = np.array(to_rgb(colour))
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("title", [STOCKS, "zxqv oil", "?!"])
@STYLES
def test_every_text_can_be_read_on_its_paper(small_default, style, title):
    figure = heatmap(small_default.explain(title), style=style)
    paper = figure.get_facecolor()
    texts = [*figure.texts]
    for axes in figure.axes:
        texts += [*axes.get_xticklabels(), *axes.get_yticklabels(), axes.yaxis.label, axes.title]
    shown = [text for text in texts if text.get_text()]
    assert shown
    assert min(_contrast(text.get_color(), paper) for text in shown) >= 4.5


@STYLES
def test_every_figure_of_the_strip_can_be_read_on_its_cell(small_default, style):
    strip = _strip(heatmap(small_default.explain(STOCKS), style=style))
    image = strip.images[0]
    cells = image.cmap(image.norm(image.get_array()[0]))
    for text, cell in zip(strip.texts, cells, strict=True):
        assert _contrast(text.get_color(), cell) >= 4.5, text.get_text()


def test_dark_is_dark_and_light_is_light(small_default):
    explanation = small_default.explain(STOCKS)
    for style, dark in (("light", False), ("dark", True)):
        picture = Image.open(io.BytesIO(to_png(heatmap(explanation, style=style), dpi=30)))
        assert (sum(picture.convert("RGB").getpixel((0, 0))) < 3 * 60) is dark


@pytest.mark.parametrize("title", ["oil", STOCKS, "market " * 100, "W" * 100], ids=lambda title: title[:10])
def test_no_text_runs_out_of_the_picture(small_default, title):
    figure = heatmap(small_default.explain(title))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # axes place their labels while they draw
    renderer = canvas.get_renderer()
    width, height = figure.canvas.get_width_height()
    texts = [*figure.texts, *_map(figure).get_xticklabels(), _map(figure).yaxis.label]
    texts += [text for axes in figure.axes for text in [*axes.texts, axes.title]]
    for text in texts:
        box = text.get_window_extent(renderer)
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1
        assert inside or not text.get_text(), text.get_text()


@pytest.mark.parametrize("max_filters", [40, 5, 1])
def test_texts_do_not_run_into_each_other(small_default, max_filters):
    """With five filters the name of the axis was written across the title and the word `pushed`."""
    figure = heatmap(small_default.explain(STOCKS), max_filters=max_filters)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = list(figure.texts)
    for axes in figure.axes:
        texts += [*axes.get_yticklabels(), axes.yaxis.label, axes.title]
    boxes = {text.get_text(): text.get_window_extent(canvas.get_renderer()) for text in texts if text.get_text()}
    crossing = [pair for pair in itertools.combinations(boxes, 2) if boxes[pair[0]].overlaps(boxes[pair[1]])]
    assert crossing == []


# Confusions, learning curves and calibration.


def test_confusion_matrix_shows_counts_and_shares_of_each_true_class():
    figure = confusion_matrix(COUNTS, CLASSES)
    (axes,) = figure.axes
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    assert len(cells) == 16
    assert cells[0, 0] == "8\n80%"
    assert cells[1, 0] == "2\n20%"  # true Business, predicted Sci/Tech: one column to the right
    assert cells[1, 1] == "1,200\n100%"
    assert cells[2, 2] == "0\n0%"  # a class that never occurs
    assert [label.get_text() for label in axes.get_xticklabels()] == CLASSES
    assert [label.get_text() for label in axes.get_yticklabels()] == CLASSES
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")
    assert to_png(figure, dpi=30).startswith(b"\x89PNG\r\n\x1a\n")


def test_learning_curves_show_each_epoch():
    figure = learning_curves(HISTORY)
    loss, f1 = figure.axes
    training, validation = (line.get_xydata().tolist() for line in loss.lines)
    assert training == [[epoch["epoch"], epoch["train_loss"]] for epoch in HISTORY]
    assert validation == [[epoch["epoch"], epoch["val_loss"]] for epoch in HISTORY]
    assert f1.lines[0].get_xydata().tolist() == [[epoch["epoch"], epoch["val_f1"]] for epoch in HISTORY]
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["training", "validation"]
    assert to_png(figure, dpi=30).startswith(b"\x89PNG\r\n\x1a\n")


def test_learning_curves_of_one_epoch_are_drawn():
    assert to_png(learning_curves(HISTORY[:1]), dpi=30).startswith(b"\x89PNG\r\n\x1a\n")


def test_a_reliability_diagram_shows_the_filled_bins_and_how_many_headlines_they_hold():
    figure = reliability(BINS)
    right, many = figure.axes
    diagonal, model = (line.get_xydata().tolist() for line in right.lines)
    assert diagonal == [[0, 0], [1, 1]]
    assert model == [[0.5, 0.25], [0.9, 1]]  # the empty bin is no point at 0
    assert [bar.get_height() for bar in many.patches] == [0, 0.2, 0.8]
    assert [bar.get_x() + bar.get_width() / 2 for bar in many.patches] == pytest.approx([1 / 6, 1 / 2, 5 / 6])
    assert right.get_xlim() == many.get_xlim() == (0, 1)
    assert to_png(figure, dpi=30).startswith(b"\x89PNG\r\n\x1a\n")


def test_a_reliability_diagram_names_the_calibration_error():
    """A fifth of the headlines is .25 off, the others .1: .05 + .08 = .13."""
    (right, _) = reliability(BINS).axes
    assert right.get_legend().get_title().get_text() == "calibration error 0.130"


def test_a_reliability_diagram_takes_what_a_training_measured():
    measured = metrics.reliability(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]))
    (right, _) = reliability(dataclasses.asdict(measured)).axes
    error = measured.expected_calibration_error
    assert right.get_legend().get_title().get_text() == f"calibration error {error:.3f}"


def test_a_reliability_diagram_without_headlines_is_drawn():
    assert to_png(reliability({"confidence": [0, 0], "accuracy": [0, 0], "counts": [0, 0]}), dpi=30)


# As files.


@pytest.mark.parametrize("dpi", [50, 100])
def test_png_has_the_figures_size_times_dots_an_inch(dpi):
    picture = Image.open(io.BytesIO(to_png(learning_curves(HISTORY), dpi=dpi)))
    assert picture.format == "PNG"
    assert picture.size == (8 * dpi, round(3.4 * dpi))


def test_pyplot_is_never_imported():
    """Its global state is not safe in the demo's threads: all pictures are drawn in a fresh process without it."""
    script = """
        import sys
        from textcnn import PRESETS, HeadlineClassifier, plots
        from textcnn.training import fit
        config = PRESETS["lesson"].replace(epochs=1)
        model = HeadlineClassifier.from_fit(fit(["oil up", "coach wins"], ["B", "S"], config), config)
        history = [{"epoch": 1, "train_loss": 1.0, "val_loss": 1.0, "val_f1": 0.5}]
        figures = [
            *(plots.heatmap(model.explain(title), style) for title in ("oil", "") for style in ("light", "dark")),
            plots.confusion_matrix([[1, 0], [0, 1]], ["B", "S"]),
            plots.learning_curves(history),
            plots.reliability({"confidence": [0.9], "accuracy": [1.0], "counts": [3]}),
        ]
        sizes = [len(plots.to_png(figure, dpi=30)) for figure in figures]
        assert len(sizes) == 7 and min(sizes) > 500
        sys.exit("pyplot was imported" if "matplotlib.pyplot" in sys.modules else 0)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
