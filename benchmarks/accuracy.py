"""The presets and their peers on the same rows: how right, how well calibrated, how fast, how large.

    python benchmarks/accuracy.py --data train.csv [--seeds 1 2 3 4 5] [--models NAME ...] [--merge] [--vectors FOLDER]

For each seed the rows are split anew, copies of one title on one side. Every model (peers.py) learns from the training
rows, is tuned on the validation rows, and is measured once on the test rows, and on the headlines of
headlines_2020s.csv where that file is there. Recorded for each run:

- f1 (weighted by class), macro_f1, accuracy; validation_f1 to compare with; f1_2020s, f1_2020s_hard of the hard ones.
- log_loss and expected_calibration_error of the model's own probabilities. LinearSVC has none: it gets the softmax of
  its decision values over a temperature fitted on the validation rows, which is also how the preset `default` comes by
  its own. `tempered_log_loss` and `tempered_calibration_error` are the figures after such a temperature was fitted for
  whichever model it is.
- train_s: one fit with the chosen setting, from strings; grid_s: choosing it. Word vectors are loaded beforehand.
- single_us: median from one raw title to its probabilities; batch_us: of a headline, all test titles at once.
- size_mb: the artifact folder, the pickled pipeline, fastText's file.

`default_minus` holds the paired differences of weighted F1. Their 95 % interval comes from 2,000 resamples of the test
rows of each seed: the chance of the rows, on the models as they were trained. The predictions lie in
accuracy_predictions.npz, so that `--merge` can keep the other runs in the results and compare new ones with them.
TEXTCNN_RESULTS=FOLDER writes elsewhere, `--rows N` takes the first N rows: for trials.
"""

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import common
import numpy as np
import pandas as pd
from peers import MODELS, Train, Trained, preset
from scipy.special import softmax

from textcnn import PRESETS, metrics, sources
from textcnn.pipeline import Rows, select
from textcnn.splits import split
from textcnn.text import LabelEncoder
from textcnn.vectors import load_vectors

SECOND = Path(__file__).parent / "headlines_2020s.csv"
SECOND_FIGURES = ("f1_2020s", "f1_2020s_hard")
PREDICTIONS = "accuracy_predictions.npz"
SETTINGS = ("seed", "setting", "commit")  # what a run holds beside its figures
RESAMPLES = 2_000


@dataclass(frozen=True)
class SecondTest:
    """The headlines of another time."""

    rows: Rows
    hard: np.ndarray  # (headlines,) bool
    sha256: str

    def describe(self) -> dict[str, Any]:
        """Say what was measured on."""
        return {"sha256": self.sha256, "rows": len(self.rows), "hard": int(self.hard.sum())}


@dataclass
class Results:
    """The runs of all models, with what each predicted on its test rows."""

    data: dict[str, Any]
    second_test: dict[str, Any] | None
    runs: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)  # by model and seed
    predictions: dict[str, np.ndarray] = field(default_factory=dict)  # "model-seed", and the truth as "truth-seed"

    def merge(self, models: Sequence[str], seeds: Sequence[int]) -> None:
        """Take over the runs that were written before, but for those that will be run now."""
        path = common.RESULTS / "accuracy.json"
        if not path.exists():
            return
        old = json.loads(path.read_text(encoding="utf-8"))
        if old["data"] != self.data:
            raise SystemExit(f"{path} was measured on {old['data']}, not on {self.data}: leave out --merge.")
        with np.load(common.RESULTS / PREDICTIONS) as stored:
            self.predictions = dict(stored)
        stale = () if old["second_test"] == self.second_test else SECOND_FIGURES
        for model, runs in old["runs"].items():
            kept = [run for run in runs if model not in models or run["seed"] not in seeds]
            self.runs[model] = {
                run["seed"]: {name: value for name, value in run.items() if name not in stale} for run in kept
            }

    def add(self, model: str, run: dict[str, Any], truth: np.ndarray, predicted: np.ndarray) -> None:
        """Keep one run."""
        self.runs.setdefault(model, {})[run["seed"]] = run
        self.predictions[f"truth-{run['seed']}"] = truth.astype(np.uint8)
        self.predictions[f"{model}-{run['seed']}"] = predicted.astype(np.uint8)

    def write(self) -> None:
        """Write everything measured so far."""
        runs = {model: [of[seed] for seed in sorted(of)] for model, of in self.runs.items() if of}
        content = {
            "data": self.data,
            "second_test": self.second_test,
            "models": {model: summary(of) for model, of in runs.items()},
            "default_minus": {
                model: self.default_minus(model) for model in runs if model != "default" and self.seeds(model)
            },
            "runs": runs,
        }
        common.write("accuracy", content, show=False)
        np.savez_compressed(common.RESULTS / PREDICTIONS, **self.predictions)

    def seeds(self, model: str) -> list[int]:
        """The seeds that both `default` and the model were run with."""
        return sorted(self.runs.get("default", {}).keys() & self.runs[model].keys())

    def default_minus(self, model: str) -> dict[str, Any]:
        """The differences of weighted F1 seed by seed, with the interval of their mean."""
        seeds = self.seeds(model)
        differences = [self.runs["default"][seed]["f1"] - self.runs[model][seed]["f1"] for seed in seeds]
        cells = [
            joint_counts(*(self.predictions[f"{name}-{seed}"] for name in ("truth", "default", model)))
            for seed in seeds
        ]
        return {**common.spread(differences), "seeds": seeds, "interval": interval(cells)}


