"""Measures: against scikit-learn, and by hand where the numbers are small enough for the head."""

import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from textcnn.metrics import Reliability, evaluate, fit_temperature, reliability

few = settings(deadline=None, max_examples=40)
CLASSES = ["Business", "Sci/Tech", "Sports", "World"]


def _drawn(seed, rows=80, classes=4):
    draw = np.random.default_rng(seed)
    probabilities = draw.dirichlet([0.7] * classes, rows).astype(np.float32)
    return draw.integers(0, classes, rows), probabilities


def _certain(*predicted, classes=4):
    """Probabilities of one for the given classes."""
    return np.eye(classes, dtype=np.float32)[list(predicted)]


@few
@given(st.integers(0, 2**16))
def test_overall_figures_are_scikit_learns(seed):
    y_true, y_prob = _drawn(seed)
    y_pred = y_prob.argmax(1)
    overall = evaluate(y_true, y_prob, CLASSES).overall
    assert overall["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(y_true, y_pred))
    assert overall["macro_f1"] == pytest.approx(sklearn_metrics.f1_score(y_true, y_pred, average="macro"))
    for name in ("precision", "recall", "f1"):
        score = getattr(sklearn_metrics, f"{name}_score")
        expected = score(y_true, y_pred, average="weighted", zero_division=0)
        assert overall[name] == pytest.approx(expected)
    assert overall["num_samples"] == 80
    log_loss = -np.log(y_prob[np.arange(80), y_true].astype(np.float64)).mean()
    assert overall["log_loss"] == pytest.approx(log_loss, rel=1e-4)


def test_figures_of_six_headlines_by_hand():
    """True A A A B B C, predicted A A B B C C."""
    performance = evaluate(np.array([0, 0, 0, 1, 1, 2]), _certain(0, 0, 1, 1, 2, 2, classes=3), ["A", "B", "C"])
    assert performance.confusion == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]
    a, b, c = (performance.per_class[name] for name in "ABC")
    assert (a["precision"], a["recall"], a["num_samples"]) == (1, pytest.approx(2 / 3), 3)
    assert (b["precision"], b["recall"], b["f1"], b["num_samples"]) == (0.5, 0.5, 0.5, 2)
    assert (c["precision"], c["recall"], c["num_samples"]) == (0.5, 1, 1)
    assert a["f1"] == pytest.approx(0.8)
    assert c["f1"] == pytest.approx(2 / 3)
    overall = performance.overall
    assert overall["accuracy"] == overall["recall"] == pytest.approx(4 / 6)
    assert overall["precision"] == pytest.approx((3 * 1 + 2 * 0.5 + 1 * 0.5) / 6)
    assert overall["f1"] == pytest.approx((3 * 0.8 + 2 * 0.5 + 2 / 3) / 6)
    assert overall["macro_f1"] == pytest.approx((0.8 + 0.5 + 2 / 3) / 3)


def test_log_loss_by_hand():
    """Probabilities of one half and one quarter for the true class: (1 + 2) ln 2 / 2."""
    y_prob = np.array([[0.5, 0.5], [0.75, 0.25]], dtype=np.float32)
    assert evaluate(np.array([0, 1]), y_prob, ["A", "B"]).overall["log_loss"] == pytest.approx(1.5 * np.log(2))


