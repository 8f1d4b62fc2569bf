"""How faithful explanations are is measured as it says, by worked examples and slow, literal versions."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tests.conftest import ROOT, STOCKS

MACHINE = {"cores": 2, "processor": "a processor", "commit": "0" * 40}
VERSIONS = {"torch": "2.9", "lime": "0.2", "shap": "0.5", "captum": "0.9"}
TITLES = [STOCKS, "Late goal wins the cup final", "Oil oil prices rise", "New phone"]


@pytest.fixture(autouse=True)
def _benchmarks_can_be_imported(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


class Sums:
    """A model whose probability of the first class is the sum of what its tokens weigh."""

    def __init__(self, *weights):
        self.weights = np.array(weights)

    def probabilities(self, sequences):
        first = np.array([self.weights[ids].sum() for ids in sequences])
        return np.stack([first, 1 - first], axis=1)


@pytest.fixture
def asked(small_default):
    from explainers import Asked

    return Asked(small_default)


@pytest.fixture
def headlines(asked):
    import faithfulness

    rows = type("Rows", (), {"titles": TITLES})
    found, short = faithfulness.drawn(asked, rows, 10, seed=1)
    assert short == 0
    assert sorted(of.title for of in found) == sorted(TITLES)
    return found


# The metrics.


def test_the_top_is_rounded_up_and_the_first_of_equals_is_higher():
    import faithfulness

    ten = faithfulness.tops(np.array([0, 9, 8, 7, 6, 5, 4, 3, 2, 1]))
    assert [np.flatnonzero(top).tolist() for top in ten] == [list(range(1, k + 1)) for k in (1, 2, 3, 4, 5)]
    three = faithfulness.tops(np.array([-1.0, 2.0, 2.0]))
    assert [np.flatnonzero(top).tolist() for top in three] == [[1], [1], [1], [1, 2], [1, 2]]


def test_comprehensiveness_and_sufficiency_of_a_worked_example():
    """Four tokens of weights .4, .3, .2, 0: the top 10 and 20 % are one token, 30, 40 and 50 % are two."""
    import faithfulness
    from explainers import Attribution

    headline = faithfulness.Headline("", np.array([3, 0, 1, 2]), 0, 0.0, 0.9)
    model = Sums(0.4, 0.3, 0.2, 0.0)
    right = Attribution(np.array([0.0, 0.4, 0.3, 0.2]))
    wrong = Attribution(np.array([5.0, 1.0, 2.0, 3.0]))
    falls = faithfulness.probability_falls(model, [headline, headline], [right, wrong])
    assert falls.shape == (2, 5, 2)
    np.testing.assert_allclose(falls[0, :, 0], [0.4, 0.4, 0.7, 0.7, 0.7])
    np.testing.assert_allclose(falls[1, :, 0], [0.5, 0.5, 0.2, 0.2, 0.2])
    np.testing.assert_allclose(falls[0, :, 1], [0, 0, 0.2, 0.2, 0.2], atol=1e-12)
    np.testing.assert_allclose(falls.mean(1), [[0.58, 0.12], [0.32, 0.78]])


def test_comprehensiveness_and_sufficiency_are_those_of_a_literal_loop(asked, headlines):
    import faithfulness
    from explainers import Attribution

    random = np.random.default_rng(0)
    said = [Attribution(random.normal(size=len(of.ids)).round(1)) for of in headlines]
    falls = faithfulness.probability_falls(asked, headlines, said).mean(1)
    for column, (headline, of) in enumerate(zip(headlines, said)):
        order = sorted(range(len(of.values)), key=lambda token: (-of.values[token], token))
        for row, keep_top in enumerate((False, True)):
            total = 0.0
            for share in (0.1, 0.2, 0.3, 0.4, 0.5):
                top = order[: int(np.ceil(round(share * len(order), 9)))]
                left = [token for place, token in enumerate(headline.ids) if (place in top) == keep_top]
                probability = asked.probabilities([np.array(left, dtype=np.int64)])[0, headline.class_]
                total += headline.probability - probability
            assert falls[row, column] == pytest.approx(total / 5, abs=1e-6)


def test_the_completeness_error_is_in_units_of_the_output_where_that_is_large():
    import faithfulness
    from explainers import Attribution

    headlines = [faithfulness.Headline("", np.arange(2), 0, logit, 0.5) for logit in (2.0, -0.5, 1.0)]
    values = np.array([1.0, 0.25])
    said = [Attribution(values, 0.5), Attribution(values, -1.5), Attribution(values, -0.25)]
    assert faithfulness.completeness(said, headlines) == {"median": 0.125, "maximum": 0.25}
    probable = [Attribution(values, -0.5, "probability")] * 3
    assert faithfulness.completeness(probable, headlines) == {"median": 0.25, "maximum": 0.25}
    assert faithfulness.completeness([Attribution(values)] * 3, headlines) is None


def test_the_interval_is_that_of_headlines_drawn_one_by_one():
    import faithfulness

    values = np.random.default_rng(1).normal(size=60)
    found = faithfulness.interval(values)
    random = np.random.default_rng(2)
    means = [values[random.integers(0, 60, 60)].mean() for _ in range(4_000)]
    assert found["mean"] == pytest.approx(values.mean())
    assert found["interval"] == pytest.approx(np.quantile(means, (0.025, 0.975)), abs=0.02)
    assert faithfulness.interval(np.full(9, 0.25))["interval"] == pytest.approx([0.25, 0.25])


def test_the_correlation_is_scipys_and_equal_numbers_have_none():
    import faithfulness

    random = np.random.default_rng(3)
    for _ in range(20):
        one, other = random.integers(0, 4, (2, 9)).astype(float)
        assert faithfulness.spearman(one, other) == pytest.approx(stats.spearmanr(one, other).statistic)
    assert faithfulness.spearman(np.ones(3), np.arange(3.0)) is None
    pairs = [np.arange(3.0), np.ones(3)], [np.arange(3.0)[::-1], np.arange(3.0)]
    assert faithfulness.correlation(*pairs) == {"mean": pytest.approx(-1), "headlines": 1}
    assert faithfulness.correlation([np.ones(2)], [np.ones(2)]) == {"mean": None, "headlines": 0}


def test_headlines_of_one_token_are_not_drawn(asked):
    import faithfulness

    rows = type("Rows", (), {"titles": ["", "Goal", *TITLES]})
    found, short = faithfulness.drawn(asked, rows, 3, seed=2)
    assert (len(found), short) == (3, 2)
    assert [of.title for of in found] == [of.title for of in faithfulness.drawn(asked, rows, 3, seed=2)[0]]
    for of in found:
        assert of.class_ == asked.logits([of.ids])[0].argmax()
        assert of.probability == pytest.approx(asked.classifier.predict(of.title).probability, abs=1e-6)


# The explanations.


def test_ours_adds_up_and_the_other_sum_weighs_with_the_probabilities(asked, headlines):
    import explainers
    import faithfulness

    own = explainers.own(asked.classifier)
    said = [own["ours"](of.title, of.class_, 0) for of in headlines]
    assert faithfulness.completeness(said, headlines)["maximum"] < 1e-5
    explanation = asked.classifier.explain(STOCKS)
    chances = asked.classifier.predict_proba([STOCKS])[0]
    expected = explanation.contributions[2] - chances @ explanation.contributions
    np.testing.assert_allclose(own["ours, log-probability"](STOCKS, 2, 0).values, expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["logit", "probability"])
def test_leave_one_out_deletes_each_token(asked, kind):
    import explainers

    values = explainers.leave_one_out(asked, kind)(STOCKS, 1, 0).values
    ids = asked.ids(STOCKS)
    whole = asked.output([ids], kind)[0, 1]
    for place, value in enumerate(values):
        left = np.array([token for at, token in enumerate(ids) if at != place])
        assert value == pytest.approx(whole - asked.output([left], kind)[0, 1], abs=1e-5)


def test_a_masked_text_stands_for_the_tokens_at_its_positions(asked):
    import explainers

    ids = np.array([7, 8, 7, 9])
    assert explainers.positions(ids) == "0 1 2 3"
    left = explainers.kept(ids, ["0 1 2 3", "0 ... 3", " 2 ", "..."])
    assert [of.tolist() for of in left] == [[7, 8, 7, 9], [7, 9], [7], []]


def test_the_network_that_captum_gets_is_the_model(asked, headlines):
    import explainers

    network = explainers.EmbeddedNetwork(asked.classifier)
    for of in headlines:
        logits = network(network.embedded(of.ids)).detach().numpy()
        np.testing.assert_allclose(logits, asked.logits([of.ids]), atol=1e-5)
        zeros = np.zeros(len(of.ids), dtype=np.int64)  # PAD is the zero vector
        np.testing.assert_allclose(network(network.embedded(zeros))[0].detach(), network.at_zero(), atol=1e-6)


def test_a_network_that_captum_could_not_follow_is_refused(small_lesson):
    import explainers

    with pytest.raises(ValueError, match="with embeddings"):
        explainers.EmbeddedNetwork(small_lesson)


def test_chance_follows_its_seed(asked):
    import explainers

    explain = explainers.random(asked)["random"]
    one, same, other = (explain(STOCKS, 0, seed).values for seed in (1, 1, 2))
    assert one.tolist() == same.tolist() != other.tolist()


def test_captums_explanations_add_up_as_ours_do(asked, headlines):
    pytest.importorskip("captum")
    import explainers
    import faithfulness

    captum, ours = explainers.captum(asked), explainers.own(asked.classifier)["ours"]
    for of in headlines:
        values = captum["input x gradient"](of.title, of.class_, 0).values
        np.testing.assert_allclose(values, ours(of.title, of.class_, 0).values, atol=1e-4)
        occluded = captum["occlusion"](of.title, of.class_, 0)
        zeroed = of.ids.copy()
        zeroed[0] = 0
        network = explainers.EmbeddedNetwork(asked.classifier)
        fall = of.logit - float(network(network.embedded(zeroed))[0, of.class_].detach())
        assert occluded.values[0] == pytest.approx(fall, abs=1e-4)
        assert occluded.base is None
    said = [captum["integrated gradients"](of.title, of.class_, 0) for of in headlines]
    assert faithfulness.completeness(said, headlines)["maximum"] < 0.05
    assert captum["deeplift"](STOCKS, 0, 0).values.shape == asked.ids(STOCKS).shape


@pytest.mark.parametrize("kind", ["logit", "probability"])
def test_shap_explains_the_models_own_tokens(asked, headlines, kind):
    pytest.importorskip("shap")
    import explainers
    import faithfulness

    for explain in explainers.shap(asked, kind).values():
        said = [explain(of.title, of.class_, 1) for of in headlines]
        assert [len(of.values) for of in said] == [len(of.ids) for of in headlines]
        assert faithfulness.completeness(said, headlines)["maximum"] < 1e-5
        empty = asked.output([np.zeros(0, dtype=np.int64)], kind)[0]
        assert said[0].base == pytest.approx(empty[headlines[0].class_], abs=1e-6)


def test_shapley_values_of_two_tokens_are_those_worked_out_by_hand(asked):
    pytest.importorskip("shap")
    import explainers

    ids = asked.ids("New phone")
    none, first, second, both = asked.logits([ids[:0], ids[:1], ids[1:], ids])[:, 0]
    by_hand = [((first - none) + (both - second)) / 2, ((second - none) + (both - first)) / 2]
    for explain in explainers.shap(asked, "logit").values():
        np.testing.assert_allclose(explain("New phone", 0, 1).values, by_hand, atol=1e-5)


def test_lime_weighs_every_token_and_follows_its_seed(asked, monkeypatch):
    pytest.importorskip("lime")
    import explainers

    monkeypatch.setattr(explainers, "LIME_SAMPLES", 300)
    explain = explainers.lime(asked)["lime"]
    one, same, other = (explain(STOCKS, 0, seed).values for seed in (1, 1, 2))
    assert one.shape == asked.ids(STOCKS).shape
    assert one.tolist() == same.tolist() != other.tolist()
    slow = explainers.lime(asked, distinct=False)["lime"]
    np.testing.assert_allclose(slow(STOCKS, 0, 1).values, one, atol=1e-4)


# The report.


def _of(value, name):
    """What is recorded of a method with a comprehensiveness."""
    masking = name.startswith(("lime", "shap"))
    return {
        "explains": "logit",
        "completeness_error": {"median": 0.0, "maximum": 4e-7} if name == "ours" else None,
        "comprehensiveness": {"mean": value, "interval": [value - 0.02, value + 0.02]},
        "comprehensiveness_by_percent": [value - 0.1] * 4 + [value + 0.1],
        "sufficiency": {"mean": -0.02, "interval": [-0.03, -0.01]},
        "agreement": {"mean": 0.9, "headlines": 9},
        "repeatability": {"mean": 0.98 if name == "lime" else 1.0, "headlines": 9},
        "ms": 60.0 if masking else 0.6,
        "times_ours": 100.0 if masking else 1.0,
        "ms_as_it_comes": 90.0 if masking else None,
    }


def _result(**values):
    """faithfulness.json of methods by comprehensiveness; the others are all at .3."""
    import report_faithfulness

    methods = {name: _of(values.get(name, 0.3), name) for name in report_faithfulness.METHODS}
    methods["input x gradient"]["completeness_error"] = {"median": 0.04, "maximum": 0.3}
    mine = methods["ours"]["comprehensiveness"]["mean"]
    minus = {}
    for name, of in methods.items():
        apart = mine - of["comprehensiveness"]["mean"]
        minus[name] = {"comprehensiveness": {"mean": apart, "interval": [apart - 0.01, apart + 0.01]}}
    del minus["ours"]
    return {
        "headlines": {"count": 500, "drawn_from": 9_336, "with_fewer_than_two_tokens": 1, "median_tokens": 7.0},
        "settings": {
            "percents": [10, 20, 30, 40, 50],
            "lime_samples": 5_000,
            "shap_evaluations": 500,
            "integrated_gradients_steps": 50,
        },
        "methods": methods,
        "ours_minus": minus,
        "input_x_gradient": {
            "max_abs_difference": 5e-2,
            "median_abs_difference": 2e-7,
            "other_order": 4,
            "other_top": 2,
        },
        "machine": {**MACHINE, "versions": VERSIONS},
    }


def test_the_table_is_sorted_and_a_better_method_is_said_to_win():
    import report_faithfulness

    text = report_faithfulness.faithfulness(_result(ours=0.42, lime=0.45, occlusion=0.40, random=0.1))
    table = [line.split(" | ")[0].strip("| *`") for line in text.splitlines() if line.startswith("| ")]
    assert table[1:3] == ["LIME", "explain"]
    assert table[-1] == "random"
    assert "at 10 % LIME (0.350, 0.320), at 50 % LIME (0.550, 0.520)" in text
    assert "-0.030 (-0.040 to -0.020)" in text
    assert "Ahead of `explain`, by up to 0.030: LIME." in text
    assert "to the logit within 1e-5: the largest error is 4e-07. No other method does." in text
    assert "the chosen words are another on 2 of 500 headlines" in text
    assert "another seed changes the order with LIME (mean correlation from 0.980)" in text
    assert "with all questions to the model in one batch: LIME 100;" in text
    assert "as the packages come: LIME 150;" in text


@pytest.mark.parametrize(("mine", "where"), [(0.4299, "below"), (0.4301, "not below")])
def test_whether_it_is_within_the_best_peers_interval_is_said(mine, where):
    import report_faithfulness

    text = report_faithfulness.faithfulness(_result(ours=mine, lime=0.45))
    assert f"The best peer is LIME; `explain` at {mine:.4f} is {where} its interval, which begins at 0.4300." in text


def test_without_a_better_method_none_is_said_to_be_ahead():
    import report_faithfulness

    text = report_faithfulness.faithfulness(_result(ours=0.5))
    assert "Ahead of" not in text
    assert "Behind it" in text


def test_the_picture_has_every_method_and_a_poor_one_at_the_edge_with_its_figure(tmp_path, monkeypatch):
    import report
    import report_faithfulness

    result = _result(ours=0.42, lime=0.45, random=0.1)
    (axes,) = report_faithfulness.faithfulness_figure(result).axes
    assert {text.get_text() for text in axes.texts} >= {"explain", "LIME", "random, 0.100"}
    assert len(axes.texts) == len(report_faithfulness.METHODS)
    assert axes.get_ylim()[0] > 0.2
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    Path(tmp_path / "faithfulness.json").write_text(json.dumps(result), encoding="utf-8")
    report.draw(tmp_path / "docs")
    assert [path.name for path in (tmp_path / "docs").iterdir()] == ["faithfulness.png"]
    text = report.filled("<!-- faithfulness -->\n<!-- /faithfulness -->\n")
    assert "500 test headlines (median of 7 words; 1 of 9,336 left out for fewer than two)" in text
