"""The models that accuracy.py and learning_curve.py compare: each is trained by one call and asked by another.

Every one gets the same clean-up (`textcnn.text.clean`) and is tuned on the validation rows as its users would: C or
alpha, `sublinear_tf`; for fastText rate, epochs and dimensions. The presets are not tuned here: they are what they are,
and choose their epoch on the validation rows.
"""

import re
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from scipy.special import softmax
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.naive_bayes import ComplementNB
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.svm import LinearSVC

from textcnn import PRESETS
from textcnn.cleaning import clean
from textcnn.metrics import fit_temperature
from textcnn.pipeline import Rows, calibrated
from textcnn.text import LabelEncoder
from textcnn.training import fit
from textcnn.vectors import Vectors


@dataclass(frozen=True)
class Trained:
    """A trained model, whatever made it."""

    classes: list[str]  # the columns of the probabilities
    predict_proba: Callable[[list[str]], np.ndarray]  # headlines as typed to (headlines, classes)
    save: Callable[[Path], object]  # writes into an empty folder what a user would keep
    train_s: float  # seconds of one fit with the chosen setting: vocabulary, vectorising and training
    grid_s: float  # seconds to choose the setting
    setting: Mapping[str, Any]


Train = Callable[[Rows, Rows, int], Trained]  # training rows, validation rows, seed


def preset(name: str, vectors: Vectors | None = None) -> Train:
    """Return how a preset is trained; what is measured went through its artifact folder, float16 and temperature."""

    def train(rows: Rows, validation: Rows, seed: int) -> Trained:
        config = PRESETS[name].replace(seed=seed)
        watched = (validation.titles, validation.labels)
        started = time.perf_counter()
        fitted = fit(rows.titles, rows.labels, config, validation=watched, vectors=vectors)
        train_s = time.perf_counter() - started
        model = calibrated(fitted, config, validation)
        setting = {"epochs": fitted.best_epoch, "temperature": model.temperature}
        return Trained(
            model.classes,
            model.predict_proba,
            lambda folder: model.save_pretrained(folder / "model"),
            train_s,
            0.0,
            setting,
        )

    return train


def words(sublinear: bool) -> TfidfVectorizer:
    """TF-IDF of words and pairs of words."""
    return TfidfVectorizer(preprocessor=clean, ngram_range=(1, 2), sublinear_tf=sublinear)


def words_and_characters(sublinear: bool) -> FeatureUnion:
    """The same beside TF-IDF of two to five characters within words."""
    characters = TfidfVectorizer(preprocessor=clean, analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=sublinear)
    return FeatureUnion([("words", words(sublinear)), ("characters", characters)])


