"""How long the heat map takes, beside a bare `imshow` of the same size; and the three maps of the README.

    python benchmarks/picture.py [--repeats 40]

Both draw 10 tokens x 40 filters into a PNG of the same size in dots. Results go to results/picture.json, the maps to
docs/heatmap_*.png.
"""

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from common import spread, write
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from textcnn import Explanation, HeadlineClassifier
from textcnn.plots import alternative_text, heatmap
from textcnn.sheet import to_png, to_svg

ROOT = Path(__file__).parent.parent
TEN_WORDS = "Oil prices hit record high as stocks slide on Wall"
SHOWN = {
    "business": ("Oil prices hit a record high as stocks slide on Wall Street", "light"),
    "science": ("Scientists find new planet beyond the solar system", "dark"),
    "unknown": ("Zendaya and Timothée share a podium at the Olympic skateboard final", "light"),
}


def main() -> None:
    """Measure, write, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=40, help="turns, in each of which all are timed once")
    options = parser.parse_args()
    model = HeadlineClassifier.from_pretrained(ROOT / "artifacts" / "default")
    write("picture", measured(model, options.repeats), show=False)
    for name, (title, style) in SHOWN.items():
        explanation = model.explain(title)
        path = ROOT / "docs" / f"heatmap_{name}.png"
        path.write_bytes(to_png(heatmap(explanation, style), description=alternative_text(explanation)))


def measured(model: HeadlineClassifier, repeats: int) -> dict[str, Any]:
    """Time each part in turns, so that a slower minute of the machine meets them all."""
    explanation = model.explain(TEN_WORDS)
    assert len(explanation.tokens) == 10
    parts: dict[str, Callable[[], object]] = {
        "explain": lambda: model.explain(TEN_WORDS),
        "explain, with what if": lambda: model.explain(TEN_WORDS, left_out=True),
        "heat map, PNG": lambda: to_png(heatmap(explanation)),
        "heat map, SVG": lambda: to_svg(heatmap(explanation)),
        "bare imshow, PNG": lambda: bare(explanation),
    }
    times: dict[str, list[float]] = {name: [] for name in parts}
    for turn in range(repeats + 2):
        for name, part in parts.items():
            start = time.perf_counter()
            part()
            if turn >= 2:  # the first turns fill caches
                times[name].append((time.perf_counter() - start) * 1e3)
    ratios = [one / other for one, other in zip(times["heat map, PNG"], times["bare imshow, PNG"], strict=True)]
    return {
        "tokens": 10,
        "filters": 40,
        "milliseconds": {
            name: {"median": median(values), "deviation": spread(values)["deviation"]} for name, values in times.items()
        },
        "times_a_bare_imshow": median(ratios),
        "bytes": {"PNG": len(to_png(heatmap(explanation))), "SVG": len(to_svg(heatmap(explanation)))},
    }


def bare(explanation: Explanation) -> bytes:
    """The values alone in one pair of axes, in a figure as large as the heat map's."""
    figure = Figure(figsize=heatmap(explanation).get_size_inches())
    figure.add_axes((0.1, 0.1, 0.8, 0.8)).imshow(explanation.values[:40], aspect="auto")
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