def test_an_absent_class_keeps_its_place():
    """Sports and Sci/Tech never occur: the others' figures must not slide into their rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        performance = evaluate(np.array([0, 3, 3, 3]), _certain(0, 3, 3, 0), CLASSES)
    assert list(performance.per_class) == CLASSES
    absent = {"precision": 0, "recall": 0, "f1": 0, "num_samples": 0}
    assert performance.per_class["Sci/Tech"] == performance.per_class["Sports"] == absent
    assert performance.per_class["World"]["precision"] == 1
    assert performance.per_class["World"]["recall"] == pytest.approx(2 / 3)
    assert performance.confusion == [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 2]]


def test_one_headline_can_be_measured():
    performance = evaluate(np.array([2]), np.array([[0.1, 0.2, 0.6, 0.1]], dtype=np.float32), CLASSES)
    assert performance.overall["accuracy"] == 1
    assert performance.overall["log_loss"] == pytest.approx(-np.log(0.6), rel=1e-5)


def test_float32_rows_raise_no_warning_about_their_sum():
    y_true, y_prob = _drawn(1, rows=500)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate(y_true, y_prob, CLASSES)


def test_evaluate_leaves_its_arrays_alone():
    y_true, y_prob = _drawn(2)
    y_prob = y_prob.astype(np.float64) * 1.001
    before = y_prob.copy()
    evaluate(y_true, y_prob, CLASSES)
    np.testing.assert_array_equal(y_prob, before)


def test_to_dict_is_plain_and_calls_the_figures_of_each_class_as_the_lesson_does():
    content = evaluate(*_drawn(3), CLASSES).to_dict()
    assert sorted(content) == ["class", "confusion", "overall", "reliability"]
    assert list(content["class"]) == CLASSES
    assert json.loads(json.dumps(content)) == content


# Calibration.


def test_calibration_error_by_hand():
    """Two at .9, both right; two at .6, one right: gaps of .1 each, so the error is .1."""
    y_prob = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]])
    bins = reliability(np.array([0, 0, 0, 0]), y_prob, num_bins=5)
    assert bins.counts == [0, 0, 0, 2, 2]
    assert bins.confidence == pytest.approx([0, 0, 0, 0.6, 0.9])
    assert bins.accuracy == [0, 0, 0, 0.5, 1]
    assert bins.expected_calibration_error == pytest.approx(0.1)


def test_calibration_error_weighs_bins_by_their_counts():
    """Three with a gap of .1 and one with a gap of .5: .2."""
    assert Reliability([0.9, 0.5], [1.0, 0.0], [3, 1]).expected_calibration_error == pytest.approx(0.2)


def test_certain_and_right_has_no_calibration_error():
    """A probability of exactly one belongs into the last bin."""
    bins = reliability(np.array([0, 1]), _certain(0, 1))
    assert bins.counts == [0] * 14 + [2]
    assert bins.expected_calibration_error == 0


def test_certain_and_wrong_has_the_whole_calibration_error():
    assert reliability(np.array([1, 0]), _certain(0, 1)).expected_calibration_error == 1


def test_nothing_measured_has_no_calibration_error():
    assert reliability(np.zeros(0, dtype=int), np.zeros((0, 4))).expected_calibration_error == 0


def test_evaluate_reports_the_calibration_error_of_its_bins():
    performance = evaluate(*_drawn(4), CLASSES)
    assert sum(performance.reliability.counts) == 80
    expected = performance.reliability.expected_calibration_error
    assert performance.overall["expected_calibration_error"] == expected > 0


# Temperature.


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_temperature_finds_the_scale_that_logits_were_multiplied_by(scale):
    """Classes are drawn from softmax(logits); a model that says scale x logits needs the temperature `scale`."""
    draw = np.random.default_rng(5)
    logits = draw.normal(size=(20_000, 4)) * 2
    y_true = (logits + draw.gumbel(size=logits.shape)).argmax(1)
    assert fit_temperature(y_true, (scale * logits).astype(np.float32)) == pytest.approx(scale, rel=0.04)


def test_temperature_has_the_least_log_loss():
    draw = np.random.default_rng(6)
    logits = draw.normal(size=(80, 4))
    y_true = (1.5 * logits + draw.gumbel(size=logits.shape)).argmax(1)

    def loss(temperature):
        scaled = logits / temperature
        return -(scaled[np.arange(80), y_true] - np.log(np.exp(scaled).sum(1))).mean()

    best = fit_temperature(y_true, logits)
    assert 0.1 < best < 10
    assert loss(best) <= min(loss(best * 0.98), loss(best * 1.02))


@pytest.mark.parametrize(("y_true", "bound"), [([0, 1], 0.1), ([1, 0], 10)], ids=["all right", "all wrong"])
def test_temperature_of_a_handful_stays_within_bounds(y_true, bound):
    logits = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert fit_temperature(np.array(y_true), logits) == pytest.approx(bound, rel=0.01)
