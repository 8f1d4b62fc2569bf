"""`train.py`, from its command line to the folder it writes."""

import hashlib
import json
import logging
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pooch
import pytest

import train
from tests.conftest import ROOT, STOCKS
from tests.servers import free_port, serve
from textcnn import Config, HeadlineClassifier, metrics, pipeline, sources
from textcnn.config import PRESETS
from textcnn.filters import FilterSummary
from textcnn.sources import Headlines, OfficialFile
from textcnn.splits import split
from textcnn.text import PAD, UNK, Tokenizer
from textcnn.training import Trainer

SMALL = ["--epochs", "2", "--num-filters", "6", "--embedding-dim", "6", "--vectors", "none"]  # a training of a second
SAMPLE = files("textcnn").joinpath("data/sample.csv")

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """`train.main` sets the root logger up for a program."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small training with the preset default."""
    out = tmp_path_factory.mktemp("train") / "model"
    assert train.main(["--sample", "--out", str(out), *SMALL]) == 0
    return out


@pytest.fixture
def never_train(monkeypatch: pytest.MonkeyPatch) -> None:
    def fit_rows(*_: Any, **__: Any) -> None:
        raise AssertionError("the training has begun")

    monkeypatch.setattr(pipeline, "fit_rows", fit_rows)


def performance(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "performance.json").read_text(encoding="utf-8"))
    return content


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# A whole training


def test_the_folder_is_complete_and_answers(trained: Path) -> None:
    assert sorted(contents(trained)) == [
        "README.md",
        "config.json",
        "figures/confusion_matrix.png",
        "figures/learning_curves.png",
        "figures/reliability.png",
        "filters.json",
        "label_encoder.json",
        "model.safetensors",
        "performance.json",
        "tokenizer.json",
    ]
    assert HeadlineClassifier.from_pretrained(trained).predict(STOCKS).unknown_share < 1


def test_figures_are_png(trained: Path) -> None:
    for path in (trained / "figures").iterdir():
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_the_story_is_printed(tmp_path: Path, capsys: Output) -> None:
    assert train.main(["--sample", "--out", str(tmp_path / "m"), *SMALL]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0] == "Read 320 rows from sample; dropped: none"
    assert lines[1] == "Classes: Business 80, Sci/Tech 80, Sports 80, World 80"
    assert lines[2] == "Split (duplicates): train 224, validation 48, test 48"
    assert sum(line.startswith("Epoch 1/2 | train_loss ") and "| val_loss " in line for line in lines) == 1
    assert "Refit on all 320 rows" in out
    assert [line.split()[0] for line in lines[-6:-1]] == ["Business", "Sci/Tech", "Sports", "World", "weighted"]
    assert lines[-7].split() == ["test", "rows", "precision", "recall", "f1", "rows"]
    assert lines[-1] == f"Artifacts: {tmp_path / 'm'}"


def test_dropped_rows_are_printed(tmp_path: Path, capsys: Output) -> None:
    data = tmp_path / "in.csv"
    data.write_text(SAMPLE.read_text(encoding="utf-8") + ",World\n  ,World\nLost,\n", encoding="utf-8")
    assert train.main(["--data", str(data), "--out", str(tmp_path / "m"), *SMALL]) == 0
    assert "Read 323 rows from csv; dropped: 2 (no title), 1 (no category)" in capsys.readouterr().out
    assert performance(tmp_path / "m")["data"]["dropped"] == {"no title": 2, "no category": 1}


def test_performance_says_what_was_read(trained: Path, sample: Headlines) -> None:
    assert performance(trained)["data"] == {
        "origin": "sample",
        "sha256": hashlib.sha256(SAMPLE.read_bytes()).hexdigest(),
        "rows": len(sample),
        "dropped": {},
        "kept": len(sample),
        "classes": sample.class_counts,
    }


def test_performance_names_no_path(tmp_path: Path) -> None:
    data = tmp_path / "secret-customer.csv"
    data.write_bytes(SAMPLE.read_bytes())
    assert train.main(["--data", str(data), "--out", str(tmp_path / "m"), *SMALL]) == 0
    for name, content in contents(tmp_path / "m").items():
        assert b"secret-customer" not in content, name
        assert str(tmp_path).encode() not in content, name


