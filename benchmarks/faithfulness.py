"""How faithful the explanations are, and how fast, beside LIME, SHAP, Captum's methods and leave-one-out.

    OMP_NUM_THREADS=1 python benchmarks/faithfulness.py --data train.csv [--vectors FOLDER] [--headlines 500] [--seed 1]

The preset `default` learns from the training rows of a split with copies of one title on one side, and gets its
temperature on the validation rows. Test rows of at least two tokens, drawn by the seed, are explained for the class
that the model predicts; how each method is asked stands in explainers.py. Recorded for each method:

- completeness_error: |base + sum of the numbers - output| / max(1, |output|), the output being the class's logit, or
  its probability where the method explains that; null where a method names no base. Captum's base is the output at zero
  vectors, SHAP's its expected value, LIME's its intercept.
- comprehensiveness and sufficiency (ERASER, DeYoung et al. 2020): the fall of the class's probability when the top
  tokens are deleted, and when all others are, the mean over the top 10, 20, 30, 40 and 50 %, rounded up (ERASER's 1
  and 5 % are one token of a headline as well). Of equal numbers the first token counts as higher. A comprehensiveness
  should be high, a sufficiency low. 95 % intervals from 10,000 resamples of the headlines; `ours_minus` has those of
  the paired differences.
- agreement: the mean Spearman correlation of the numbers with the fall of the class's logit when each token is
  deleted; repeatability: that of two runs with two seeds. A headline whose numbers are all equal has none.
- ms: the median of one explanation from the raw title, the class given, the methods taking turns headline by headline,
  on one thread; times_ours: the median of the ratios to ours on the same headline. LIME and SHAP ask the model in one
  batch; ms_as_it_comes is with their own batches, and every sample of LIME's asked for.

`input_x_gradient` says how far Captum's InputXGradient is from ours. TEXTCNN_RESULTS=FOLDER writes elsewhere.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import common
import numpy as np
import torch
from explainers import GRADIENT_STEPS, LIME_SAMPLES, SHAP_EVALUATIONS, Asked, Attribution, explainers, slow_explainers
from scipy.stats import rankdata

from textcnn import PRESETS, HeadlineClassifier, sources
from textcnn.pipeline import Rows, calibrated, select
from textcnn.splits import split
from textcnn.training import fit
from textcnn.vectors import load_vectors

PERCENTS = (10, 20, 30, 40, 50)  # of a headline's tokens
RESAMPLES = 10_000
WARM_UP = 5  # headlines before the clock counts: SHAP compiles on its first calls


@dataclass(frozen=True)
class Headline:
    """A headline that the model did not learn from."""

    title: str
    ids: np.ndarray  # (tokens,)
    class_: int  # the predicted one
    logit: float
    probability: float


@dataclass
class Runs:
    """What one method said about each headline."""

    first: list[Attribution] = field(default_factory=list)
    second: list[Attribution] = field(default_factory=list)  # with another seed
    seconds: list[float] = field(default_factory=list)  # of the first


def main() -> None:
    """Train, explain, measure, write."""
    options = arguments()
    torch.set_num_threads(1)
    data = sources.read_csv(options.data)
    model, test = trained(data, options)
    asked = Asked(model)
    headlines, short = drawn(asked, test, options.headlines, options.seed)
    runs = explained(model, headlines, options.seed)
    slow = timed_slowly(model, headlines, options.seed)
    content = {
        "data": {"sha256": data.sha256, "rows": len(data)},
        "model": {"preset": "default", "seed": options.seed, "temperature": model.temperature},
        "headlines": {
            "count": len(headlines),
            "drawn_from": len(test),
            "with_fewer_than_two_tokens": short,
            "median_tokens": float(np.median([len(of.ids) for of in headlines])),
        },
        "settings": {
            "percents": PERCENTS,
            "resamples": RESAMPLES,
            "lime_samples": LIME_SAMPLES,
            "shap_evaluations": SHAP_EVALUATIONS,
            "integrated_gradients_steps": GRADIENT_STEPS,
        },
        **figures(asked, headlines, runs, slow),
    }
    common.write("faithfulness", content)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--vectors", help="folder of the word vectors, where the Hub is out of reach")
    parser.add_argument("--headlines", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1, help="of split, training, headlines and methods")
    return parser.parse_args()


def trained(data: sources.Headlines, options: argparse.Namespace) -> tuple[HeadlineClassifier, Rows]:
    """Return the preset `default`, trained, and the test rows, which it has not seen."""
    parts = split(data.titles, data.labels, seed=options.seed)
    train, validation, test = (select(data, rows) for rows in (parts.train, parts.validation, parts.test))
    config = PRESETS["default"].replace(seed=options.seed)
    source = options.vectors or config.train.vectors
    vectors = load_vectors(source) if source else None
    watched = (validation.titles, validation.labels)
    fitted = fit(train.titles, train.labels, config, validation=watched, vectors=vectors)
    return calibrated(fitted, config, validation), test


def drawn(asked: Asked, test: Rows, count: int, seed: int) -> tuple[list[Headline], int]:
    """Return headlines of at least two tokens drawn by the seed, and how many test rows have fewer."""
    ids = [asked.ids(title) for title in test.titles]
    long = [row for row, tokens in enumerate(ids) if len(tokens) >= 2]
    rows = np.random.default_rng(seed).choice(long, min(count, len(long)), replace=False)
    logits = asked.logits([ids[row] for row in rows])
    classes, probabilities = logits.argmax(1), asked.softmax(logits)
    listed = [
        Headline(test.titles[row], ids[row], int(c), float(logits[i, c]), float(probabilities[i, c]))
        for i, (row, c) in enumerate(zip(rows, classes, strict=True))
    ]
    return listed, len(ids) - len(long)


def explained(model: HeadlineClassifier, headlines: Sequence[Headline], seed: int) -> dict[str, Runs]:
    """Explain each headline by every method, twice: the methods take turns, in an order that is drawn."""
    methods, runs = explainers(model), defaultdict[str, Runs](Runs)
    random = np.random.default_rng(seed)
    for headline in headlines[:WARM_UP]:
        for explain in methods.values():
            explain(headline.title, headline.class_, seed)
    for place, headline in enumerate(headlines):
        for name in random.permutation(list(methods)).tolist():
            seeds = 2 * (seed * len(headlines) + place) + np.arange(2)
            started = time.perf_counter()
            runs[name].first.append(methods[name](headline.title, headline.class_, int(seeds[0])))
            runs[name].seconds.append(time.perf_counter() - started)
            runs[name].second.append(methods[name](headline.title, headline.class_, int(seeds[1])))
    return {name: runs[name] for name in methods}


def timed_slowly(model: HeadlineClassifier, headlines: Sequence[Headline], seed: int) -> dict[str, float]:
    """Return the median milliseconds of LIME and SHAP with batches of their own, on the first headlines."""
    seconds = defaultdict[str, list[float]](list)
    for headline in headlines[:100]:
        for name, explain in slow_explainers(model).items():
            started = time.perf_counter()
            explain(headline.title, headline.class_, seed)
            seconds[name].append(time.perf_counter() - started)
    return {name: 1e3 * float(np.median(of)) for name, of in seconds.items()}


def figures(
    asked: Asked, headlines: Sequence[Headline], runs: Mapping[str, Runs], slow: Mapping[str, float]
) -> dict[str, Any]:
    """Return what is recorded of each method, and the comparisons with ours."""
    by_percent = {name: probability_falls(asked, headlines, of.first) for name, of in runs.items()}
    falls = {name: of.mean(1) for name, of in by_percent.items()}  # (2, headlines) each
    truth = [of.values for of in runs["leave-one-out, logit"].first]
    ours = runs["ours"]
    methods, minus = {}, {}
    for name, of in runs.items():
        seconds = np.array(of.seconds)
        methods[name] = {
            "explains": of.first[0].output,
            "completeness_error": completeness(of.first, headlines),
            "comprehensiveness": interval(falls[name][0]),
            "comprehensiveness_by_percent": by_percent[name][0].mean(1).tolist(),
            "sufficiency": interval(falls[name][1]),
            "agreement": correlation([each.values for each in of.first], truth),
            "repeatability": correlation([each.values for each in of.first], [each.values for each in of.second]),
            "ms": 1e3 * float(np.median(seconds)),
            "times_ours": float(np.median(seconds / np.array(ours.seconds))),
            "ms_as_it_comes": slow.get(name),
        }
        if name != "ours":
            differences = falls["ours"] - falls[name]
            minus[name] = {"comprehensiveness": interval(differences[0]), "sufficiency": interval(differences[1])}
    return {
        "methods": methods,
        "ours_minus": minus,
        "input_x_gradient": difference(ours.first, runs["input x gradient"].first),
    }


def completeness(said: Sequence[Attribution], headlines: Sequence[Headline]) -> dict[str, float] | None:
    """Return median and maximum of what is left over between the numbers with their base and the output."""
    if said[0].base is None:
        return None
    errors = []
    for of, headline in zip(said, headlines, strict=True):
        assert of.base is not None
        output = headline.logit if of.output == "logit" else headline.probability
        errors.append(abs(of.base + float(of.values.sum(dtype=np.float64)) - output) / max(1.0, abs(output)))
    return {"median": float(np.median(errors)), "maximum": max(errors)}


def tops(values: np.ndarray) -> list[np.ndarray]:
    """Return for each percent whether a token is among the top, (tokens,) each."""
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[np.argsort(-values, kind="stable")] = np.arange(len(values))
    return [ranks < -(-percent * len(values) // 100) for percent in PERCENTS]


def probability_falls(asked: Asked, headlines: Sequence[Headline], said: Sequence[Attribution]) -> np.ndarray:
    """Return the comprehensiveness and the sufficiency of each headline by percent: (2, percents, headlines)."""
    left = []
    for headline, of in zip(headlines, said, strict=True):
        chosen = tops(of.values)
        left += [headline.ids[~top] for top in chosen] + [headline.ids[top] for top in chosen]
    classes = np.array([headline.class_ for headline in headlines])
    after = asked.probabilities(left).reshape(len(headlines), 2, len(PERCENTS), -1)
    after = np.take_along_axis(after, classes[:, None, None, None], axis=3)[..., 0]
    before = np.array([headline.probability for headline in headlines])
    return before - after.transpose(1, 2, 0).astype(np.float64)


def interval(values: np.ndarray) -> dict[str, Any]:
    """Return the mean over headlines with its 95 % bootstrap interval; the same resamples whatever the values."""
    draws = np.random.default_rng(0).multinomial(len(values), np.full(len(values), 1 / len(values)), RESAMPLES)
    low, high = np.quantile(draws @ values / len(values), (0.025, 0.975))
    return {"mean": float(values.mean()), "interval": [float(low), float(high)]}


def correlation(ones: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> dict[str, Any]:
    """Return the mean Spearman correlation, and how many headlines have one."""
    found = [of for of in map(spearman, ones, others) if of is not None]
    return {"mean": float(np.mean(found)) if found else None, "headlines": len(found)}


def spearman(one: np.ndarray, other: np.ndarray) -> float | None:
    """Return the correlation of the ranks, equals sharing theirs; None where all numbers of one are equal."""
    ranks = np.stack([rankdata(one), rankdata(other)])
    ranks -= ranks.mean(1, keepdims=True)
    lengths = np.sqrt((ranks**2).sum(1))
    return float(ranks[0] @ ranks[1] / lengths.prod()) if lengths.all() else None


def difference(ours: Sequence[Attribution], theirs: Sequence[Attribution]) -> dict[str, Any]:
    """Return how far apart two methods' numbers are, and for how many headlines the tokens' order is another."""
    pairs = [(one.values, other.values) for one, other in zip(ours, theirs, strict=True)]
    apart = [float(np.abs(one - other).max()) for one, other in pairs]
    return {
        "max_abs_difference": max(apart),
        "median_abs_difference": float(np.median(apart)),
        "other_order": sum(
            not np.array_equal(np.argsort(-one, kind="stable"), np.argsort(-other, kind="stable"))
            for one, other in pairs
        ),
        "other_top": sum(not all(map(np.array_equal, tops(one), tops(other))) for one, other in pairs),
        "agreement": correlation(*zip(*pairs, strict=True)),
    }


if __name__ == "__main__":
    main()
