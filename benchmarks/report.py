"""Write the figures of results/*.json into the README, between its markers, and draw them into docs/.

    python benchmarks/report.py [--check]

A part whose result is not there stays as it is. `--check` changes and draws nothing, and fails where the README's text
says something else.
"""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from math import log2
from pathlib import Path
from typing import Any

from common import RESULTS, amount, measured_on
from matplotlib.figure import Figure
from report_drawing import OURS, THEIRS, framed, placed
from report_faithfulness import faithfulness, faithfulness_figure
from report_serve import serve
from report_speed import picture, speed

from textcnn.sheet import to_png

README = Path(__file__).parent.parent / "README.md"
SVC = "linear-svc-words-characters"
# In the table, and at its point of the picture.
NAMES = {
    "default": ("textcnn, preset `default`", "textcnn default"),
    "lesson": ("textcnn, preset `lesson`", "textcnn lesson"),
    "tfidf-logistic-regression": ("TF-IDF of words and pairs, logistic regression", "logistic regression"),
    "complement-nb": ("TF-IDF of words and pairs, ComplementNB", "ComplementNB"),
    "linear-svc-words": ("TF-IDF of words and pairs, LinearSVC", "LinearSVC, words"),
    SVC: ("TF-IDF of words, pairs and characters (2-5), LinearSVC", "LinearSVC, words + characters"),
    "fasttext": ("fastText of words and pairs", "fastText"),
    "transformer": ("all-MiniLM-L6-v2, fine-tuned", "MiniLM, fine-tuned"),
}
BELOW = 0.08  # a model that is so much worse than the best stands at the lower edge of the picture


def main() -> int:
    """Fill the README's marked parts and draw; return 1 if `--check` finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--card", action="store_true", help="print a sentence for the model cards, and nothing else")
    options = parser.parse_args()
    check = options.check
    if options.card:
        print(card(read("accuracy")))
        return 0
    old = README.read_text(encoding="utf-8")
    new = filled(old)
    if check:
        if new != old:
            print("README.md does not say what benchmarks/results say: run python benchmarks/report.py")
        return int(new != old)
    README.write_text(new, encoding="utf-8")
    draw(README.parent / "docs")
    return 0


def card(result: dict[str, Any] | None) -> str:
    """The sentence that the model cards carry: the presets beside the best peers, on the same rows."""
    if result is None:
        return ""
    shown = ("default", SVC, "lesson", "transformer")
    said = [
        f"{NAMES[row['model']][1]} {row['f1']:.3f}"
        + (" (one seed)" if row["deviation"] is None else f" ± {row['deviation']:.3f}")
        for row in rows(result)
        if row["model"] in shown
    ]
    seeds = len(result["runs"]["default"])
    return (
        f"Weighted F1 on the same rows, mean and deviation over {seeds} seeds of split and training: {', '.join(said)}."
    )


def read(name: str) -> dict[str, Any] | None:
    """Return a result; None where it is not there."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def filled(text: str) -> str:
    """Return the README with every marked part written anew."""
    for name, write in PARTS.items():
        result = read(name)
        if result is None:
            continue
        marked = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        content = write(result) + "\n"
        text, count = re.subn(marked, lambda match: match[1] + content + match[2], text, flags=re.DOTALL)  # noqa: B023
        if count != 1:
            raise SystemExit(f"README.md has {count} parts marked {name}: exactly one is expected.")
    return text


def draw(folder: Path) -> None:
    """Write the pictures that the parts show."""
    folder.mkdir(exist_ok=True)
    if result := read("accuracy"):
        (folder / "accuracy.png").write_bytes(to_png(accuracy_figure(rows(result))))
    if result := read("learning_curve"):
        (folder / "learning_curve.png").write_bytes(to_png(learning_curve_figure(result["models"])))
    if result := read("faithfulness"):
        (folder / "faithfulness.png").write_bytes(to_png(faithfulness_figure(result)))


