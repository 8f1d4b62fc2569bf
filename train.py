"""Train a headline classifier: from a CSV of titles to a folder of artifacts.

python train.py                          on the official AG News titles, downloaded once
python train.py --data headlines.csv     on your own, with the columns title and category
python train.py --sample                 on the invented sample that ships with the package, without a network
"""

import argparse
import dataclasses
import logging
import sys
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm.contrib.logging import logging_redirect_tqdm

from textcnn import HeadlineClassifier, HubError, TextCNNError, artifacts, hub, pipeline, sources
from textcnn.card import model_card
from textcnn.config import PRESETS, Config, ModelConfig, TextConfig, TrainConfig
from textcnn.sources import Headlines
from textcnn.splits import split
from textcnn.training import pick_device
from textcnn.vectors import load_vectors

log = logging.getLogger("train")

PARTS = (TextConfig, ModelConfig, TrainConfig)
UNSET = object()  # a flag that was not given; None is a value
# What --sample implies: no network for word vectors, and more and smaller steps for a few hundred headlines.
SAMPLE = {"vectors": None, "epochs": 20, "batch_size": 16}


def train(options: argparse.Namespace) -> None:
    """The story: load, split, fit, measure, fit again on everything, save, publish."""
    config = resolve(options)
    device = pick_device(options.device)
    out = artifacts.check_target(options.out)

    # Load
    data, official_test = load(options)
    log.info(what_was_read(data))

    # Split
    parts = split(data.titles, data.labels, config.train.split, config.train.fractions, config.train.seed)
    learn, validation, test = (pipeline.select(data, rows) for rows in (parts.train, parts.validation, parts.test))
    log.info("Split (%s): %s", config.train.split, sizes(train=learn, validation=validation, test=test))

    # Word vectors to start from, where the preset has them; the configuration keeps their name, never a path
    vectors = None if config.train.vectors is None else load_vectors(config.train.vectors)
    config = config.replace(vectors=vectors and vectors.name)

    # Fit: tokenizer, classes and weights from the training rows, the epoch chosen on the validation rows
    fitted = pipeline.fit_rows(learn, config, validation=validation, vectors=vectors, device=device)
    log.info("Best epoch: %d; vocabulary: %s tokens", fitted.best_epoch, f"{len(fitted.tokenizer):,}")

    # Measure, on rows that nothing was chosen by
    model = pipeline.calibrated(fitted, config, validation)
    figures = pipeline.measure(model, test)
    official = None if official_test is None else pipeline.measure(model, pipeline.select(official_test))

    # Refit: what ships learns from all rows
    shipped = fitted
    if config.train.refit:
        log.info("Refit on all %s rows, %d epochs", f"{len(data):,}", fitted.best_epoch)
        replay = fitted.history[: fitted.best_epoch]
        shipped = pipeline.fit_rows(pipeline.select(data), config, replay=replay, vectors=vectors, device=device)

    # Save
    performance = pipeline.performance(
        figures, official, data=data, split=parts, config=config, fitted=fitted, shipped=shipped
    )
    performance["about"] = {
        "data": options.about_data, "results": options.about_results, "dataset": options.about_dataset
    }  # fmt: skip
    classifier = HeadlineClassifier.from_fit(
        shipped,
        config,
        temperature=model.temperature,
        picture_scale=model.picture_scale,
        performance=performance,
        filters=pipeline.filters(shipped, pipeline.select(data) if config.train.refit else learn),
    )
    card = model_card(
        config,
        performance,
        filters=classifier.filters,
        repo=options.push_to_hub,
        space=options.space,
    )
    classifier.save_pretrained(out, card=card, figures=pipeline.figures(performance, classifier.classes))
    log.info("\n%s\nArtifacts: %s", table(performance), out)

    # Publish
    if options.push_to_hub is not None:
        url = publish(out, options)
        log.info("Published: %s", url)


def publish(out: Path, options: argparse.Namespace) -> str:
    """Push the artifacts and return their address; whatever happens, they are on the disk."""
    still = f" The files are in {out}."
    try:
        return hub.publish(
            out, options.push_to_hub, private=options.private, tag=options.tag, old_figures=True, after=still
        )
    except KeyboardInterrupt:
        raise HubError(f"Interrupted while publishing: look at the repository whether it arrived.{still}") from None


def load(options: argparse.Namespace) -> tuple[Headlines, Headlines | None]:
    """Return the headlines to learn from, and the official test headlines where those are the official ones."""
    if options.sample:
        return sources.sample(), None
    if options.data is not None:
        return sources.read_csv(options.data, options.encoding), None
    return sources.official("train"), sources.official("test")