def main() -> None:
    """Measure every model with every seed; write after each seed what there is."""
    options = arguments()
    data = sources.read_csv(options.data)
    if options.rows:
        data = replace(data, titles=data.titles[: options.rows], labels=data.labels[: options.rows])
    second = read_second(options.second_test) if options.second_test.exists() else None
    results = Results({"sha256": data.sha256, "rows": len(data)}, second.describe() if second else None)
    if options.merge:
        results.merge(options.models, options.seeds)
    models: dict[str, Train] = {name: MODELS[name] for name in options.models}
    if "default" in models:
        source = options.vectors or PRESETS["default"].train.vectors
        models["default"] = preset("default", load_vectors(source) if source else None)
    commit = common.machine()["commit"]
    for seed in options.seeds:
        parts = split(data.titles, data.labels, seed=seed)
        train, validation, test = (select(data, rows) for rows in (parts.train, parts.validation, parts.test))
        truth = LabelEncoder.fit(train.labels).encode(test.labels)
        for name, learn in models.items():
            trained = learn(train, validation, seed)
            figures, predicted = measured(trained, validation, test, second)
            run = {"seed": seed, **figures, "setting": dict(trained.setting), "commit": commit}
            results.add(name, run, truth, predicted)
            print(line(name, run), flush=True)
        results.write()


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--merge", action="store_true", help="keep the other runs that are in the results already")
    parser.add_argument("--vectors", help="folder of the word vectors, where the Hub is out of reach")
    parser.add_argument("--rows", type=int, help="the first so many rows only")
    parser.add_argument("--second-test", type=Path, default=SECOND, help="title, category, hard")
    return parser.parse_args()


def read_second(path: Path) -> SecondTest:
    """Read the second test set: title, category, and whether it is a hard one (1, true or yes)."""
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    hard = frame["hard"].str.strip().str.lower().isin(["1", "true", "yes"]).to_numpy(dtype=bool)
    rows = Rows(frame["title"].tolist(), frame["category"].tolist())
    return SecondTest(rows, hard, hashlib.sha256(path.read_bytes()).hexdigest())


def measured(
    trained: Trained, validation: Rows, test: Rows, second: SecondTest | None
) -> tuple[dict[str, float], np.ndarray]:
    """Return the figures of a trained model, and what it predicted on the test rows."""
    encoder = LabelEncoder.fit(trained.classes)
    truth, watched_truth = encoder.encode(test.labels), encoder.encode(validation.labels)
    probabilities = trained.predict_proba(test.titles)
    watched = trained.predict_proba(validation.titles)
    own = metrics.evaluate(truth, probabilities, encoder.classes).overall
    temperature = metrics.fit_temperature(watched_truth, logs(watched))
    even = softmax(logs(probabilities) / temperature, axis=1)
    tempered = metrics.evaluate(truth, even, encoder.classes).overall
    figures = {
        **{name: own[name] for name in ("f1", "macro_f1", "accuracy", "log_loss", "expected_calibration_error")},
        "tempered_log_loss": tempered["log_loss"],
        "tempered_calibration_error": tempered["expected_calibration_error"],
        "validation_f1": metrics.evaluate(watched_truth, watched, encoder.classes).overall["f1"],
        "train_s": trained.train_s,
        "grid_s": trained.grid_s,
        "single_us": single_us(trained, test.titles[:200]),
        "batch_us": batch_us(trained, test.titles),
        "size_mb": size_mb(trained),
    }
    if second is not None:
        targets, answers = encoder.encode(second.rows.labels), trained.predict_proba(second.rows.titles)
        for name, rows in zip(SECOND_FIGURES, (np.ones_like(second.hard), second.hard), strict=True):
            figures[name] = metrics.evaluate(targets[rows], answers[rows], encoder.classes).overall["f1"]
    return figures, probabilities.argmax(1)


