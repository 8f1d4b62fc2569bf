"""The part of report.py that puts faithfulness.json into words, and its picture."""

from collections.abc import Sequence
from typing import Any

from common import amount, measured_on
from matplotlib.figure import Figure
from report_drawing import OURS, THEIRS, framed, placed

# In the table, at its point of the picture, and the kind that a sentence speaks of.
METHODS = {
    "ours": ("**`explain`**", "explain", ""),
    "ours, log-probability": ("`explain`, weighted for the log-probability", "explain (log-probability)", ""),
    "leave-one-out, logit": ("leave-one-out (logit)", "leave-one-out (logit)", "one"),
    "leave-one-out, probability": ("leave-one-out (probability)", "leave-one-out (probability)", "one"),
    "lime": ("LIME", "LIME", "many"),
    "shap partition, logit": ("SHAP partition (logit)", "SHAP partition (logit)", "many"),
    "shap permutation, logit": ("SHAP permutation (logit)", "SHAP permutation (logit)", "many"),
    "shap partition, probability": ("SHAP partition (probability)", "SHAP partition (probability)", "many"),
    "shap permutation, probability": ("SHAP permutation (probability)", "SHAP permutation (probability)", "many"),
    "integrated gradients": ("Captum integrated gradients", "integrated gradients", "path"),
    "deeplift": ("Captum DeepLift", "DeepLift", "path"),
    "input x gradient": ("Captum input × gradient", "input × gradient", ""),
    "occlusion": ("Captum occlusion", "occlusion", "one"),
    "random": ("random", "random", ""),
}
KINDS = {
    "many": "it asks the model about headlines with many words gone, so it knows which windows win once the first are "
    "lost; an explanation of the winners alone does not",
    "one": "it takes away one word at a time, so that of two words that say the same neither seems to matter",
    "path": "it averages over the way from the zero vector to the headline instead of looking at the headline alone",
    "": "",
}
BELOW = 0.15  # a method that is so much worse than the best stands at the lower edge of the picture


