"""The parts of speed.py that need a process of their own: the cold start, and how time and memory grow."""

import json
import random
import string
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from textcnn import PRESETS, HeadlineClassifier
from textcnn.model import TextCNN
from textcnn.text import PAD, UNK, LabelEncoder, Tokenizer

ROOT = Path(__file__).parent.parent
# In the order of their imports alone: nltk last, as it brings along scikit-learn and pandas where they are installed.
LIBRARIES = ("numpy", "torch", "pandas", "sklearn.metrics", "tokenizers", "safetensors", "nltk")
CLASSES = ["Business", "Sci/Tech", "Sports", "World"]

COLD_START = """
import time
marks = [time.perf_counter()]
import textcnn
marks.append(time.perf_counter())
import sys
model = textcnn.HeadlineClassifier.from_pretrained(sys.argv[1])
marks.append(time.perf_counter())
model.predict_proba([sys.argv[2]])
marks.append(time.perf_counter())
import json
print(json.dumps({"marks": marks, "loaded": [name for name in sys.argv[3:] if name in sys.modules]}))
"""

IMPORTS = """
import importlib, json, sys, time
seconds = {}
for name in sys.argv[1:]:
    started = time.perf_counter()
    importlib.import_module(name)
    seconds[name] = time.perf_counter() - started
print(json.dumps(seconds))
"""

# VmHWM is the peak of this process. Its twin in getrusage, ru_maxrss, starts from the peak of the process that started
# this one: it stands in where there is no /proc.
BATCH = """
import json, resource, sys, time
from pathlib import Path
from textcnn import HeadlineClassifier

def peak_mb():
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6

model = HeadlineClassifier.from_pretrained(sys.argv[1])
titles, headlines, repeats = json.loads(Path(sys.argv[2]).read_text()), int(sys.argv[3]), int(sys.argv[4])
titles = (titles * (headlines // len(titles) + 1))[:headlines]
model.predict_proba(titles[:100])
before, seconds = peak_mb(), []
for _ in range(repeats):
    started = time.perf_counter()
    model.predict_proba(titles)
    seconds.append(time.perf_counter() - started)
print(json.dumps({"seconds": seconds, "peak_mb": peak_mb(), "added_mb": peak_mb() - before}))
"""


def extent(values: Sequence[float]) -> dict[str, Any]:
    """Return median, minimum and maximum of repeats, and how many there were."""
    return {
        "median": float(np.median(values)),
        "minimum": float(min(values)),
        "maximum": float(max(values)),
        "repeats": len(values),
    }


def in_new_process(code: str, *arguments: str) -> dict[str, Any]:
    """Run code with the same Python and return the JSON that it prints, with the seconds of the whole process."""
    started = time.perf_counter()
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    return {"process_s": time.perf_counter() - started, **json.loads(done.stdout)}


def cold_start(artifacts: Path, title: str, repeats: int) -> dict[str, Any]:
    """Measure a new process up to its first prediction, and which library's import its time goes to.

    A library that a prediction loads pays for what none before it in `LIBRARIES` has brought along; the package comes
    last. The files are in the system's cache. `process_s` is the whole process, Python's own start and end included.
    """
    runs = [in_new_process(COLD_START, str(artifacts), title, *LIBRARIES) for _ in range(repeats + 1)][1:]
    spans = np.diff([run["marks"] for run in runs], axis=1)
    names = [*runs[0]["loaded"], "textcnn"]
    imports = [in_new_process(IMPORTS, *names) for _ in range(repeats)]
    seconds = {name: float(np.median([run[name] for run in imports])) for name in names}
    return {
        "seconds": extent(spans.sum(1)),
        "import_s": extent(spans[:, 0]),
        "load_s": extent(spans[:, 1]),
        "first_prediction_s": extent(spans[:, 2]),
        "process_s": extent([run["process_s"] for run in runs]),
        "imports_s": seconds,
        "import_shares": {name: value / sum(seconds.values()) for name, value in seconds.items()},
    }


