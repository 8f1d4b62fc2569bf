"""Write the figures of results/*.json into the README, between its markers.

    python benchmarks/report.py [--check]

`--check` changes nothing and fails where the README says something else.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parent.parent / "README.md"
NAMES = {
    "default": "textcnn, preset `default`",
    "lesson": "textcnn, preset `lesson`",
    "tfidf-logistic-regression": "TF-IDF of words and pairs, logistic regression",
}


def main() -> int:
    """Fill the README's marked parts; return 1 if `--check` finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    old = README.read_text(encoding="utf-8")
    new = filled(old)
    if new != old and check:
        print("README.md does not say what benchmarks/results say: run python benchmarks/report.py")
        return 1
    README.write_text(new, encoding="utf-8")
    return 0


def filled(text: str) -> str:
    """Return the README with every marked part written anew."""
    for name, write in PARTS.items():
        marked = rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)"
        content = write(json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")))
        text, count = re.subn(marked, lambda match: match[1] + content + match[2], text, flags=re.DOTALL)  # noqa: B023
        if count != 1:
            raise SystemExit(f"README.md has {count} parts marked {name}: exactly one is expected.")
    return text


def accuracy(result: dict[str, Any]) -> str:
    """The table of models on the same rows."""
    ranked = sorted(result["f1"].items(), key=lambda item: -item[1]["mean"])
    lines = ["| model | weighted F1 | seconds to train |", "|---|---|---|"]
    for name, f1 in ranked:
        seconds = result["train_seconds"][name]["mean"]
        lines.append(f"| {NAMES[name]} | {f1['mean']:.3f} ± {f1['deviation']:.3f} | {seconds:.0f} |")
    seeds = len(ranked[0][1]["values"])
    lines += [
        "",
        f"Mean and deviation over {seeds} seeds of data order, weights and split, copies of one title on one side, "
        f"on {result['data']['rows']:,} titles; {machine(result)} (`python benchmarks/accuracy.py`).",
    ]
    return "\n".join(lines)


def lesson(result: dict[str, Any]) -> str:
    """The preset lesson beside the lesson's own code."""
    f1, seconds = result["f1_on_held_out"], result["train_seconds"]
    return (
        f"On the same rows, mean of {len(result['runs'])} seeds: weighted F1 {f1['textcnn']['mean']:.3f} against "
        f"{f1['lesson']['mean']:.3f} of the lesson's code; its training loop takes "
        f"{seconds['textcnn']['mean']:.1f} s against {seconds['lesson']['mean']:.1f} s "
        f"({result['times_faster']:.0f} times faster), and the encoded training titles "
        f"{result['times_less_memory']:,.0f} times less memory than one-hot rows; {machine(result)} "
        "(`python benchmarks/lesson.py`)."
    )


def machine(result: dict[str, Any]) -> str:
    """What it was measured on, in words."""
    of = result["machine"]
    return f"{of['cores']} cores of {of['processor']}, torch {of['versions']['torch']}"


PARTS = {"accuracy": accuracy, "lesson": lesson}


if __name__ == "__main__":
    sys.exit(main())
