"""How fast training and prediction are, against other models and against the processor, all in one run.

    python benchmarks/speed.py --data train.csv --vectors FOLDER [--lesson run_lesson.py] [--quick]

Seconds change from machine to machine and from hour to hour; what counts here are ratios of figures of one run. Repeats
are given by median, minimum and maximum; models that are compared take turns, and each ratio is one of the same turn.

- training: `train.py`, preset `default`, from CSV to saved artifacts, split, measuring and refit included, on the CPU;
  with --lesson also an epoch of the preset `lesson` and of `default` against one of the lesson's own code.
- step: a training step against bare products of matrices with the same multiply-adds: see speed_step.py.
- prediction: from raw titles to probabilities, one by one and as a list; `default` against fastText (pairs of words,
  else its own defaults) and the LinearSVC on words and characters, which learned the same rows. fastText gets titles
  with the same clean-up, and once more lines that were cleaned beforehand, whose clean-up is not counted. Titles are
  repeated where the data has too few of them; their words have all been seen in training.
- explanation: one title, from its text to the contributions of its words.
- cold start, growth with the number of headlines and of words: see speed_growth.py.

`--quick` is a trial of a minute on few rows, its figures mean nothing; TEXTCNN_RESULTS=FOLDER says where they go.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import common
import numpy as np
import pandas as pd
import torch
from peers import MODELS, Linear
from speed_growth import ROOT, by_headlines, by_vocabulary, cold_start, extent
from speed_step import Clock, step

from textcnn import PRESETS, HeadlineClassifier, classifier, sources
from textcnn.cleaning import clean
from textcnn.pipeline import Rows, select
from textcnn.sources import Headlines
from textcnn.splits import split
from textcnn.text import LabelEncoder, Tokenizer
from textcnn.training import fit

SVC = "linear-svc-words-characters"


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    rows: int | None = None  # of the data; None: all
    repeats: int = 5
    steps: int = 96  # of training, a repeat
    single: int = 500
    batch: int = 100_000
    small_batch: int = 10_000  # for what takes ten times as long
    headlines: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    words: tuple[int, ...] = (500, 5_000, 50_000, 200_000)


QUICK = Scale(3_000, 2, 8, 50, 5_000, 1_000, (1_000, 10_000), (500, 5_000))


def main() -> None:
    """Measure one part after the other and write the result."""
    options = arguments()
    scale = QUICK if options.quick else Scale()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        csv = first_rows(options.data, scale.rows, folder) if scale.rows else options.data
        data = sources.read_csv(csv)
        trained = training(csv, options, folder)
        artifacts = options.artifacts or folder / "default"
        model = HeadlineClassifier.from_pretrained(artifacts)
        content = {
            "data": {"sha256": data.sha256, "rows": len(data)},
            "quick": options.quick,
            "training": trained,
            "step": step(data, scale.steps, scale.repeats),
            "cold_start": cold_start(artifacts, data.titles[0], scale.repeats),
            "growth": {
                "headlines": by_headlines(artifacts, data.titles, scale.headlines, scale.repeats, folder),
                "vocabulary": by_vocabulary(scale.words, scale.small_batch, typical(model, data), scale.repeats),
            },
            "explanation_ms": explanation_ms(model, data.titles, scale),
            "prediction": prediction(model, data, scale, folder),
        }
    common.write("speed", content)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--vectors", help="folder of the word vectors, where the Hub is out of reach")
    parser.add_argument("--lesson", type=Path, help="run_lesson.py, with the lesson's text beside it")
    parser.add_argument("--artifacts", type=Path, help="the model to predict with (default: the one trained here)")
    parser.add_argument("--quick", action="store_true", help="few rows and repeats: a trial")
    options = parser.parse_args()
    if options.quick and not os.environ.get("TEXTCNN_RESULTS"):
        parser.error("--quick would write over the committed results: set TEXTCNN_RESULTS=FOLDER.")
    options.artifacts = options.artifacts and options.artifacts.resolve()
    return options


def first_rows(data: Path, rows: int, folder: Path) -> Path:
    """Write the first rows of a CSV beside it in `folder`."""
    pd.read_csv(data, dtype=str, keep_default_na=False, nrows=rows).to_csv(folder / "rows.csv", index=False)
    return folder / "rows.csv"


def typical(model: HeadlineClassifier, data: Headlines) -> int:
    """Return the usual number of words in a title."""
    return int(np.median(model.tokenizer.encode(data.titles)[1]))


def training(csv: Path, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Time train.py in a process of its own, and read from its artifacts what an epoch took."""
    out = folder / "default"
    command = [
        sys.executable,
        str(ROOT / "train.py"),
        "--data",
        str(csv.resolve()),
        "--out",
        str(out),
        "--device",
        "cpu",
    ]
    vectors = ["--vectors", str(Path(options.vectors).resolve())] if options.vectors else []
    started = time.perf_counter()
    subprocess.run([*command, *vectors], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    seconds = time.perf_counter() - started
    performance = json.loads((out / "performance.json").read_text(encoding="utf-8"))
    epochs, rows = [epoch["seconds"] for epoch in performance["history"]], performance["split"]["train"]
    return {
        "seconds": seconds,
        "rows": rows,
        "rows_of_refit": performance["shipped"]["rows"],
        "epoch_s": extent(epochs),  # with a look at the validation rows
        "epochs_share": sum(epochs) / seconds,  # of the first fit; the refit learns more rows without a look
        "epoch_headlines_a_second": rows / float(np.median(epochs)),
        "lesson": None if options.lesson is None else lesson(csv, options.lesson.resolve(), float(np.median(epochs))),
    }


def lesson(csv: Path, script: Path, default_s: float, epochs: int = 3) -> dict[str, Any]:
    """Time an epoch of the lesson's code and one of the preset `lesson`, on as many rows of the same file."""
    command = [sys.executable, str(script), "--data", str(csv.resolve()), "--epochs", str(epochs)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    theirs = json.loads(done.stdout)["train_s"] / epochs
    config = PRESETS["lesson"].replace(epochs=epochs)
    data = sources.read_csv(csv)
    parts = split(data.titles, data.labels, "random", config.train.fractions, config.train.seed)
    train, validation = select(data, parts.train), select(data, parts.validation)
    fitted = fit(train.titles, train.labels, config, validation=(validation.titles, validation.labels))
    ours = float(np.median([epoch.seconds for epoch in fitted.history]))
    return {
        "epoch_s": {"lesson_code": theirs, "lesson": ours, "default": default_s},
        "times_as_fast": {"lesson": theirs / ours, "default": theirs / default_s},
    }


@dataclass(frozen=True)
class Contender:
    """A way from titles to probabilities."""

    one: Callable[[str], object]
    many: Callable[[list[str]], object]
    slow: bool = False  # takes the smaller batch
    prepare: Callable[[list[str]], list[str]] = list  # what is not counted


def prediction(model: HeadlineClassifier, data: Headlines, scale: Scale, folder: Path) -> dict[str, Any]:
    """Time the models in turns, and compare within each."""
    titles = repeated(data.titles, scale.batch)
    single: defaultdict[str, list[float]] = defaultdict(list)
    batch: defaultdict[str, list[float]] = defaultdict(list)
    everyone = contenders(model, select(data), folder)
    for _ in range(scale.repeats):
        for name, contender in everyone.items():
            listed = contender.prepare(titles[: scale.small_batch] if contender.slow else titles)
            single[name].append(single_us(contender.one, listed[: scale.single]))
            started = time.perf_counter()
            contender.many(listed)
            batch[name].append(len(listed) / (time.perf_counter() - started))
    return {
        "batch_headlines": {name: scale.small_batch if of.slow else scale.batch for name, of in everyone.items()},
        "single_us": {name: extent(values) for name, values in single.items()},
        "batch_headlines_a_second": {name: extent(values) for name, values in batch.items()},
        "times_as_fast": {
            "single": {name: ratios(of, single["default"]) for name, of in single.items() if name != "default"},
            "batch": {name: ratios(batch["default"], of) for name, of in batch.items() if name != "default"},
        },
        "batch_shares": batch_shares(model, titles, scale.repeats),
    }


def contenders(model: HeadlineClassifier, rows: Rows, folder: Path) -> dict[str, Contender]:
    """Train the peers on the rows, and say how each is asked."""
    svc = MODELS[SVC]
    assert isinstance(svc, Linear)
    linear = svc.fitted(rows, Rows(rows.titles[:2_000], rows.labels[:2_000]), 0, sublinear=True, value=0.25)
    fasttext = train_fasttext(rows, folder / "fasttext.txt")
    classes = len(set(rows.labels))

    def one_line(text: str) -> object:
        return fasttext.predict(text, classes, 0.0, "strict")

    def many_lines(lines: list[str]) -> object:
        return fasttext.multilinePredict(lines, classes, 0.0, "strict")

    return {
        "default": Contender(lambda title: model.predict_proba([title]), model.predict_proba),
        "default, one thread": Contender(
            one_thread(lambda title: model.predict_proba([title])), one_thread(model.predict_proba)
        ),
        "default, predict with words and places": Contender(model.predict, model.predict, slow=True),
        "fasttext": Contender(lambda title: one_line(line(title)), lambda titles: many_lines(lines(titles))),
        "fasttext, titles cleaned beforehand": Contender(one_line, many_lines, prepare=lines),
        SVC: Contender(lambda title: linear.predict_proba([title]), linear.predict_proba, slow=True),
    }


def train_fasttext(rows: Rows, path: Path) -> Any:
    """Train fastText and return it without its Python wrapper, whose arrays NumPy 2 refuses."""
    from fasttext import train_supervised  # in requirements-bench.txt

    targets = LabelEncoder.fit(rows.labels).encode(rows.labels)
    path.write_text(
        "".join(f"__label__{target} {line(title)}" for target, title in zip(targets, rows.titles, strict=True)),
        encoding="utf-8",
    )
    return train_supervised(str(path), wordNgrams=2, thread=torch.get_num_threads(), verbose=0).f


def line(title: str) -> str:
    """Return a title as fastText reads it."""
    return " ".join(clean(title).split()) + "\n"


def lines(titles: list[str]) -> list[str]:
    """Return titles as fastText reads them."""
    return [line(title) for title in titles]


def one_thread(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same function, held to one thread of PyTorch."""

    def wrapped(*arguments: Any) -> Any:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return function(*arguments)
        finally:
            torch.set_num_threads(threads)

    return wrapped


def repeated(titles: list[str], count: int) -> list[str]:
    """Return so many titles, from the first again where they run out."""
    return (titles * -(-count // len(titles)))[:count]


def single_us(one: Callable[[str], object], titles: list[str]) -> float:
    """Return the median microseconds of one title."""
    for title in titles[:20]:
        one(title)
    seconds = []
    for title in titles:
        started = time.perf_counter()
        one(title)
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds) * 1e6)


def ratios(above: list[float], below: list[float]) -> dict[str, Any]:
    """Return the ratios turn by turn."""
    return extent([one / other for one, other in zip(above, below, strict=True)])


def batch_shares(model: HeadlineClassifier, titles: list[str], repeats: int) -> dict[str, float]:
    """Return the shares of a batch's time; the rest is a look at the types, the layout and the softmax."""
    shares = []
    for _ in range(repeats):
        clock = Clock()
        with (
            patch.object(Tokenizer, "encode", clock.timed("encoding", Tokenizer.encode)),
            patch.object(classifier, "predict_logits", clock.timed("logits", classifier.predict_logits)),
        ):
            started = time.perf_counter()
            model.predict_proba(titles)
            shares.append(clock.shares(time.perf_counter() - started))
    return {part: float(np.median([of[part] for of in shares])) for part in shares[0]}


def explanation_ms(model: HeadlineClassifier, titles: list[str], scale: Scale) -> dict[str, Any]:
    """Time `explain`: the median of many titles, several times."""
    return extent([single_us(model.explain, titles[: scale.single]) / 1e3 for _ in range(scale.repeats)])


if __name__ == "__main__":
    main()
