"""The preset `lesson` against the lesson's own code, on the same rows.

    python benchmarks/lesson.py --data train.csv --lesson run_lesson.py

The data are cut once into two files. On the first, the lesson's code and the preset `lesson` (random split, no refit)
each train with the same seeds; both are measured on the second. `run_lesson.py` runs the code blocks of the lesson,
with `--data` and `--test`, and prints JSON; `convolutional_neural_networks.md` lies beside it. Each seed runs a copy of
it with that seed in place of the lesson's.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
from common import spread, write
from sklearn.model_selection import train_test_split

from textcnn import PRESETS, HeadlineClassifier, metrics, sources
from textcnn.splits import split
from textcnn.training import encode, fit


def main() -> None:
    """Cut, train both with each seed, write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--lesson", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1234, 1, 2])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        train_part, held_out = cut(options.data, Path(folder))
        runs = [
            {
                "seed": seed,
                "lesson": run_lesson(options.lesson, train_part, held_out, seed, Path(folder)),
                "textcnn": run_preset(train_part, held_out, seed),
            }
            for seed in options.seeds
        ]
    f1 = {name: spread([run[name]["f1"] for run in runs]) for name in ("lesson", "textcnn")}
    seconds = {name: spread([run[name]["train_s"] for run in runs]) for name in ("lesson", "textcnn")}
    write(
        "lesson",
        {
            "f1_on_held_out": f1,
            "f1_difference": f1["textcnn"]["mean"] - f1["lesson"]["mean"],
            "train_seconds": seconds,
            "times_faster": seconds["lesson"]["mean"] / seconds["textcnn"]["mean"],
            "times_less_memory": runs[0]["textcnn"]["one_hot_bytes"] / runs[0]["textcnn"]["encoded_bytes"],
            "runs": runs,
        },
    )


def cut(data: Path, folder: Path) -> tuple[Path, Path]:
    """Cut the rows once into 85 % to train on and 15 % held out, classes alike."""
    frame = pd.read_csv(data, dtype=str, keep_default_na=False)
    train_part, held_out = train_test_split(frame, test_size=0.15, stratify=frame["category"], random_state=0)
    train_part.to_csv(folder / "train_part.csv", index=False)
    held_out.to_csv(folder / "held_out.csv", index=False)
    return folder / "train_part.csv", folder / "held_out.csv"


def run_lesson(script: Path, train_part: Path, held_out: Path, seed: int, folder: Path) -> dict[str, Any]:
    """Run a copy of the lesson with another seed."""
    copy = folder / f"lesson-{seed}"
    shutil.copytree(script.parent, copy)
    for text in copy.glob("*.md"):
        text.chmod(0o644)
        text.write_text(text.read_text(encoding="utf-8").replace("SEED = 1234", f"SEED = {seed}"), encoding="utf-8")
    command = [sys.executable, str(copy / script.name), "--data", str(train_part), "--test", str(held_out)]
    result = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ).stdout)
    return {"f1": result["test"]["f1"], "train_s": result["train_s"], "epochs_at_most": 10, "raw": result}


def run_preset(train_part: Path, held_out: Path, seed: int) -> dict[str, Any]:
    """Train the preset `lesson` on a random split of the same rows and measure it on the same held-out file."""
    config = PRESETS["lesson"].replace(seed=seed, split="random", refit=False)
    data, test = sources.read_csv(train_part), sources.read_csv(held_out)
    parts = split(data.titles, data.labels, "random", config.train.fractions, seed)
    titles, labels = [data.titles[i] for i in parts.train], [data.labels[i] for i in parts.train]
    validation = [data.titles[i] for i in parts.validation], [data.labels[i] for i in parts.validation]
    started = time.perf_counter()
    fitted = fit(titles, labels, config, validation=validation)
    whole = time.perf_counter() - started
    model = HeadlineClassifier.from_fit(fitted, config)
    measured = metrics.evaluate(
        model.label_encoder.encode(test.labels), model.predict_proba(test.titles), model.classes
    )
    encoded = encode(titles, labels, fitted.tokenizer, fitted.label_encoder)
    tokens = int(encoded.lengths.sum())
    return {
        "f1": measured.overall["f1"],
        "train_s": sum(epoch.seconds for epoch in fitted.history),
        "fit_s": whole,  # with cleaning, vocabulary and encoding
        "epochs": len(fitted.history),
        "encoded_bytes": encoded.nbytes,
        "one_hot_bytes": tokens * len(fitted.tokenizer) * 8,  # float64, as the lesson keeps them
    }


if __name__ == "__main__":
    main()