def logs(probabilities: np.ndarray) -> np.ndarray:
    """Return the logarithms of probabilities, none of them endless."""
    return np.log(np.maximum(probabilities.astype(np.float64), 1e-12))


def single_us(trained: Trained, titles: list[str]) -> float:
    """Return the median microseconds from one raw title to its probabilities."""
    for title in titles[:20]:
        trained.predict_proba([title])
    seconds = []
    for title in titles:
        started = time.perf_counter()
        trained.predict_proba([title])
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds) * 1e6)


def batch_us(trained: Trained, titles: list[str]) -> float:
    """Return the microseconds of a headline from raw titles to probabilities, all at once, the best of three."""
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        trained.predict_proba(titles)
        seconds.append(time.perf_counter() - started)
    return min(seconds) / len(titles) * 1e6


def size_mb(trained: Trained) -> float:
    """Return the megabytes of what a user would keep."""
    with tempfile.TemporaryDirectory() as folder:
        trained.save(Path(folder))
        return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()) / 1e6


def joint_counts(truth: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return how often each true class stood with each pair of predictions (classes, classes, classes)."""
    classes = int(max(truth.max(), one.max(), other.max())) + 1
    counts = np.zeros((classes,) * 3, dtype=np.int64)
    np.add.at(counts, (truth, one, other), 1)
    return counts


def weighted_f1(confusion: np.ndarray) -> np.ndarray:
    """Return the F1 weighted by class of confusions (..., true classes, predicted classes)."""
    support, predicted = confusion.sum(-1), confusion.sum(-2)
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    f1 = 2 * right / np.maximum(support + predicted, 1)
    return (f1 * support).sum(-1) / np.maximum(support.sum(-1), 1)


def interval(cells: Sequence[np.ndarray], resamples: int = RESAMPLES) -> list[float]:
    """Return the 95 % bootstrap interval of the mean difference of weighted F1 over seeds.

    Rows drawn with replacement are a draw from the multinomial distribution of their cells: no row is touched.

    Args:
        cells: the `joint_counts` of each seed.
        resamples: how many to draw.
    """
    random = np.random.default_rng(0)
    means = np.zeros(resamples)
    for counts in cells:
        rows = counts.sum()
        drawn = random.multinomial(rows, counts.ravel() / rows, size=resamples).reshape(resamples, *counts.shape)
        means += (weighted_f1(drawn.sum(3)) - weighted_f1(drawn.sum(2))) / len(cells)
    return [float(end) for end in np.quantile(means, (0.025, 0.975))]


def summary(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return mean and deviation of each figure over the runs."""
    names = [name for name in runs[0] if name not in SETTINGS and all(name in run for run in runs)]
    spreads = {name: common.spread([run[name] for run in runs]) for name in names}
    return {name: {"mean": of["mean"], "deviation": of["deviation"]} for name, of in spreads.items()}


def line(model: str, run: dict[str, Any]) -> str:
    """Return a run in one line."""
    return (
        f"seed {run['seed']}  {model:<27} F1 {run['f1']:.4f}  log loss {run['log_loss']:.3f}  "
        f"calibration {run['expected_calibration_error']:.3f}  train {run['train_s']:.1f} s  "
        f"grid {run['grid_s']:.0f} s  single {run['single_us']:.0f} us  batch {run['batch_us']:.1f} us  "
        f"{run['size_mb']:.1f} MB  {json.dumps(run['setting'])}"
    )


if __name__ == "__main__":
    main()