def test_performance_adds_up(trained: Path) -> None:
    content = performance(trained)
    parts = content["split"]
    assert parts["train"] + parts["validation"] + parts["test"] == content["data"]["kept"]
    assert np.sum(content["confusion"]) == content["overall"]["num_samples"] == parts["test"]
    assert sum(row["num_samples"] for row in content["class"].values()) == parts["test"]
    assert content["overall"]["accuracy"] == pytest.approx(np.trace(content["confusion"]) / parts["test"])
    losses = [epoch["val_loss"] for epoch in content["history"]]
    assert len(losses) == 2
    assert content["shipped"]["epochs"] == losses.index(min(losses)) + 1
    assert content["official_test"] is None


def test_what_ships_has_learned_from_all_rows(trained: Path, sample: Headlines) -> None:
    shipped = performance(trained)["shipped"]
    assert shipped["refit"]
    assert shipped["rows"] + shipped["no_words"] == len(sample)
    tokenizer = HeadlineClassifier.from_pretrained(trained).tokenizer
    assert shipped["vocabulary"] == len(tokenizer)
    assert all(token.known for title in sample.titles for token in tokenizer.tokenize(title))


def filters_of(folder: Path) -> tuple[FilterSummary, ...]:
    return HeadlineClassifier.from_pretrained(folder).filters


def single_words(folder: Path) -> dict[str, int]:
    """The words of the filters of one word, and how often they stand in the headlines."""
    return {n.text: n.count for summary in filters_of(folder) if summary.size == 1 for n in summary.ngrams}


def word_counts(titles: list[str]) -> Counter[str]:
    tokenizer = Tokenizer({PAD: 0, UNK: 1})
    return Counter(word for title in titles for word in tokenizer.tokens(title))


def test_filters_are_described_by_the_headlines_that_the_model_learned_from(trained: Path, sample: Headlines) -> None:
    summaries = filters_of(trained)
    assert [summary.size for summary in summaries] == [1] * 6 + [2] * 6 + [3] * 6
    assert any(summary.name for summary in summaries)
    words, counts = single_words(trained), word_counts(sample.titles)
    assert words
    assert words == {word: counts[word] for word in words}
    edged = [f" | {' '.join(Tokenizer({PAD: 0, UNK: 1}).tokens(title))} | " for title in sample.titles]
    for ngram in (ngram for summary in summaries for ngram in summary.ngrams):
        assert any(f" {ngram.text} " in title for title in edged)


def test_without_a_refit_filters_are_described_by_the_training_rows(tmp_path: Path, sample: Headlines) -> None:
    """Not by the rows that the figures were measured on."""
    out = tmp_path / "m"
    assert train.main(["--sample", "--out", str(out), *SMALL, "--no-refit"]) == 0
    rows = split(sample.titles, sample.labels, "duplicates", (0.7, 0.15, 0.15), seed=1234).train
    words, counts = single_words(out), word_counts([sample.titles[row] for row in rows])
    assert words
    assert words == {word: counts[word] for word in words}
    assert words != {word: word_counts(sample.titles)[word] for word in words}


@pytest.mark.parametrize(("preset", "method"), [("default", "duplicates"), ("lesson", "random")])
def test_without_a_refit_the_figures_are_those_of_the_folder(
    tmp_path: Path, sample: Headlines, preset: str, method: str
) -> None:
    """Measured again from the folder, on the same split, they come out the same."""
    out = tmp_path / "m"
    flags = ["--preset", preset, "--split", method, "--seed", "7", "--fractions", "0.5", "0.2", "0.3"]
    assert train.main(["--sample", "--out", str(out), "--epochs", "4", "--no-refit", *flags]) == 0
    content, model = performance(out), HeadlineClassifier.from_pretrained(out)
    assert content["shipped"]["rows"] == content["split"]["train"] == 160
    assert not content["shipped"]["refit"]
    test = split(sample.titles, sample.labels, method, (0.5, 0.2, 0.3), seed=7).test
    y_true = model.label_encoder.encode([sample.labels[row] for row in test])
    again = metrics.evaluate(y_true, model.predict_proba([sample.titles[row] for row in test]), model.classes)
    assert again.overall == pytest.approx(content["overall"], abs=1e-6)
    assert again.confusion == content["confusion"]