def rows(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The models of accuracy.json and the transformer, the best first; `minus` is what `default` has more."""
    listed = []
    for model, figures in result["models"].items():
        means = {name: of["mean"] for name, of in figures.items()}
        minus = result["default_minus"].get(model)
        said = (
            ""
            if minus is None
            else f"{minus['mean']:+.3f} ({minus['interval'][0]:+.3f} to {minus['interval'][1]:+.3f})"
        )
        several = len(result["runs"][model]) > 1
        deviation = figures["f1"]["deviation"] if several else None
        listed.append({**means, "model": model, "deviation": deviation, "minus": said})
    transformer = read("transformer")
    if transformer is not None and transformer["rows"]["sha256"] == result["data"]["sha256"]:
        same = [run for run in result["runs"].get("default", []) if run["seed"] == transformer["seed"]]
        said = f"{same[0]['f1'] - transformer['f1']:+.3f} (seed {transformer['seed']})" if same else ""
        figures = {name: value for name, value in transformer.items() if isinstance(value, float)}
        listed.append({**figures, "model": "transformer", "deviation": None, "minus": said})
    return sorted(listed, key=lambda row: -row["f1"])


def accuracy(result: dict[str, Any]) -> str:
    """The table of models on the same rows, the picture, how it was measured, the second test set."""
    lines = [
        "| model | weighted F1 | `default` has more | log loss | calibration error | s to train "
        "| µs for one | µs each of many | MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    listed = rows(result)
    for row in listed:
        f1 = f"{row['f1']:.3f}" + ("" if row["deviation"] is None else f" ± {row['deviation']:.3f}")
        cells = [NAMES[row["model"]][0], f1, row["minus"], f"{row['log_loss']:.3f}"]
        cells += [f"{row['expected_calibration_error']:.3f}"]
        cells += [amount(row[name]) for name in ("train_s", "single_us", "batch_us", "size_mb")]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "![Weighted F1 against microseconds for one headline](docs/accuracy.png)",
        "",
        measured(result, listed),
    ]
    return "\n".join(lines + second_test(result))


def measured(result: dict[str, Any], listed: Sequence[dict[str, Any]]) -> str:
    """How the table came about."""
    counts = sorted({len(runs) for runs in result["runs"].values()})
    seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    tempered = "; ".join(
        f"{NAMES[row['model']][1]} {row['tempered_log_loss']:.3f}" for row in listed if "tempered_log_loss" in row
    )
    one = ", the transformer's of one seed" if any(row["model"] == "transformer" for row in listed) else ""
    conditions = (read("transformer") or {}).get("conditions", "") if one else ""
    transformer = f" The transformer was {conditions}." if conditions else ""
    return (
        f"Mean and deviation over {seeds} seeds of data order, weights and split{one}; copies of one title on one "
        f"side, on {result['data']['rows']:,} titles: 70 % to learn from, 15 % to tune on, 15 % to measure on, the "
        "same rows for every model, the same clean-up too. In parentheses the 95 % bootstrap interval of the paired "
        "difference over the test rows. Log loss and calibration error are of each model's own probabilities; "
        "LinearSVC, which has none, got a temperature fitted on the validation rows, as `default` has. With such a "
        f"temperature for every model the log losses are: {tempered}. Times are of one fit with the chosen setting, "
        f"the median of one raw title, and all test titles at once; {measured_on(result)} "
        f"(`python benchmarks/accuracy.py`, `python benchmarks/transformer.py`).{transformer}"
    )


def second_test(result: dict[str, Any]) -> list[str]:
    """The lines about the headlines of the 2020s."""
    about, models = result["second_test"], result["models"]
    shown = {model: figures for model, figures in models.items() if "f1_2020s" in figures}
    if about is None or not shown:
        return []
    ranked = sorted(shown.items(), key=lambda item: -item[1]["f1_2020s"]["mean"])
    lines = [
        "",
        f"On {about['rows']} headlines of the 2020s, written before any model was run on them; {about['hard']} are "
        "hard (their telling words unseen in training, or between two classes):",
        "",
        f"| model | weighted F1, all {about['rows']} | the {about['hard']} hard ones |",
        "|---|---|---|",
    ]
    for model, figures in ranked:
        cells = [f"{of['mean']:.3f} ± {of['deviation']:.3f}" for of in (figures["f1_2020s"], figures["f1_2020s_hard"])]
        lines.append(f"| {NAMES[model][0]} | {' | '.join(cells)} |")
    return lines


def learning_curve(result: dict[str, Any]) -> str:
    """The picture of F1 by training titles, and what it suggests."""
    default, svc = (result["models"][name] for name in ("default", SVC))
    points, line = default["points"], default["line"]
    first, last = points[0], points[-1]
    seeds = len({run["seed"] for run in result["runs"]})
    sizes = ", ".join(f"{titles:,}" for titles in line["through"])
    return (
        "![Weighted F1 against the number of training titles](docs/learning_curve.png)\n\n"
        f"From {first['titles']:,} to {last['titles']:,} training titles `default` goes from {first['f1']['mean']:.3f} "
        f"to {last['f1']['mean']:.3f}, the LinearSVC of words and characters from {svc['points'][0]['f1']['mean']:.3f} "
        f"to {svc['points'][-1]['f1']['mean']:.3f}. A straight line over the logarithm of the titles through the last "
        f"sizes ({sizes}) gains {100 * line['f1_a_doubling']:.1f} points a doubling and reaches {line['f1']:.3f} at "
        f"{line['at']:,}, the 70 % of the official 120,000; for the LinearSVC, {svc['line']['f1']:.3f}. Nothing was "
        "measured there, and such curves flatten: take it as an upper guess. Mean of "
        f"{seeds} seeds; {measured_on(result)} (`python benchmarks/learning_curve.py`)."
    )


def lesson(result: dict[str, Any]) -> str:
    """The preset lesson beside the lesson's own code."""
    f1, seconds = result["f1_on_held_out"], result["train_seconds"]
    return (
        f"On the same rows, mean of {len(result['runs'])} seeds: weighted F1 {f1['textcnn']['mean']:.3f} against "
        f"{f1['lesson']['mean']:.3f} of the lesson's code; its training loop takes "
        f"{seconds['textcnn']['mean']:.1f} s against {seconds['lesson']['mean']:.1f} s "
        f"({result['times_faster']:.0f} times faster), and the encoded training titles "
        f"{result['times_less_memory']:,.0f} times less memory than one-hot rows; {measured_on(result)} "
        "(`python benchmarks/lesson.py`)."
    )


def accuracy_figure(listed: Sequence[dict[str, Any]]) -> Figure:
    """Draw F1 against the microseconds for one headline.

    Args:
        listed: what `rows` gives. A model far below the best stands at the lower edge, with its F1 in words.
    """
    figure = Figure(figsize=(8, 4.6), facecolor="white")
    axes = figure.add_axes((0.09, 0.12, 0.88, 0.84))
    floor = max(row["f1"] for row in listed) - BELOW
    near = [row for row in listed if row["f1"] > floor]
    low = min(row["f1"] - (row["deviation"] or 0) for row in near)
    high = max(row["f1"] + (row["deviation"] or 0) for row in near)
    bottom = low - 0.3 * (high - low) - 0.004
    axes.set_xscale("log")
    axes.set_xlim(min(row["single_us"] for row in listed) / 2, max(row["single_us"] for row in listed) * 3)
    axes.set_ylim(bottom, high + 0.15 * (high - low) + 0.004)
    points = []
    for row in listed:
        colour = OURS if row["model"] in ("default", "lesson") else THEIRS
        label, x, y = NAMES[row["model"]][1], row["single_us"], row["f1"]
        if row in near:
            axes.errorbar(x, y, yerr=row["deviation"] or 0, fmt="o", ms=6, lw=1, color=colour)
        else:
            label, y = f"{label}, {y:.3f}", bottom + 0.03 * (high - bottom)
            axes.plot(x, y, marker="v", ms=7, color=colour)
        points.append((x, y, label, colour))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    framed(axes, "microseconds for one headline, raw text to probabilities", "weighted F1")
    placed(axes, points)
    return figure


def learning_curve_figure(models: dict[str, Any]) -> Figure:
    """Draw F1 against the number of training titles, the line beyond the last size dashed."""
    figure = Figure(figsize=(8, 4.2), facecolor="white")
    axes = figure.add_axes((0.09, 0.13, 0.88, 0.83))
    axes.set_xscale("log")
    for model, colour in (("default", OURS), (SVC, THEIRS)):
        points, line = models[model]["points"], models[model]["line"]
        titles, f1 = [point["titles"] for point in points], [point["f1"]["mean"] for point in points]
        deviations = [point["f1"]["deviation"] for point in points]
        axes.errorbar(titles, f1, yerr=deviations, fmt="o-", ms=5, lw=1.4, color=colour, label=NAMES[model][1])
        start = line["f1"] - line["f1_a_doubling"] * log2(line["at"] / line["through"][0])
        axes.plot([line["through"][0], line["at"]], [start, line["f1"]], ls="--", lw=1, color=colour)
        axes.plot(line["at"], line["f1"], marker="o", ms=6, mfc="white", color=colour)
    ticks = [*titles, line["at"]]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    framed(axes, "training titles (hollow: extrapolated, not measured)", "weighted F1")
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    return figure


PARTS = {
    "accuracy": accuracy,
    "lesson": lesson,
    "learning_curve": learning_curve,
    "picture": picture,
    "speed": speed,
    "faithfulness": faithfulness,
    "serve": serve,
}


if __name__ == "__main__":
    sys.exit(main())