def what_was_read(data: Headlines) -> str:
    """Say how many rows were read, which were dropped and why, and how many each class has."""
    dropped = ", ".join(f"{count:,} ({reason})" for reason, count in data.dropped.items()) or "none"
    classes = ", ".join(f"{name} {count:,}" for name, count in data.class_counts.items())
    return f"Read {data.rows:,} rows from {data.origin}; dropped: {dropped}\nClasses: {classes}"


def sizes(**parts: pipeline.Rows) -> str:
    """Say how many rows each part has."""
    return ", ".join(f"{name} {len(rows):,}" for name, rows in parts.items())


def table(performance: dict[str, Any]) -> str:
    """Return the figures per class and overall as a table for a terminal."""
    rows = {**performance["class"], "weighted": performance["overall"]}
    if performance["official_test"]:
        rows["official test"] = performance["official_test"]
    width = max(map(len, rows))
    lines = [f"{'test rows':<{width}}  precision  recall     f1    rows"]
    for name, row in rows.items():
        shares = f"{row['precision']:9.3f}  {row['recall']:6.3f}  {row['f1']:5.3f}"
        lines.append(f"{name:<{width}}  {shares}  {row['num_samples']:6,.0f}")
    return "\n".join(lines)


def resolve(options: argparse.Namespace) -> Config:
    """Return the preset with the overrides given by flag."""
    names = [field.name for part in PARTS for field in dataclasses.fields(part)]
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not UNSET}
    return PRESETS[options.preset].replace(**(SAMPLE if options.sample else {}) | given)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--data", type=Path, help="CSV with the columns title and category")
    source.add_argument("--sample", action="store_true", help="train on the sample that ships with the package")
    parser.add_argument("--encoding", default="utf-8-sig", help="of the CSV (default: UTF-8)")
    parser.add_argument("--about-data", default="", help="origin and terms of the CSV, a sentence for the model card")
    parser.add_argument("--about-results", default="", help="how it compares with others, for the model card")
    parser.add_argument("--about-dataset", help="Hub id of the dataset that the CSV is of, for the model card")
    parser.add_argument("--push-to-hub", type=hub_id, metavar="OWNER/NAME", help="publish the artifacts on the Hub")
    parser.add_argument("--private", action="store_true", help="make the new repository on the Hub private")
    parser.add_argument("--tag", help="name the published state, for example v1")
    parser.add_argument("--space", type=hub_id, metavar="OWNER/NAME", help="the Space that the library installs from")
    parser.add_argument("--preset", choices=PRESETS, default="default", help="where the settings start from")
    parser.add_argument("--out", type=Path, help="artifact folder, replaced whole (default: models/PRESET)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    for part in PARTS:
        group = parser.add_argument_group(f"override the preset: {part.__name__.removesuffix('Config').lower()}")
        for field in dataclasses.fields(part):
            add_flag(group, part, field)
    options = parser.parse_args(arguments)
    if options.push_to_hub is None and (options.private or options.tag or options.space):
        parser.error("--private, --tag and --space are of a push: give --push-to-hub OWNER/NAME too")
    options.out = options.out or Path("models") / options.preset
    return options


def add_flag(group: "argparse._ArgumentGroup", part: type, field: "dataclasses.Field[Any]") -> None:
    """Add the flag of one setting: `--epochs 3`, `--no-refit`, `--filter-sizes 1 2 3`, `--hidden-dim none`."""
    flag = "--" + field.name.replace("_", "-")
    kind = typing.get_type_hints(part)[field.name]
    options = typing.get_args(kind)
    if kind is bool:
        group.add_argument(flag, action=argparse.BooleanOptionalAction, default=UNSET)
    elif typing.get_origin(kind) is tuple:
        group.add_argument(flag, type=options[0], nargs="+", default=UNSET, metavar=options[0].__name__.upper())
    elif type(None) in options:
        group.add_argument(
            flag, type=optional(options[0]), default=UNSET, metavar=f"{options[0].__name__.upper()}|none"
        )
    else:
        group.add_argument(flag, type=kind, default=UNSET, metavar=kind.__name__.upper())


def hub_id(text: str) -> str:
    """Return the text if it is a Hub id; a mistake is said before the training and not after."""
    if not hub.is_repo_id(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a Hub id: give owner/name.")
    return text


def optional(kind: type) -> Any:
    """Return a reader of a value that may be the word none."""

    def read(text: str) -> Any:
        return None if text.lower() == "none" else kind(text)

    read.__name__ = f"{kind.__name__} or none"  # argparse names it in its message
    return read


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the pipeline and return its exit status: 0, 2 for a mistake in the input, 130 when interrupted."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout, force=True)
    options = parse(arguments)
    try:
        with logging_redirect_tqdm():
            train(options)
    except TextCNNError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted: no artifacts were written, earlier ones are as they were.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