def test_the_refit_repeats_the_epochs_up_to_the_best(
    tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([0.9, 0.5, 0.8, 0.7])
    monkeypatch.setattr(Trainer, "eval_step", lambda self, dataset: (next(losses), 0.5))
    assert train.main(["--sample", "--out", str(tmp_path / "m"), *SMALL, "--epochs", "4"]) == 0
    assert performance(tmp_path / "m")["shipped"]["epochs"] == 2
    lines = capsys.readouterr().out.splitlines()
    refit = [line for line in lines if line.startswith("Epoch ") and "val_loss" not in line]
    assert [line.split()[1] for line in refit] == ["1/2", "2/2"]


def test_lesson_keeps_its_own_probabilities(tmp_path: Path, trained: Path) -> None:
    """A temperature of 1 is the lesson's softmax; default is calibrated on the validation rows."""
    assert train.main(["--sample", "--preset", "lesson", "--out", str(tmp_path / "m"), "--epochs", "1"]) == 0
    lesson = HeadlineClassifier.from_pretrained(tmp_path / "m")
    assert lesson.temperature == 1
    assert lesson.config == PRESETS["lesson"].replace(epochs=1, batch_size=16)
    assert len(lesson.tokenizer) == 500
    assert HeadlineClassifier.from_pretrained(trained).temperature != 1


def test_the_random_split_is_said(tmp_path: Path, capsys: Output) -> None:
    assert train.main(["--sample", "--out", str(tmp_path / "m"), "--split", "random", *SMALL]) == 0
    assert "Split (random): train 224, validation 48, test 48" in capsys.readouterr().out
    assert performance(tmp_path / "m")["split"]["method"] == "random"
    assert "row by row, as the lesson does" in (tmp_path / "m" / "README.md").read_text()


def test_the_same_seed_gives_the_same_folder(tmp_path: Path, trained: Path) -> None:
    """The times of the epochs differ, and nothing else."""
    assert train.main(["--sample", "--out", str(tmp_path / "m"), *SMALL]) == 0
    again, before = contents(tmp_path / "m"), contents(trained)
    again.pop("performance.json")
    before.pop("performance.json")
    assert again == before


def test_another_seed_gives_other_weights(tmp_path: Path, trained: Path) -> None:
    assert train.main(["--sample", "--out", str(tmp_path / "m"), "--seed", "7", *SMALL]) == 0
    assert (tmp_path / "m" / "model.safetensors").read_bytes() != (trained / "model.safetensors").read_bytes()


def test_a_second_run_replaces_the_folder_whole(tmp_path: Path, trained: Path) -> None:
    out = tmp_path / "m"
    assert train.main(["--sample", "--out", str(out), *SMALL]) == 0
    (out / "figures" / "old.png").write_bytes(b"")
    assert train.main(["--sample", "--out", str(out), *SMALL, "--min-count", "2", "--no-refit"]) == 0
    assert sorted(contents(out)) == sorted(contents(trained))
    assert HeadlineClassifier.from_pretrained(out).config.text.min_count == 2
    assert os.listdir(tmp_path) == ["m"]


def test_a_batch_larger_than_the_data_trains(tmp_path: Path) -> None:
    """The one-cycle schedule of a single step divides by zero."""
    assert train.main(["--sample", "--out", str(tmp_path / "m"), *SMALL, "--epochs", "1", "--batch-size", "9999"]) == 0


def test_everything_on_trains(tmp_path: Path) -> None:
    flags = ["--batch-norm", "--hidden-dim", "5", "--dropout", "0.2", "--char-level", "--schedule", "plateau"]
    assert train.main(["--sample", "--out", str(tmp_path / "m"), *SMALL, *flags, "--patience", "1"]) == 0
    assert HeadlineClassifier.from_pretrained(tmp_path / "m").config.model.batch_norm


# The model card


def test_the_card_says_what_it_learned_from(trained: Path) -> None:
    card = (trained / "README.md").read_text(encoding="utf-8")
    assert "Rows read: 320. Dropped: none. Classes: Business 80, Sci/Tech 80, Sports 80, World 80." in card
    assert f"`{hashlib.sha256(SAMPLE.read_bytes()).hexdigest()}`" in card
    assert "the invented sample headlines that ship with textcnn" in card


def test_the_card_says_how_it_was_measured(trained: Path) -> None:
    card = (trained / "README.md").read_text(encoding="utf-8")
    content = performance(trained)
    assert "Measured on 48 held-out headlines" in card
    assert "Split: copies of one title on one side" in card
    assert "trained again on all 320 readable headlines" in card
    assert f"| all, weighted | {content['overall']['precision']:.3f} |" in card
    assert f"| World | {content['class']['World']['precision']:.3f} |" in card


def test_the_card_has_the_terms_of_a_csv(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(SAMPLE.read_bytes())
    terms = "Titles of a house journal, for use within the house."
    arguments = ["--data", str(tmp_path / "in.csv"), "--about-data", terms, "--out", str(tmp_path / "m"), "--no-refit"]
    assert train.main([*arguments, *SMALL]) == 0
    card = (tmp_path / "m" / "README.md").read_text(encoding="utf-8")
    assert terms in card
    assert "are those of the measured model, from 224 headlines" in card


# The official files


@pytest.fixture
def official(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Make the official files small ones of this machine, at an address of choice."""
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache")
    monkeypatch.setattr(pooch.core.time, "sleep", lambda seconds: None)
    headlines = sources.sample()
    numbers = {"World": 1, "Sports": 2, "Business": 3, "Sci/Tech": 4}
    lines = [f'"{numbers[b]}","{a}","text"\n' for a, b in zip(headlines.titles, headlines.labels, strict=True)]
    contents = {"train": "".join(lines[:280]).encode(), "test": "".join(lines[280:]).encode()}
    with serve() as site:

        def place(url: str) -> None:
            pinned = {
                part: OfficialFile(f"{url or site.url}/{part}.csv", len(content), hashlib.sha256(content).hexdigest())
                for part, content in contents.items()
            }
            site.files.update({f"/{part}.csv": content for part, content in contents.items()})
            monkeypatch.setattr(sources, "OFFICIAL_FILES", pinned)

        yield place


def test_without_data_the_official_files_are_taken(
    official: Callable[[str], None], tmp_path: Path, capsys: Output
) -> None:
    """Their test file is a second, larger judge."""
    official("")
    assert train.main(["--out", str(tmp_path / "m"), *SMALL]) == 0
    out = capsys.readouterr().out
    assert "Read 280 rows from AG News train" in out
    assert "official test" in out
    assert performance(tmp_path / "m")["official_test"]["num_samples"] == 40
    card = (tmp_path / "m" / "README.md").read_text(encoding="utf-8")
    assert "| official test file, weighted |" in card
    assert "research and other non-commercial use" in card


@pytest.mark.usefixtures("never_train")
def test_without_a_network_the_ways_out_are_named(
    official: Callable[[str], None], tmp_path: Path, capsys: Output
) -> None:
    official(f"http://127.0.0.1:{free_port()}")
    assert train.main(["--out", str(tmp_path / "m")]) == 2
    error = capsys.readouterr().err
    assert "--data FILE" in error
    assert "--sample" in error
    assert "Traceback" not in error
    assert not (tmp_path / "m").exists()


# Flags


def resolved(*flags: str) -> Config:
    return train.resolve(train.parse(flags))


def test_presets_are_taken_whole() -> None:
    assert resolved() == PRESETS["default"]
    assert resolved("--preset", "lesson") == PRESETS["lesson"]


def test_the_sample_implies_more_and_smaller_steps_and_no_vectors() -> None:
    assert resolved("--sample") == PRESETS["default"].replace(epochs=20, batch_size=16, vectors=None)
    assert resolved("--sample", "--epochs", "3").train.epochs == 3


@pytest.mark.parametrize(
    ("flags", "setting"),
    [
        (["--epochs", "3"], {"epochs": 3}),
        (["--learning-rate", "1e-4"], {"learning_rate": 1e-4}),
        (["--filter-sizes", "2", "5"], {"filter_sizes": (2, 5)}),
        (["--fractions", "0.5", "0.3", "0.2"], {"fractions": (0.5, 0.3, 0.2)}),
        (["--hidden-dim", "12"], {"hidden_dim": 12}),
        (["--weight-average", "none"], {"weight_average": None}),
        (["--embedding-dim", "None", "--embedding-dropout", "0"], {"embedding_dim": None, "embedding_dropout": 0.0}),
        (["--patience", "4"], {"patience": 4}),
        (["--no-refit"], {"refit": False}),
        (["--batch-norm"], {"batch_norm": True}),
        (["--char-level"], {"char_level": True}),
        (["--cleaning", "lesson"], {"cleaning": "lesson"}),
        (["--split", "random"], {"split": "random"}),
    ],
    ids=str,
)
def test_a_flag_overrides_the_preset(flags: list[str], setting: dict[str, Any]) -> None:
    assert resolved(*flags) == PRESETS["default"].replace(**setting)


@pytest.mark.parametrize("flag", [["--num-tokens", "none"], ["--hidden-dim", "none"], ["--patience", "none"]], ids=str)
def test_none_takes_back_what_the_preset_sets(flag: list[str]) -> None:
    name = flag[0][2:].replace("-", "_")
    assert resolved("--preset", "lesson", *flag) == PRESETS["lesson"].replace(**{name: None})


def test_each_setting_has_a_flag(capsys: Output) -> None:
    with pytest.raises(SystemExit, match="0"):
        train.parse(["--help"])
    text = capsys.readouterr().out
    for part in PRESETS["default"].to_dict().values():
        for name in part if isinstance(part, dict) else ():
            assert f"--{name.replace('_', '-')}" in text


def test_artifacts_go_to_a_folder_of_the_presets_name() -> None:
    assert train.parse([]).out == Path("models/default")
    assert train.parse(["--preset", "lesson"]).out == Path("models/lesson")


@pytest.mark.usefixtures("never_train")
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--epochs", "0"], "epochs is 0"),
        (["--epochs", "many"], "argument --epochs: invalid int value: 'many'"),
        (["--dropout", "1"], "dropout is 1.0"),
        (["--num-tokens", "2"], "num_tokens is 2"),
        (["--hidden-dim", "nine"], "argument --hidden-dim: invalid int or none value: 'nine'"),
        (["--filter-sizes", "1", "1"], "each size may stand there once"),
        (["--filter-sizes"], "argument --filter-sizes: expected at least one argument"),
        (["--fractions", "0.5", "0.5"], "three numbers above 0 that sum to 1"),
        (["--fractions", "0.5", "0.4", "0.2"], "three numbers above 0 that sum to 1"),
        (["--fractions", "nan", "0.5", "0.5"], "fractions"),
        (["--embedding-dim", "none"], "embedding_dropout is 0.3, but embedding_dim is None"),
        (["--activation", "tanh"], "activation is 'tanh': allowed are relu, none"),
        (["--split", "chrono"], "split is 'chrono': allowed are duplicates, random"),
        (["--seed", "-1"], "seed is -1"),
        (["--seed", str(2**32)], "seed"),
        (["--device", "tpu"], "device is 'tpu': on this machine there is "),
        (["--preset", "best"], "argument --preset: invalid choice: 'best'"),
        (["--colour", "red"], "unrecognized arguments: --colour red"),
        (["--data", "x.csv"], "not allowed with argument"),
    ],
    ids=str,
)
def test_a_wrong_flag_is_named_with_status_2(tmp_path: Path, capsys: Output, flags: list[str], message: str) -> None:
    try:
        status: Any = train.main(["--sample", "--out", str(tmp_path / "m"), *flags])
    except SystemExit as stop:
        status = stop.code
    error = capsys.readouterr().err
    assert status == 2
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "m").exists()


# Data that cannot be learned from


@pytest.mark.usefixtures("never_train")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "in.csv is empty: a header"),
        ("title,category\n", "has 0 usable rows"),
        ("title,label\nOil,A\n", "has no column category: found ['title', 'label']"),
        ("title,category\nOil,A\nGas,A\n", "2 usable rows of the classes ['A']"),
        ("title,category\nOil,A\nGas,A\nGoal,B\nDraw,B\n", "Too few distinct titles"),
        ("title,category\n" + "Oil,A\nGoal,B\n" * 50, "Too few distinct titles"),
        ("title,category\nCaf\u00e9,A\nGoal,B\n", "is not utf-8 text: byte 0xe9"),
    ],
)
def test_data_that_cannot_be_used_is_named_with_status_2(
    tmp_path: Path, capsys: Output, content: str, message: str
) -> None:
    (tmp_path / "in.csv").write_bytes(content.encode("cp1252"))
    assert train.main(["--data", str(tmp_path / "in.csv"), "--out", str(tmp_path / "m"), "--vectors", "none"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "m").exists()


def test_a_missing_file_is_named_with_status_2(tmp_path: Path, capsys: Output) -> None:
    assert train.main(["--data", str(tmp_path / "none.csv"), "--out", str(tmp_path / "m")]) == 2
    assert "none.csv: give the path of a CSV" in capsys.readouterr().err


def test_titles_without_words_are_named_with_status_2(tmp_path: Path, capsys: Output) -> None:
    """Under the lesson's cleaning a Chinese title has no word left."""
    lines = [f"{'北京股市大跌'[: i % 5 + 1]} {'!' * i},{'AB'[i % 2]}\n" for i in range(100)]
    (tmp_path / "in.csv").write_text("title,category\n" + "".join(lines), encoding="utf-8")
    arguments = ["--data", str(tmp_path / "in.csv"), "--out", str(tmp_path / "m"), "--split", "random"]
    assert train.main([*arguments, "--preset", "lesson"]) == 2
    assert "No headline has a word" in capsys.readouterr().err


def test_titles_without_a_word_are_left_out_and_counted(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(SAMPLE.read_text(encoding="utf-8") + "?!,World\n...,World\n", encoding="utf-8")
    assert train.main(["--data", str(tmp_path / "in.csv"), "--out", str(tmp_path / "m"), *SMALL]) == 0
    shipped = performance(tmp_path / "m")["shipped"]
    assert (shipped["rows"], shipped["no_words"]) == (320, 2)


@pytest.mark.parametrize(
    "flags", [["--learning-rate", "999"], ["--learning-rate", "999", "--preset", "lesson"]], ids=str
)
def test_a_training_that_goes_astray_ends_without_a_traceback(tmp_path: Path, capsys: Output, flags: list[str]) -> None:
    assert train.main(["--sample", "--out", str(tmp_path / "m"), "--epochs", "2", *flags]) in (0, 2)
    assert "Traceback" not in capsys.readouterr().err


# What is in the way


@pytest.mark.usefixtures("never_train")
def test_foreign_files_are_refused_before_the_training(tmp_path: Path, capsys: Output) -> None:
    """Found out at the end, it would cost the result."""
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "thesis.txt").write_text("mine")
    assert train.main(["--sample", "--out", str(tmp_path / "m")]) == 2
    assert "files that are not artifacts (thesis.txt)" in capsys.readouterr().err
    assert contents(tmp_path / "m") == {"thesis.txt": b"mine"}


@pytest.mark.usefixtures("never_train")
def test_a_file_in_the_way_is_refused_before_the_training(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "m").write_text("mine")
    for out in (tmp_path / "m", tmp_path / "m" / "n"):
        assert train.main(["--sample", "--out", str(out)]) == 2
        assert capsys.readouterr().err.startswith("error: ")
    assert (tmp_path / "m").read_text() == "mine"


@pytest.mark.parametrize("step", ["fit_rows", "measure", "figures"])
def test_an_interrupted_training_leaves_the_old_folder(
    tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    arguments = ["--sample", "--out", str(tmp_path / "m"), *SMALL]
    assert train.main(arguments) == 0
    before = contents(tmp_path / "m")

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, step, interrupt)
    assert train.main([*arguments, "--seed", "7"]) == 130
    assert capsys.readouterr().err.endswith("Interrupted: no artifacts were written, earlier ones are as they were.\n")
    assert contents(tmp_path / "m") == before
    assert os.listdir(tmp_path) == ["m"]


@pytest.mark.long
@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT])
def test_a_training_killed_at_any_moment_leaves_a_complete_folder(tmp_path: Path, kind: signal.Signals) -> None:
    """As a process: the earlier folder, byte for byte, or the finished new one."""
    out = tmp_path / "m"
    command = [sys.executable, "-u", "train.py", "--sample", "--out", str(out), *SMALL]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    before = contents(out)
    draw = random.Random(0)
    unfinished = 0
    for _ in range(10):
        process = subprocess.Popen(
            [*command, "--seed", "7"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell that runs the tests in the background has them ignore the signal, and so their children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("Read 320 rows")
        time.sleep(draw.uniform(0, 2.5))
        process.send_signal(kind)
        output, error = process.communicate()
        assert HeadlineClassifier.from_pretrained(out).predict(STOCKS).label
        if "Artifacts: " in output:  # it was faster
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
            continue
        unfinished += 1
        if kind == signal.SIGINT:
            assert process.returncode == 130, error
            assert error.endswith("Interrupted: no artifacts were written, earlier ones are as they were.\n")
            assert "Traceback" not in error
        after = contents(out)
        before.pop("performance.json", None)  # its times differ from run to run
        after.pop("performance.json")
        if after != before:  # killed after the new folder had come into place
            assert HeadlineClassifier.from_pretrained(out).config.train.seed == 7
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert unfinished >= 3
