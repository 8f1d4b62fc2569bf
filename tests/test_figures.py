"""Pictures of a training: they show what was measured."""

import dataclasses
import warnings

import numpy as np
import pytest

from textcnn import metrics
from textcnn.figures import confusion_matrix, learning_curves, reliability
from textcnn.sheet import to_png

HISTORY = [
    {"epoch": epoch, "train_loss": 1 / epoch, "val_loss": 1.1 / epoch, "val_f1": 1 - 0.5 / epoch}
    for epoch in range(1, 6)
]
BINS = {"confidence": [0, 0.5, 0.9], "accuracy": [0, 0.25, 1], "counts": [0, 4, 16]}
CLASSES = ["Business", "Sci/Tech", "Sports", "World"]
COUNTS = [[8, 2, 0, 0], [1, 1_200, 0, 3], [0, 0, 0, 0], [5, 5, 5, 5]]
MATH = "$ \\frac{1 $ ^x_"  # an error as math; fine as text


@pytest.fixture(autouse=True)
def _no_warnings():
    """A warning of matplotlib's on a user's terminal is a fault."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


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


def test_class_names_of_a_confusion_matrix_are_never_read_as_math():
    assert to_png(confusion_matrix([[1, 2], [3, 4]], [MATH, "b_$"]), dpi=30)


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