def by_headlines(
    artifacts: Path, titles: list[str], sizes: Sequence[int], repeats: int, folder: Path
) -> dict[str, Any]:
    """Measure `predict_proba` for lists of many sizes, each in a process of its own.

    Memory is the peak of the process, and how far it lies above the peak before: model and headlines loaded, 100 of
    them predicted. Titles repeat where the data has too few.
    """
    listed = folder / "titles.json"
    listed.write_text(json.dumps(titles), encoding="utf-8")
    rows = []
    for headlines in sizes:
        run = in_new_process(BATCH, str(artifacts), str(listed), str(headlines), str(repeats))
        seconds = extent(run["seconds"])
        rows.append(
            {
                "headlines": headlines,
                "seconds": seconds,
                "headlines_a_second": headlines / seconds["median"],
                "peak_mb": run["peak_mb"],
                "added_mb": run["added_mb"],
            }
        )
    medians = [row["seconds"]["median"] for row in rows]
    return {
        "rows": rows,
        "times_a_tenfold": {
            "seconds": times_a_tenfold(sizes, medians),
            "added_mb": times_a_tenfold(sizes, [max(row["added_mb"], 1.0) for row in rows]),
        },
    }


def by_vocabulary(words: Sequence[int], headlines: int, tokens: int, repeats: int) -> dict[str, Any]:
    """Measure untrained networks of the shape of `default` over vocabularies of made-up words.

    Args:
        words: sizes of the vocabulary.
        headlines: how many to predict at once, of words drawn evenly: more distinct ones than any real text has.
        tokens: words of each headline.
        repeats: of each measurement.
    """
    rows = []
    for size in words:
        draw = random.Random(0)
        vocabulary = made_up(size, draw)
        model = untrained(vocabulary)
        titles = [" ".join(draw.choices(vocabulary, k=tokens)) for _ in range(headlines)]
        model.predict_proba(titles[:100])
        single = [seconds_of(model, [title]) for title in titles[:200]]
        assert model.model.embedding is not None
        rows.append(
            {
                "words": size,
                "headlines": headlines,
                "seconds": extent([seconds_of(model, titles) for _ in range(repeats)]),
                "single_us": float(np.median(single) * 1e6),
                "embedding_mb": model.model.embedding.weight.nbytes / 1e6,
            }
        )
    medians = [row["seconds"]["median"] for row in rows]
    return {
        "rows": rows,
        "times_a_tenfold": {
            "seconds": times_a_tenfold(words, medians),
            "single_us": times_a_tenfold(words, [row["single_us"] for row in rows]),
            "embedding_mb": times_a_tenfold(words, [row["embedding_mb"] for row in rows]),
        },
    }


def made_up(size: int, draw: random.Random) -> list[str]:
    """Return so many distinct words of two to ten letters."""
    words: dict[str, None] = {}
    while len(words) < size:
        words["".join(draw.choices(string.ascii_lowercase, k=draw.randint(2, 10)))] = None
    return list(words)


def untrained(vocabulary: list[str]) -> HeadlineClassifier:
    """Return a classifier of the shape of the preset `default`, its weights as they were drawn."""
    config = PRESETS["default"]
    tokenizer = Tokenizer({token: index for index, token in enumerate([PAD, UNK, *vocabulary])})
    network = TextCNN(config.model, len(tokenizer), len(CLASSES))
    return HeadlineClassifier(config, tokenizer, LabelEncoder.fit(CLASSES), network)


def seconds_of(model: HeadlineClassifier, titles: list[str]) -> float:
    """Return the seconds from raw titles to probabilities."""
    started = time.perf_counter()
    model.predict_proba(titles)
    return time.perf_counter() - started


def times_a_tenfold(sizes: Sequence[int], values: Sequence[float]) -> list[float]:
    """Return from each size to the next how many times the value grows for ten times the size.

    It is 10 where the value grows as the size does, 1 where it stays.
    """
    steps = zip(pairwise(sizes), pairwise(values), strict=True)
    return [float((high / low) ** (1 / np.log10(more / less))) for (less, more), (low, high) in steps]