def faithfulness(result: dict[str, Any]) -> str:
    """The table of methods, the highest comprehensiveness first, the picture, what wins where, how it was measured."""
    lines = [
        "| | comprehensiveness ↑ | `explain` has more | sufficiency ↓ | agreement with leave-one-out | two seeds agree "
        "| completeness error, median (largest) | ms | times as long |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in ranked(result):
        of, minus = result["methods"][name], result["ours_minus"].get(name)
        cells = [METHODS[name][0], ranged(of["comprehensiveness"])]
        cells += [ranged(minus["comprehensiveness"], "+") if minus else "", ranged(of["sufficiency"])]
        cells += [f"{of[figure]['mean']:.3f}" for figure in ("agreement", "repeatability")]
        cells += [left_over(of["completeness_error"]), f"{of['ms']:.2f}"]
        cells += [amount(of["times_ours"]) if name != "ours" else ""]
        lines.append(f"| {' | '.join(cells)} |")
    said = [*comprehensive(result), same(result), complete(result), speed(result), stable(result)]
    lines += ["", "![Comprehensiveness against milliseconds of an explanation](docs/faithfulness.png)", ""]
    return "\n".join([*lines, *(f"- {sentence}" for sentence in said), "", measured(result)])


def ranked(result: dict[str, Any]) -> list[str]:
    """The methods by comprehensiveness."""
    return sorted(result["methods"], key=lambda name: -result["methods"][name]["comprehensiveness"]["mean"])


def ranged(of: dict[str, Any], sign: str = "") -> str:
    """A mean with its interval."""
    low, high = of["interval"]
    return f"{of['mean']:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})"


def left_over(error: dict[str, float] | None) -> str:
    """A completeness error."""
    if error is None:
        return ""
    median, largest = (f"{value:.0e}" if value else "0" for value in (error["median"], error["maximum"]))
    return f"{median} ({largest})"


def listed(names: Sequence[str]) -> str:
    """Names in a row, the last after "and"."""
    shown = [METHODS[name][1] for name in names]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def comprehensive(result: dict[str, Any]) -> list[str]:
    """Who takes more of the probability away with the same number of words, and why."""
    methods, minus = result["methods"], result["ours_minus"]
    best = next(name for name in ranked(result) if not name.startswith("ours"))
    mine, low = methods["ours"]["comprehensiveness"]["mean"], methods[best]["comprehensiveness"]["interval"][0]
    where = "not below" if mine >= low else "below"
    said = [
        f"The best peer is {listed([best])}; `explain` at {mine:.4f} is {where} its interval, which begins at "
        f"{low:.4f}. {tops(result)}"
    ]
    for kind, reason in KINDS.items():
        intervals = {
            name: minus[name]["comprehensiveness"]["interval"]
            for name in ranked(result)
            if name in minus and METHODS[name][2] == kind and reason
        }
        ahead = [name for name, (_, high) in intervals.items() if high < 0]
        behind = [name for name, (lowest, _) in intervals.items() if lowest > 0]
        if ahead:
            lead = -min(minus[name]["comprehensiveness"]["mean"] for name in ahead)
            said.append(f"Ahead of `explain`, by up to {lead:.3f}: {listed(ahead)}. Such a method wins as {reason}.")
        if behind:
            lead = max(minus[name]["comprehensiveness"]["mean"] for name in behind)
            said.append(f"Behind it, by up to {lead:.3f}: {listed(behind)}. Of such a method: {reason}.")
    return said


def tops(result: dict[str, Any]) -> str:
    """Who is first at the fewest words and at the most."""
    percents = result["settings"]["percents"]
    shares = {name: of["comprehensiveness_by_percent"] for name, of in result["methods"].items()}
    said = []
    for place in (0, -1):
        first = max(shares, key=lambda name: shares[name][place])
        said.append(
            f"at {percents[place]} % {listed([first])} ({shares[first][place]:.3f}, {shares['ours'][place]:.3f})"
        )
    return f"First, and `explain` beside it: {', '.join(said)}."


def same(result: dict[str, Any]) -> str:
    """How far ours is Captum's input x gradient."""
    of, count = result["input_x_gradient"], result["headlines"]["count"]
    error = result["methods"]["input x gradient"]["completeness_error"]["maximum"]
    tie = "the same on all" if not of["other_top"] else f"another on {of['other_top']} of"
    return (
        f"Captum's input × gradient ties with it, as the theory says: the chosen words are {tie} {count} headlines. "
        f"Half of the headlines differ by less than {of['median_abs_difference']:.0e} in any number, one by "
        f"{of['max_abs_difference']:.2g}: where a word stands twice, either of its windows may win. What "
        f"`explain` adds is the base: from the output at zero vectors, input × gradient is up to {error:.2g} off."
    )


def complete(result: dict[str, Any]) -> str:
    """Which explanations add up."""
    errors = {name: of["completeness_error"] for name, of in result["methods"].items()}
    others = [
        name for name in ranked(result) if name != "ours" and (of := errors[name]) is not None and of["maximum"] <= 1e-5
    ]
    beside = f" So do, from their own base, {listed(others)}." if others else " No other method does."
    error = errors["ours"]["maximum"]
    to = "within 1e-5" if error <= 1e-5 else "not within 1e-5"
    return f"Bias and numbers of `explain` add up to the logit {to}: the largest error is {error:.0e}.{beside}"


def speed(result: dict[str, Any]) -> str:
    """How long the others take."""
    methods = result["methods"]
    slow = [name for name in methods if METHODS[name][2] == "many"]
    times = "; ".join(f"{METHODS[name][1]} {amount(methods[name]['times_ours'])}" for name in slow)
    mine = methods["ours"]["ms"]
    come = "; ".join(f"{METHODS[name][1]} {amount(methods[name]['ms_as_it_comes'] / mine)}" for name in slow)
    faster = [name for name in ranked(result) if methods[name]["times_ours"] < 0.95 and name != "random"]
    beside = f" Faster than `explain`: {listed(faster)}." if faster else ""
    return (
        f"`explain` takes {mine:.2f} ms, from the text to everything in its answer. So many times as long take, with "
        f"all questions to the model in one batch: {times}; as the packages come: {come}.{beside}"
    )


def stable(result: dict[str, Any]) -> str:
    """Whether an explanation is the same when asked again."""
    wavering = {
        name: of["repeatability"]["mean"]
        for name, of in result["methods"].items()
        if name != "random" and of["repeatability"]["mean"] < 1 - 1e-9
    }
    steady = result["methods"]["ours"]["repeatability"]["mean"] > 1 - 1e-9
    first = "`explain` says the same whatever the seed" if steady else "`explain` changes with the seed"
    if not wavering:
        return f"{first}; so do all others but random."
    return (
        f"{first}; another seed changes the order with {listed(list(wavering))} (mean correlation from "
        f"{min(wavering.values()):.3f})."
    )


def measured(result: dict[str, Any]) -> str:
    """How the table came about."""
    of, settings = result["headlines"], result["settings"]
    percents = ", ".join(map(str, settings["percents"]))
    return (
        f"{of['count']} test headlines (median of {of['median_tokens']:.0f} words; {of['with_fewer_than_two_tokens']} "
        f"of {of['drawn_from']:,} left out for fewer than two) that the preset `default` did not learn from, each "
        "explained for the class it predicts. Comprehensiveness: how far the probability falls when the top words are "
        f"deleted; sufficiency: when all others are; the mean over the top {percents} % rounded up, with the 95 % "
        "bootstrap interval over the headlines, that of the paired difference where `explain` is compared. Agreement: "
        "the mean rank correlation with the fall of the logit when each word is deleted. Completeness error: what base "
        "and numbers leave over of the output, in units of the larger of 1 and the output. "
        f"LIME with {settings['lime_samples']:,} samples of probabilities, SHAP with at most "
        f"{settings['shap_evaluations']} evaluations, integrated gradients with "
        f"{settings['integrated_gradients_steps']} steps, their defaults; the first two mask by deletion, "
        "Captum starts from zero vectors and explains the logit. Medians "
        f"from raw title to numbers, taking turns, on one thread; {measured_on(result)}, "
        + ", ".join(f"{name} {result['machine']['versions'][name]}" for name in ("lime", "shap", "captum"))
        + " (`python benchmarks/faithfulness.py`)."
    )


def faithfulness_figure(result: dict[str, Any]) -> Figure:
    """Draw comprehensiveness with its interval against the milliseconds of an explanation."""
    figure = Figure(figsize=(8, 5), facecolor="white")
    axes = figure.add_axes((0.09, 0.11, 0.88, 0.85))
    methods = result["methods"]
    floor = max(of["comprehensiveness"]["mean"] for of in methods.values()) - BELOW
    near = [of["comprehensiveness"] for of in methods.values() if of["comprehensiveness"]["mean"] > floor]
    low, high = min(of["interval"][0] for of in near), max(of["interval"][1] for of in near)
    bottom = low - 0.12 * (high - low)
    axes.set_xscale("log")
    axes.set_xlim(min(of["ms"] for of in methods.values()) / 2, max(of["ms"] for of in methods.values()) * 4)
    axes.set_ylim(bottom, high + 0.05 * (high - low))
    points = []
    for name in ranked(result):
        of, label = methods[name]["comprehensiveness"], METHODS[name][1]
        colour = OURS if name.startswith("ours") else THEIRS
        x, y = methods[name]["ms"], of["mean"]
        if y > floor:
            bars = [[y - of["interval"][0]], [of["interval"][1] - y]]
            axes.errorbar(x, y, yerr=bars, fmt="o", ms=5, lw=0.8, color=colour)
        else:
            label, y = f"{label}, {y:.3f}", bottom + 0.03 * (high - bottom)
            axes.plot(x, y, marker="v", ms=7, color=colour)
        points.append((x, y, label, colour))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    framed(axes, "milliseconds of one explanation, raw text to numbers", "comprehensiveness")
    placed(axes, points)
    return figure