@dataclass(frozen=True)
class Linear:
    """A model of scikit-learn over TF-IDF features, with one strength to choose."""

    features: Callable[[bool], Any]  # sublinear_tf to vectorizer
    estimator: Callable[[float, int], Any]  # strength and seed to model
    strength: str  # its name: C or alpha
    values: tuple[float, ...]

    def __call__(self, rows: Rows, validation: Rows, seed: int) -> Trained:
        """Choose the setting on the validation rows, fit with it."""
        started = time.perf_counter()
        sublinear, value = self.tuned(rows, validation, seed)
        return self.fitted(rows, validation, seed, sublinear, value, grid_s=time.perf_counter() - started)

    def tuned(self, rows: Rows, validation: Rows, seed: int) -> tuple[bool, float]:
        """Choose `sublinear_tf` at a middle strength, then the strength, by weighted F1."""
        middle = self.values[len(self.values) // 2]
        spaces, scores = {}, {}

        def score(sublinear: bool, value: float) -> None:
            learned, watched = spaces[sublinear]
            predicted = self.estimator(value, seed).fit(learned, rows.labels).predict(watched)
            scores[sublinear, value] = f1_score(validation.labels, predicted, average="weighted")

        for sublinear in (True, False):
            vectorizer = self.features(sublinear)
            spaces[sublinear] = vectorizer.fit_transform(rows.titles), vectorizer.transform(validation.titles)
            score(sublinear, middle)
        better = scores[True, middle] >= scores[False, middle]
        for value in self.values:
            if value != middle:
                score(better, value)
        return max(scores, key=scores.__getitem__)

    def fitted(
        self, rows: Rows, validation: Rows, seed: int, sublinear: bool, value: float, *, grid_s: float = 0.0
    ) -> Trained:
        """Fit with one setting; a model without probabilities gets a temperature, fitted on the validation rows."""
        pipeline = make_pipeline(self.features(sublinear), self.estimator(value, seed))
        started = time.perf_counter()
        pipeline.fit(rows.titles, rows.labels)
        train_s = time.perf_counter() - started
        setting = {self.strength: value, "sublinear_tf": sublinear}
        kept: tuple[Pipeline, float | None] = (pipeline, None)
        probabilities = pipeline.predict_proba if hasattr(pipeline, "predict_proba") else None
        if probabilities is None:
            targets = LabelEncoder.fit(pipeline.classes_).encode(validation.labels)
            temperature = fit_temperature(targets, pipeline.decision_function(validation.titles))
            setting["temperature"] = temperature
            kept = (pipeline, temperature)

            def probabilities(titles: list[str]) -> np.ndarray:
                return softmax(pipeline.decision_function(titles) / temperature, axis=1)

        return Trained(
            list(map(str, pipeline.classes_)),
            probabilities,
            lambda folder: joblib.dump(kept, folder / "model.joblib"),
            train_s,
            grid_s,
            setting,
        )


_PUNCTUATION = re.compile(r"([.!?,'\"/():;-])")  # what fastText's tutorial sets apart, and its like
_FIRST = {"lr": 0.1, "epoch": 5, "dim": 100}  # its own defaults
_OTHERS = {"lr": (0.05, 0.25, 0.5), "epoch": (3, 10, 20), "dim": (20, 50)}


def fasttext(rows: Rows, validation: Rows, seed: int) -> Trained:
    """Words and pairs of words; rate, then epochs, then dimensions chosen on the validation rows.

    The 2,000,000 buckets for pairs are its default, and its size: with 200,000 it is a tenth as large and .002 of F1
    worse on the validation rows of one seed. It gets as many threads as textcnn.
    """
    encoder = LabelEncoder.fit(rows.labels)
    targets = encoder.encode(validation.labels)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.txt"
        lines = zip(encoder.encode(rows.labels), map(_line, rows.titles), strict=True)
        path.write_text("".join(f"__label__{target} {line}" for target, line in lines), encoding="utf-8")

        def score(setting: Mapping[str, Any]) -> float:
            predicted = _probabilities(_fit_fasttext(path, setting, seed), len(encoder), validation.titles).argmax(1)
            return float(f1_score(targets, predicted, average="weighted"))

        started = time.perf_counter()
        best, best_score = dict(_FIRST), score(_FIRST)
        for name, values in _OTHERS.items():
            tried = {value: score({**best, name: value}) for value in values}
            value = max(tried, key=tried.__getitem__)
            if tried[value] > best_score:
                best, best_score = {**best, name: value}, tried[value]
        grid_s = time.perf_counter() - started
        started = time.perf_counter()
        model = _fit_fasttext(path, best, seed)
        train_s = time.perf_counter() - started
    return Trained(
        encoder.classes,
        lambda titles: _probabilities(model, len(encoder), titles),
        lambda folder: model.save_model(str(folder / "model.bin")),
        train_s,
        grid_s,
        best,
    )


def _line(title: str) -> str:
    return " ".join(_PUNCTUATION.sub(r" \1 ", clean(title)).split()) + "\n"


def _fit_fasttext(path: Path, setting: Mapping[str, Any], seed: int) -> Any:
    from fasttext import train_supervised  # in requirements-bench.txt: the tests do without

    threads = torch.get_num_threads()
    return train_supervised(str(path), wordNgrams=2, thread=threads, seed=seed, verbose=0, **setting)


def _probabilities(model: Any, num_classes: int, titles: list[str]) -> np.ndarray:
    # Past its Python wrapper, whose `np.array(copy=False)` NumPy 2 refuses; and line by line, as the probabilities of
    # its predictions for many lines are all those of the first class under NumPy 2.
    predict = model.f.predict
    probabilities = np.full((len(titles), num_classes), 1e-9)
    for row, title in enumerate(titles):
        for share, label in predict(_line(title), num_classes, 0.0, "strict"):
            probabilities[row, int(label.removeprefix("__label__"))] = share
    return probabilities / probabilities.sum(1, keepdims=True)


MODELS: dict[str, Train] = {
    "default": preset("default"),
    "lesson": preset("lesson"),
    "tfidf-logistic-regression": Linear(
        words, lambda c, seed: LogisticRegression(C=c, max_iter=500, random_state=seed), "C", (1.0, 3.0, 10.0)
    ),
    "complement-nb": Linear(words, lambda alpha, _: ComplementNB(alpha=alpha), "alpha", (0.1, 0.2, 0.4, 0.8, 1.6)),
    "linear-svc-words": Linear(words, lambda c, seed: LinearSVC(C=c, random_state=seed), "C", (0.1, 0.25, 0.5, 1.0)),
    "linear-svc-words-characters": Linear(
        words_and_characters, lambda c, seed: LinearSVC(C=c, random_state=seed), "C", (0.1, 0.25, 0.5, 1.0)
    ),
    "fasttext": fasttext,
}
