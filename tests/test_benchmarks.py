"""The README says what the benchmarks measured, and they measure what they say."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from sklearn.metrics import f1_score

from tests.conftest import ROOT
from textcnn.pipeline import Rows
from textcnn.splits import split

RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
MACHINE = {"cores": 2, "processor": "a processor", "versions": {"torch": "2.9"}, "commit": "0" * 40}
FIGURES = {
    **{"f1": 0.87, "macro_f1": 0.87, "accuracy": 0.87, "log_loss": 0.4, "expected_calibration_error": 0.012},
    **{"tempered_log_loss": 0.39, "tempered_calibration_error": 0.01, "validation_f1": 0.88, "train_s": 12.0},
    **{"grid_s": 30.0, "single_us": 250.0, "batch_us": 9.0, "size_mb": 7.5, "f1_2020s": 0.7, "f1_2020s_hard": 0.6},
}


@pytest.fixture(autouse=True)
def _benchmarks_can_be_imported(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.fixture
def results(tmp_path, monkeypatch):
    """An empty folder of results, for what is written and for what is reported."""
    import common
    import report

    monkeypatch.setattr(common, "RESULTS", tmp_path)
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    return tmp_path


def _write(folder, name, content):
    (folder / f"{name}.json").write_text(json.dumps({**content, "machine": MACHINE}), encoding="utf-8")


def _accuracy(**f1):
    """accuracy.json of models by name, with two seeds each."""
    import accuracy

    data, second = {"sha256": "d", "rows": 62_242}, {"sha256": "s", "rows": 120, "hard": 43}
    runs = {name: [{**FIGURES, "seed": seed, "f1": value} for seed in (1, 2)] for name, value in f1.items()}
    minus = {
        name: {"mean": f1["default"] - value, "deviation": 0.001, "interval": [0.004, 0.013]}
        for name, value in f1.items()
        if name != "default"
    }
    models = {name: accuracy.summary(of) for name, of in runs.items()}
    return {"data": data, "second_test": second, "models": models, "default_minus": minus, "runs": runs}


# The README.


def test_the_figures_in_the_readme_are_those_of_the_results():
    done = subprocess.run(
        [sys.executable, "benchmarks/report.py", "--check"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_readme_that_says_something_else_is_found():
    import report

    text = report.README.read_text(encoding="utf-8")
    assert report.filled(text) == text
    digit = text.index("0.", text.index("<!-- accuracy -->"))
    changed = text[: digit + 2] + "000" + text[digit + 5 :]
    assert report.filled(changed) == text


def test_the_pictures_that_the_readme_names_are_there():
    for path in re.findall(r"!\[[^\]]*\]\((docs/[^)]*)\)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert (ROOT / path).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_each_result_names_the_machine_the_versions_and_the_code(path):
    machine = json.loads(path.read_text(encoding="utf-8"))["machine"]
    assert machine["processor"]
    assert machine["versions"]["torch"]
    assert len(machine["commit"]) == 40


def test_a_part_without_a_result_stays_as_it_is(results):
    import report

    text = "<!-- accuracy -->\nas it was\n<!-- /accuracy -->\n"
    assert report.filled(text) == text


def test_a_part_that_is_missing_or_there_twice_is_refused(results):
    import report

    _write(results, "accuracy", _accuracy(default=0.88))
    with pytest.raises(SystemExit, match="0 parts marked accuracy"):
        report.filled("# A README\n")
    with pytest.raises(SystemExit, match="2 parts marked accuracy"):
        report.filled("<!-- accuracy -->\n<!-- /accuracy -->\n" * 2)


def test_the_table_ranks_all_models_the_transformer_too(results):
    import report

    content = _accuracy(lesson=0.69, default=0.88, fasttext=0.85)
    _write(results, "accuracy", content)
    transformer = {**FIGURES, "f1": 0.889, "seed": 2, "rows": {"sha256": "d", "train": 43_569, "test": 9_337}}
    _write(results, "transformer", transformer)
    text = report.filled("<!-- accuracy -->\n<!-- /accuracy -->\n")
    table = [line for line in text.splitlines() if line.startswith("| ") and line.count("|") == 10]
    assert [line.split(" | ")[0].strip("| ") for line in table[1:]] == [
        "all-MiniLM-L6-v2, fine-tuned",
        "textcnn, preset `default`",
        "fastText of words and pairs",
        "textcnn, preset `lesson`",
    ]
    assert " | 0.889 | -0.009 (seed 2) | " in table[1]
    assert " | 0.880 ± 0.000 |  | 0.400 | 0.012 | 12 | 250 | 9.0 | 7.5 |" in table[2]
    assert " | 0.850 ± 0.000 | +0.030 (+0.004 to +0.013) | " in table[3]
    assert "On 120 headlines of the 2020s" in text
    assert "| textcnn, preset `lesson` | 0.700 ± 0.000 | 0.600 ± 0.000 |" in text


def test_a_transformer_measured_on_other_rows_is_left_out(results):
    import report

    _write(results, "transformer", {**FIGURES, "seed": 1, "rows": {"sha256": "another", "train": 1, "test": 1}})
    assert [row["model"] for row in report.rows(_accuracy(default=0.88))] == ["default"]


def test_pictures_are_drawn_of_the_results_that_are_there(results, tmp_path):
    import learning_curve
    import report

    report.draw(tmp_path / "none")
    assert list((tmp_path / "none").iterdir()) == []
    _write(results, "accuracy", _accuracy(lesson=0.69, default=0.88, fasttext=0.85))
    runs = [
        {"seed": 1, "place": place, "titles": titles, "model": model, "f1": 0.7 + 0.05 * place}
        for place, titles in enumerate((1_000, 2_000, 5_000))
        for model in ("default", learning_curve.SVC)
    ]
    _write(results, "learning_curve", {"models": learning_curve.curves(runs), "runs": runs})
    report.draw(tmp_path / "docs")
    assert sorted(path.name for path in (tmp_path / "docs").iterdir()) == ["accuracy.png", "learning_curve.png"]
    text = report.filled("<!-- accuracy -->\n<!-- /accuracy -->\n<!-- learning_curve -->\n<!-- /learning_curve -->\n")
    assert "From 1,000 to 5,000 training titles `default` goes from 0.700 to 0.800" in text
    assert "upper guess" in text


def test_every_point_has_its_label_and_a_poor_model_stands_at_the_edge_with_its_figure(results):
    import report

    (axes,) = report.accuracy_figure(report.rows(_accuracy(lesson=0.69, default=0.88, fasttext=0.85))).axes
    assert {text.get_text() for text in axes.texts} == {"textcnn default", "fastText", "textcnn lesson, 0.690"}
    assert axes.get_ylim()[0] > 0.8
    assert axes.get_xscale() == "log"


# The bootstrap.


def _predictions(rows, seed):
    random = np.random.default_rng(seed)
    truth = random.integers(0, 4, rows)
    guesses = random.integers(0, 4, (2, rows))
    good, poor = random.random(rows) < 0.9, random.random(rows) < 0.8
    return truth, np.where(good, truth, guesses[0]), np.where(poor, truth, guesses[1])


def test_f1_of_joint_counts_is_scikit_learns():
    import accuracy

    truth, one, other = _predictions(500, seed=1)
    counts = accuracy.joint_counts(truth, one, other)
    assert counts.sum() == 500
    for predicted, confusion in ((one, counts.sum(2)), (other, counts.sum(1))):
        assert accuracy.weighted_f1(confusion) == pytest.approx(f1_score(truth, predicted, average="weighted"))


def test_the_interval_is_that_of_rows_drawn_one_by_one():
    """The multinomial draw of cells against the slow and obvious bootstrap of rows."""
    import accuracy

    truth, one, other = _predictions(400, seed=2)
    low, high = accuracy.interval([accuracy.joint_counts(truth, one, other)])
    random = np.random.default_rng(3)
    differences = []
    for _ in range(600):
        rows = random.integers(0, 400, 400)
        scores = [f1_score(truth[rows], of[rows], average="weighted") for of in (one, other)]
        differences.append(scores[0] - scores[1])
    assert [low, high] == pytest.approx(np.quantile(differences, (0.025, 0.975)), abs=0.01)
    assert low < f1_score(truth, one, average="weighted") - f1_score(truth, other, average="weighted") < high


def test_the_interval_of_equal_predictions_is_zero_and_more_seeds_make_it_narrower():
    import accuracy

    truth, one, other = _predictions(400, seed=4)
    assert accuracy.interval([accuracy.joint_counts(truth, one, one)]) == [0, 0]
    counts = accuracy.joint_counts(truth, one, other)
    single, five = accuracy.interval([counts]), accuracy.interval([counts] * 5)
    assert five[1] - five[0] < 0.6 * (single[1] - single[0])


# Runs and what is kept of them.


def _add(results, model, seed, f1):
    truth, one, other = _predictions(50, seed)
    results.add(model, {"seed": seed, "f1": f1, "f1_2020s": 0.5}, truth, one if model == "default" else other)


def test_results_are_written_with_means_and_paired_differences(results):
    import accuracy

    kept = accuracy.Results({"sha256": "d", "rows": 50}, {"sha256": "s"})
    for seed in (2, 1):
        _add(kept, "default", seed, 0.9)
        _add(kept, "fasttext", seed, 0.9 - 0.1 * seed)
    kept.write()
    content = json.loads((results / "accuracy.json").read_text(encoding="utf-8"))
    assert content["models"]["fasttext"]["f1"]["mean"] == pytest.approx(0.75)
    assert content["default_minus"]["fasttext"]["values"] == pytest.approx([0.1, 0.2])
    assert content["default_minus"]["fasttext"]["interval"][0] < content["default_minus"]["fasttext"]["interval"][1]
    assert [run["seed"] for run in content["runs"]["default"]] == [1, 2]


def test_merging_keeps_the_other_runs_and_their_predictions(results):
    import accuracy

    first = accuracy.Results({"sha256": "d", "rows": 50}, {"sha256": "s"})
    for model in ("default", "fasttext"):
        for seed in (1, 2):
            _add(first, model, seed, 0.8)
    first.write()
    second = accuracy.Results({"sha256": "d", "rows": 50}, {"sha256": "another"})
    second.merge(["default"], [1, 2])
    assert second.runs["default"] == {}
    assert second.runs["fasttext"][1] == {"seed": 1, "f1": 0.8}  # without what was measured on another second test
    _add(second, "default", 1, 0.9)
    second.write()  # as a run leaves it that ends after one of its seeds
    content = json.loads((results / "accuracy.json").read_text(encoding="utf-8"))
    assert content["default_minus"]["fasttext"]["seeds"] == [1]
    assert content["default_minus"]["fasttext"]["mean"] == pytest.approx(0.1)
    assert len(content["runs"]["fasttext"]) == 2


def test_merging_with_runs_on_other_data_is_refused(results):
    import accuracy

    accuracy.Results({"sha256": "d", "rows": 50}, None).write()
    with pytest.raises(SystemExit, match="leave out --merge"):
        accuracy.Results({"sha256": "d", "rows": 60}, None).merge(["default"], [1])


def test_the_second_test_set_says_which_headlines_are_hard(tmp_path):
    import accuracy

    path = tmp_path / "second.csv"
    path.write_text('title,category,hard\n"NA",World,1\n"a, b",Sports,0\nc,World,True\n', encoding="utf-8")
    second = accuracy.read_second(path)
    assert second.rows == Rows(["NA", "a, b", "c"], ["World", "Sports", "World"])
    assert second.hard.tolist() == [True, False, True]


# The peers.


@pytest.fixture(scope="module")
def parts(sample):
    """Training, validation and test rows of the invented headlines."""
    of = split(sample.titles, sample.labels, seed=1)
    return [
        Rows([sample.titles[row] for row in rows], [sample.labels[row] for row in rows])
        for rows in (of.train, of.validation, of.test)
    ]


@pytest.mark.parametrize(
    "name",
    [
        "lesson",
        "tfidf-logistic-regression",
        "complement-nb",
        "linear-svc-words",
        "linear-svc-words-characters",
        "fasttext",
    ],
)
def test_each_peer_learns_and_is_measured(parts, name):
    import accuracy
    import peers

    if name == "fasttext":
        pytest.importorskip("fasttext")
    train, validation, test = parts
    trained = peers.MODELS[name](train, validation, 1)
    assert trained.classes == ["Business", "Sci/Tech", "Sports", "World"]
    probabilities = trained.predict_proba(test.titles)
    assert probabilities.shape == (len(test), 4)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(trained.predict_proba(test.titles[:1])[0], probabilities[0], rtol=1e-3, atol=1e-5)
    assert np.isfinite(trained.predict_proba(["", "zxqv"])).all()
    figures, predicted = accuracy.measured(trained, validation, test, None)
    assert predicted.tolist() == probabilities.argmax(1).tolist()
    assert figures["f1"] > 0.3
    assert figures["tempered_log_loss"] < figures["log_loss"] + 0.2
    assert min(figures[name] for name in ("train_s", "single_us", "batch_us", "size_mb")) > 0


def test_a_setting_is_chosen_on_the_validation_rows(parts):
    """Every combination that was looked at is no better than the chosen one."""
    import peers

    train, validation, _ = parts
    peer = peers.MODELS["linear-svc-words"]
    chosen = peer.tuned(train, validation, 1)

    def score(sublinear, value):
        trained = peer.fitted(train, validation, 1, sublinear, value)
        predicted = [trained.classes[i] for i in trained.predict_proba(validation.titles).argmax(1)]
        return f1_score(validation.labels, predicted, average="weighted")

    assert score(*chosen) >= max(score(chosen[0], value) for value in peer.values) - 1e-12


def test_the_line_of_a_learning_curve_goes_through_points_on_a_line():
    import learning_curve

    points = [{"titles": titles, "f1": {"mean": 0.05 * np.log2(titles)}} for titles in (10_000, 20_000, 40_000)]
    line = learning_curve.line([{"titles": 1_000, "f1": {"mean": 0.9}}, *points])
    assert line["through"] == [10_000, 20_000, 40_000]
    assert line["f1_a_doubling"] == pytest.approx(0.05)
    assert line["f1"] == pytest.approx(0.05 * np.log2(84_000))


@pytest.mark.parametrize("name", ["accuracy", "faithfulness", "learning_curve", "lesson", "report", "speed"])
def test_a_benchmark_runs_from_the_clone_without_an_installation(name):
    """`python benchmarks/report.py` did not find the library where it was not installed."""
    command = [sys.executable, f"benchmarks/{name}.py", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout
