"""The artifact folder: written whole or not at all, read strictly."""

import hashlib
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.conftest import AWKWARD, ROOT, STOCKS
from textcnn import PRESETS, ArtifactError, Config, HeadlineClassifier, artifacts, pipeline, sources
from textcnn.training import fit

HASHED = ["label_encoder.json", "tokenizer.json", "model.safetensors", "filters.json"]
Damage = Callable[[Path], Any]


def make(config: Config, **settings: Any) -> HeadlineClassifier:
    headlines = sources.sample()
    config = config.replace(epochs=1, num_filters=4, refit=False, vectors=None)
    fitted = fit(headlines.titles, headlines.labels, config)
    filters = pipeline.filters(fitted, pipeline.select(headlines))
    return HeadlineClassifier.from_fit(fitted, config, **{"filters": filters, **settings})


@pytest.fixture(scope="module")
def first() -> HeadlineClassifier:
    config = PRESETS["default"].replace(embedding_dim=4, vectors=None)
    return make(config, temperature=1.25, picture_scale=3.5, performance={"overall": {"f1": 0.5}})


@pytest.fixture(scope="module")
def second() -> HeadlineClassifier:
    """Another model of the same shape."""
    return make(PRESETS["default"].replace(embedding_dim=4, vectors=None, seed=7))


@pytest.fixture
def folder(first: HeadlineClassifier, tmp_path: Path) -> Path:
    return first.save_pretrained(tmp_path / "model", card="# A card\n", figures={"a.png": b"\x89PNG"})


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def rehash(folder: Path) -> None:
    """Make config.json name the files as they are, as somebody who edits a model would."""
    settings = json.loads((folder / "config.json").read_text())
    settings["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in HASHED}
    (folder / "config.json").write_text(json.dumps(settings))


def change(path: Path, *keys_and_value: Any) -> None:
    """Set one value of a JSON file, and name the file anew."""
    content = json.loads(path.read_text(encoding="utf-8"))
    *keys, last, value = keys_and_value
    place = content
    for key in keys:
        place = place[key]
    place[last] = value
    path.write_text(json.dumps(content), encoding="utf-8")
    rehash(path.parent)


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors")
    rehash(folder)


# Round trip


@pytest.mark.parametrize(
    "config",
    [
        PRESETS["lesson"],
        PRESETS["lesson"].replace(char_level=True, num_tokens=30),
        PRESETS["default"].replace(embedding_dim=4, vectors=None),
        PRESETS["default"].replace(
            embedding_dim=6,
            hidden_dim=5,
            batch_norm=True,
            filter_sizes=(3, 1),
            activation="none",
            min_count=2,
            vectors=None,
        ),
    ],
    ids=["lesson", "characters", "default", "everything"],
)
def test_what_is_loaded_answers_as_what_was_saved(tmp_path: Path, config: Config) -> None:
    """To 1e-6 on a second round; the first stores the embedding as float16."""
    saved = make(config, temperature=0.75, picture_scale=2.5, performance={"a": [1, None, "é"]})
    once = HeadlineClassifier.from_pretrained(saved.save_pretrained(tmp_path / "once"))
    twice = HeadlineClassifier.from_pretrained(once.save_pretrained(tmp_path / "twice"))
    titles = [*AWKWARD, STOCKS]
    np.testing.assert_allclose(once.predict_proba(titles), saved.predict_proba(titles), atol=2e-3)
    np.testing.assert_array_equal(twice.predict_proba(titles), once.predict_proba(titles))
    assert once.predict(titles[:14]) == twice.predict(titles[:14])
    assert (once.config, once.tokenizer, once.classes) == (saved.config, saved.tokenizer, saved.classes)
    assert (once.temperature, once.picture_scale) == (0.75, 2.5)
    assert once.performance == {"a": [1, None, "é"]}
    assert len(saved.filters) == 4 * len(config.model.filter_sizes)
    assert once.filters == twice.filters == saved.filters


def test_saving_changes_nothing_in_the_model(first: HeadlineClassifier, tmp_path: Path) -> None:
    before = {name: tensor.clone() for name, tensor in first.model.state_dict().items()}
    first.save_pretrained(tmp_path / "model")
    after = first.model.state_dict()
    assert all(torch.equal(before[name], after[name]) and before[name].dtype == after[name].dtype for name in before)


def test_the_folder_holds_these_files(folder: Path) -> None:
    found = sorted(contents(folder))
    assert found == [
        "README.md",
        "config.json",
        "figures/a.png",
        "filters.json",
        "label_encoder.json",
        "model.safetensors",
        "performance.json",
        "tokenizer.json",
    ]
    assert (folder / "README.md").read_text() == "# A card\n"


def test_the_folder_can_be_read_by_others(folder: Path) -> None:
    """A temporary folder is its maker's alone; the artifacts are not."""
    assert folder.stat().st_mode & 0o777 == 0o755


def test_no_file_is_a_pickle(folder: Path) -> None:
    for name, content in contents(folder).items():
        assert name.endswith((".json", ".safetensors", ".md", ".png"))
        if name.endswith(".json"):
            json.loads(content)
    # The header of a safetensors file: its length, then JSON.
    weights = (folder / "model.safetensors").read_bytes()
    assert "embedding.weight" in json.loads(weights[8 : 8 + int.from_bytes(weights[:8], "little")])


def test_config_names_each_file_that_an_answer_depends_on(folder: Path) -> None:
    settings = json.loads((folder / "config.json").read_text())
    assert settings["files"] == {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in ("label_encoder.json", "tokenizer.json", "model.safetensors", "filters.json")
    }
    assert settings["format_version"] == 2
    assert settings["classes"] == ["Business", "Sci/Tech", "Sports", "World"]
    assert (settings["temperature"], settings["picture_scale"]) == (1.25, 3.5)


def test_the_resolved_configuration_is_in_config(folder: Path, first: HeadlineClassifier) -> None:
    assert Config.from_dict(json.loads((folder / "config.json").read_text())["config"]) == first.config


def test_the_embedding_is_stored_in_16_bits(folder: Path) -> None:
    assert load_file(folder / "model.safetensors")["embedding.weight"].dtype == torch.float16
    model = artifacts.load(folder).model
    assert {tensor.dtype for tensor in model.parameters()} == {torch.float32}


def test_card_and_figures_may_be_edited(folder: Path) -> None:
    (folder / "README.md").write_text("mine")
    shutil.rmtree(folder / "figures")
    assert artifacts.load(folder).temperature == 1.25


@pytest.mark.parametrize("name", ["default", "lesson"])
def test_the_bundled_models_are_small(name: str) -> None:
    folder = ROOT / "artifacts" / name
    assert sum(map(len, contents(folder).values())) <= 10_000_000


# Read strictly


def _absent(path: Path) -> None:
    path.unlink()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _first_byte_changed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)


def _text(path: Path) -> None:
    path.write_text("no JSON at all")


def _other_bytes(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 3)


def _a_list(path: Path) -> None:
    path.write_text("[1, 2]")


def _a_number(path: Path) -> None:
    path.write_text("5")


def _many_digits(path: Path) -> None:
    path.write_text("1" * 5000)


def _deep_list(path: Path) -> None:
    path.write_text("[" * 100_000 + "]" * 100_000)


def _deep_object(path: Path) -> None:
    path.write_text('{"a":' * 800 + "1" + "}" * 800)


def _a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES = [
    *(_absent, _empty, _cut_short, _first_byte_changed, _text, _other_bytes, _a_list, _a_number, _many_digits),
    *(_deep_list, _deep_object, _a_folder),
]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["config.json", *HASHED])
def test_a_damaged_file_is_named(folder: Path, name: str, damage: Damage) -> None:
    damage(folder / name)
    with pytest.raises(ArtifactError, match=name.replace(".", r"\.")):
        artifacts.load(folder)


@pytest.mark.parametrize("damage", [damage for damage in DAMAGES if damage not in (_absent, _a_folder)])
@pytest.mark.parametrize("name", HASHED)
def test_a_damaged_file_whose_checksum_was_mended_is_named(folder: Path, name: str, damage: Damage) -> None:
    """The checksum is the first guard, not the only one."""
    damage(folder / name)
    rehash(folder)
    with pytest.raises(ArtifactError, match=name.replace(".", r"\.")):
        artifacts.load(folder)


@pytest.mark.parametrize("damage", [damage for damage in DAMAGES if damage not in (_absent, _deep_object)])
def test_a_damaged_performance_is_named(folder: Path, damage: Damage) -> None:
    damage(folder / "performance.json")
    with pytest.raises(ArtifactError, match=r"performance\.json"):
        artifacts.load(folder)


def test_a_model_that_was_not_measured_loads(folder: Path) -> None:
    (folder / "performance.json").unlink()
    assert artifacts.load(folder).performance is None


@pytest.mark.parametrize("name", HASHED)
def test_any_single_changed_byte_is_found(folder: Path, name: str) -> None:
    original = (folder / name).read_bytes()
    for place in random.Random(0).sample(range(len(original)), 40):
        changed = bytearray(original)
        changed[place] ^= 0x10
        (folder / name).write_bytes(changed)
        with pytest.raises(ArtifactError, match=f"{name} .* is not the file that config.json names"):
            artifacts.load(folder)


def test_the_weights_of_another_model_are_refused(folder: Path, second: HeadlineClassifier, tmp_path: Path) -> None:
    """They would fit in every shape."""
    other = second.save_pretrained(tmp_path / "other")
    shutil.copy(other / "model.safetensors", folder)
    with pytest.raises(ArtifactError, match=r"model\.safetensors .* is not the file that config\.json names"):
        artifacts.load(folder)


@pytest.mark.parametrize("name", ["config.json", *HASHED])
def test_a_file_of_another_kind_of_model_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    headlines = sources.sample()
    config = PRESETS["lesson"].replace(epochs=1)
    fitted = fit(headlines.titles, ["x" + label for label in headlines.labels], config)
    other = HeadlineClassifier.from_fit(fitted, config).save_pretrained(tmp_path / "other")
    shutil.copy(other / name, folder)
    with pytest.raises(ArtifactError, match=r"config\.json"):
        artifacts.load(folder)


def test_classes_that_are_not_those_of_config_are_refused(folder: Path) -> None:
    classes = {"Business": 0, "Tech": 1, "Sports": 2, "World": 3}
    change(folder / "label_encoder.json", "class_to_index", classes)
    with pytest.raises(ArtifactError, match=r"label_encoder\.json .*Tech.*the files are of different models"):
        artifacts.load(folder)


def test_a_vocabulary_that_does_not_fit_the_weights_is_refused(folder: Path) -> None:
    """Its checksum was mended, so that the shapes must tell."""
    tokens = json.loads((folder / "tokenizer.json").read_text())["tokens"]
    change(folder / "tokenizer.json", "tokens", tokens[:-1])
    match = rf"model\.safetensors .* does not fit tokenizer\.json \({len(tokens) - 1:,} tokens\).*embedding\.weight"
    with pytest.raises(ArtifactError, match=match):
        artifacts.load(folder)


def test_a_class_too_many_for_the_weights_is_refused(folder: Path) -> None:
    classes = ["Business", "Sci/Tech", "Sports", "World", "Z"]
    change(folder / "label_encoder.json", "class_to_index", {name: i for i, name in enumerate(classes)})
    change(folder / "config.json", "classes", classes)
    with pytest.raises(ArtifactError, match=r"model\.safetensors .*5 classes.*output\.bias has shape \(4,\)"):
        artifacts.load(folder)


def test_missing_weights_are_refused(folder: Path) -> None:
    change_weights(folder, lambda weights: weights.pop("output.bias"))
    with pytest.raises(ArtifactError, match=r"model\.safetensors .*output\.bias has no such tensor"):
        artifacts.load(folder)


def test_extra_weights_are_refused(folder: Path) -> None:
    change_weights(folder, lambda weights: weights.update(extra=torch.zeros(2)))
    with pytest.raises(
        ArtifactError, match=r"model\.safetensors .*extra has shape \(2,\) of float32, expected is no such tensor"
    ):
        artifacts.load(folder)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_refused(folder: Path, value: float) -> None:
    change_weights(folder, lambda weights: weights["output.weight"][0].fill_(value))
    with pytest.raises(ArtifactError, match=r"model\.safetensors .*not finite"):
        artifacts.load(folder)


def test_a_pad_row_that_is_not_zero_is_refused(folder: Path) -> None:
    change_weights(folder, lambda weights: weights["embedding.weight"][0, 1].fill_(0.5))
    with pytest.raises(ArtifactError, match=r"model\.safetensors.*row of PAD is not zero"):
        artifacts.load(folder)


def test_a_pad_row_that_is_not_zero_is_refused_in_a_one_hot_model(tmp_path: Path) -> None:
    folder = make(PRESETS["lesson"]).save_pretrained(tmp_path / "lesson")
    change_weights(folder, lambda weights: weights["convs.0.weight"][0, 0, 1].fill_(0.5))
    with pytest.raises(ArtifactError, match=r"model\.safetensors.*row of PAD is not zero"):
        artifacts.load(folder)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64], ids=str)
@pytest.mark.parametrize("name", ["embedding.weight", "output.bias"])
def test_weights_that_are_no_real_numbers_are_refused(folder: Path, name: str, dtype: torch.dtype) -> None:
    change_weights(folder, lambda weights: weights.update({name: weights[name].to(dtype)}))
    with pytest.raises(ArtifactError, match=r"model\.safetensors"):
        artifacts.load(folder)


@pytest.mark.parametrize("version", [0, 1, 3, "2", None])
def test_another_format_version_is_refused(folder: Path, version: Any) -> None:
    change(folder / "config.json", "format_version", version)
    with pytest.raises(ArtifactError, match=rf"config\.json .*format version {version}, .*reads 2: train again"):
        artifacts.load(folder)


def test_the_config_of_another_program_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text('{"architectures": ["BertModel"], "files": {}}')
    with pytest.raises(ArtifactError, match=r"config\.json .* is not of a textcnn model"):
        artifacts.load(folder)


@pytest.mark.parametrize("name", ["temperature", "picture_scale"])
@pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf, "1", True, None, [1]], ids=lambda value: str(value)[:8])
def test_a_temperature_or_scale_that_is_no_positive_number_is_refused(folder: Path, name: str, value: Any) -> None:
    change(folder / "config.json", name, value)
    with pytest.raises(ArtifactError, match=rf"config\.json .*{name} is .*a number above 0 is expected"):
        artifacts.load(folder)


@pytest.mark.parametrize("value", [10**400, 1e-300], ids=["too large", "too small"])
def test_a_temperature_beyond_what_can_be_computed_is_refused(folder: Path, value: Any) -> None:
    """Nothing divided by it is a number."""
    change(folder / "config.json", "temperature", value)
    with pytest.raises(ArtifactError, match=r"config\.json .*temperature"):
        artifacts.load(folder)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("model", "embedding_dim"), "4"),
        (("model", "embedding_dim"), 10**13),
        (("model", "embedding_dim"), 10**30),
        (("model", "num_filters"), 10**30),
        (("model", "filter_sizes"), None),
        (("model", "filter_sizes"), [1, 2, 10**30]),
        (("model", "dropout"), None),
        (("model", "batch_norm"), True),
        (("model", "unknown"), 1),
        (("text", "cleaning"), "other"),
        (("text",), []),
        (("train",), None),
        (("extra",), 1),
    ],
    ids=str,
)
def test_settings_that_cannot_be_are_refused(folder: Path, place: tuple[str, ...], value: Any) -> None:
    change(folder / "config.json", "config", *place, value)
    with pytest.raises(ArtifactError, match=r"config\.json"):
        artifacts.load(folder)


@pytest.mark.parametrize("key", ["files", "classes", "config"])
@pytest.mark.parametrize("value", [None, [], {}, "x", 5], ids=str)
def test_a_part_of_config_of_the_wrong_type_is_refused(folder: Path, key: str, value: Any) -> None:
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**content, key: value}))
    with pytest.raises(ArtifactError, match=r"config\.json"):
        artifacts.load(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tokens", None),
        ("tokens", "<PAD>"),
        ("tokens", [1, 2]),
        ("tokens", ["<PAD>", "<UNK>", "a", "a"]),
        ("tokens", ["<UNK>", "<PAD>", "a"]),
        ("cleaning", "other"),
        ("stop_words", None),
        ("stop_words", "abc"),
        ("stop_words", [1, 2]),
        ("char_level", "no"),
        ("char_level", None),
        ("num_tokens", "500"),
        ("min_token_freq", "x"),
        ("extra", 1),
    ],
    ids=str,
)
def test_a_tokenizer_with_a_value_of_the_wrong_type_is_refused(folder: Path, key: str, value: Any) -> None:
    change(folder / "tokenizer.json", key, value)
    with pytest.raises(ArtifactError, match=r"tokenizer\.json"):
        artifacts.load(folder)


@pytest.mark.parametrize(
    "value", [None, [], {}, {"A": 0}, {"A": 1, "B": 0}, {"A": 0, "B": 2}, {"A": "0", "B": "1"}], ids=str
)
def test_a_label_encoder_that_is_none_is_refused(folder: Path, value: Any) -> None:
    change(folder / "label_encoder.json", "class_to_index", value)
    with pytest.raises(ArtifactError, match=r"label_encoder\.json .*numbered from 0 in order"):
        artifacts.load(folder)


def test_a_model_without_summaries_of_its_filters_comes_back_without(tmp_path: Path) -> None:
    folder = make(PRESETS["lesson"], filters=()).save_pretrained(tmp_path / "model")
    assert (folder / "filters.json").read_text() == "[]\n"
    assert HeadlineClassifier.from_pretrained(folder).filters == ()


OTHER_FILTERS: dict[str, Callable[[list[Any]], Any]] = {
    "one too few": lambda filters: filters[:-1],
    "one too many": lambda filters: [*filters, filters[-1]],
    "another order": lambda filters: filters[::-1],
    "another size": lambda filters: [{**filters[0], "size": 4}, *filters[1:]],
}


@pytest.mark.parametrize("change", OTHER_FILTERS.values(), ids=OTHER_FILTERS)
def test_the_filters_of_another_model_are_refused(folder: Path, change: Callable[[list[Any]], Any]) -> None:
    """Their checksum was mended, so that their sizes must tell."""
    path = folder / "filters.json"
    path.write_text(json.dumps(change(json.loads(path.read_text(encoding="utf-8")))))
    rehash(folder)
    with pytest.raises(ArtifactError, match=r"filters\.json .* is of another model: .*not those of config\.json"):
        artifacts.load(folder)


def test_the_filters_of_another_model_of_the_same_shape_are_refused(
    folder: Path, second: HeadlineClassifier, tmp_path: Path
) -> None:
    """They would fit in number and size."""
    other = second.save_pretrained(tmp_path / "other")
    shutil.copy(other / "filters.json", folder)
    with pytest.raises(ArtifactError, match=r"filters\.json .* is not the file that config\.json names"):
        artifacts.load(folder)


@pytest.mark.parametrize("place", [(), (0, "ngrams"), (0, "ngrams", 0), (0, "pushes")], ids=str)
@pytest.mark.parametrize("value", [None, "x", 5, True, {"a": "b"}], ids=str)
def test_filters_with_a_part_of_the_wrong_type_are_refused(folder: Path, place: tuple[Any, ...], value: Any) -> None:
    if place:
        change(folder / "filters.json", *place, value)
    else:
        (folder / "filters.json").write_text(json.dumps(value))
        rehash(folder)
    with pytest.raises(ArtifactError, match=r"filters\.json"):
        artifacts.load(folder)


def test_an_absent_folder_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"There is no artifact folder .*none: train one with train\.py"):
        artifacts.load(tmp_path / "none")


def test_a_file_is_no_artifact_folder(folder: Path) -> None:
    with pytest.raises(ArtifactError, match="There is no artifact folder"):
        artifacts.load(folder / "config.json")


@pytest.mark.parametrize("use", [artifacts.load, artifacts.check_target])
def test_a_name_too_long_for_the_file_system_is_no_folder(tmp_path: Path, use: Callable[[Path], Any]) -> None:
    """Somebody gives the headline where the model belongs."""
    with pytest.raises(ArtifactError):
        use(tmp_path / ("a headline of some length " * 20))


# Where it may be written


def test_a_target_that_is_a_file_is_refused_and_kept(tmp_path: Path, first: HeadlineClassifier) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ArtifactError, match=r"notes\.txt is a file: give a folder"):
        first.save_pretrained(tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_target_under_a_file_is_refused(tmp_path: Path, first: HeadlineClassifier) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ArtifactError, match=r"notes\.txt cannot be written: .*Give another folder"):
        first.save_pretrained(tmp_path / "notes.txt" / "model")


@pytest.mark.parametrize("foreign", ["notes.txt", ".env", "weights.pt", "data"])
def test_foreign_files_are_refused_and_kept(folder: Path, second: HeadlineClassifier, foreign: str) -> None:
    """An old model with somebody's file beside it is not replaced."""
    if foreign == "data":
        (folder / foreign).mkdir()
        (folder / foreign / "x").write_text("mine")
    else:
        (folder / foreign).write_text("mine")
    before = contents(folder)
    with pytest.raises(ArtifactError, match=f"not artifacts .*{foreign}.*would be lost"):
        second.save_pretrained(folder)
    assert contents(folder) == before


def test_a_folder_with_a_readme_alone_is_refused_and_kept(tmp_path: Path, first: HeadlineClassifier) -> None:
    """The name of one of ours does not make a folder ours."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "README.md").write_text("mine")
    with pytest.raises(ArtifactError, match=r"is not empty and has no config\.json"):
        first.save_pretrained(tmp_path / "project")
    assert (tmp_path / "project" / "README.md").read_text() == "mine"


@pytest.mark.parametrize("name", ["new", "empty", "deep/er/new"])
def test_new_and_empty_folders_are_written(tmp_path: Path, first: HeadlineClassifier, name: str) -> None:
    (tmp_path / "empty").mkdir()
    assert first.save_pretrained(tmp_path / name) == tmp_path / name
    assert artifacts.load(tmp_path / name).temperature == 1.25


def test_the_check_alone_writes_nothing(tmp_path: Path) -> None:
    artifacts.check_target(tmp_path / "new")
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["model", "run[1]", "m.new-2", ".hidden", "*", "a b é"])
def test_a_second_save_replaces_the_folder_whole(tmp_path: Path, first, second, name: str) -> None:
    """Nothing of the first stays, in the folder or beside it, whatever its name."""
    folder = first.save_pretrained(tmp_path / name, card="# Old\n", figures={"old.png": b""})
    second.save_pretrained(folder)
    assert sorted(contents(folder)) == sorted(["config.json", *HASHED])
    assert HeadlineClassifier.from_pretrained(folder).config.train.seed == 7
    assert names(tmp_path) == [name]


def test_a_link_to_a_folder_stays_a_link(folder: Path, second: HeadlineClassifier) -> None:
    link = folder.parent / "current"
    link.symlink_to(folder)
    second.save_pretrained(link)
    assert link.is_symlink()
    assert artifacts.load(folder).config.train.seed == 7


# Written whole or not at all


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()], ids=repr
)
@pytest.mark.parametrize("step", ["weights", "config", "card", "first rename", "second rename"])
def test_a_save_that_fails_leaves_the_old_folder(
    folder: Path, second: HeadlineClassifier, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    before = contents(folder)
    _fail(monkeypatch, step, error)
    with pytest.raises(ArtifactError if isinstance(error, OSError) else type(error)):
        second.save_pretrained(folder, card="# New\n")
    assert contents(folder) == before
    assert names(folder.parent) == ["model"]


def test_a_full_disk_is_said_in_words(
    folder: Path, second: HeadlineClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fail(monkeypatch, "weights", OSError(28, "No space left on device"))
    with pytest.raises(
        ArtifactError, match=r"model cannot be written \(No space left on device\): nothing was changed"
    ):
        second.save_pretrained(folder)


def _fail(monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException) -> None:
    """Make one step of a save raise; the step after a failed second rename works again."""
    calls = {"renames": 0}
    rename, write_bytes, write_text, write_json = os.rename, Path.write_bytes, Path.write_text, artifacts.write_json

    def failing_rename(source: Any, target: Any) -> None:
        calls["renames"] += 1
        if step == ("first rename", "second rename", "")[min(calls["renames"] - 1, 2)]:
            raise error
        rename(source, target)

    def failing_bytes(self: Path, content: bytes) -> int:
        if step == "weights" and self.name == "model.safetensors":
            write_bytes(self, content[:100])
            raise error
        return write_bytes(self, content)

    def failing_text(self: Path, *args: Any, **settings: Any) -> int:
        if step == "card" and self.name == "README.md":
            raise error
        return write_text(self, *args, **settings)

    def failing_json(path: Path, content: Any) -> None:
        if step == "config" and path.name == "config.json":
            raise error
        write_json(path, content)

    monkeypatch.setattr(os, "rename", failing_rename)
    monkeypatch.setattr(Path, "write_bytes", failing_bytes)
    monkeypatch.setattr(Path, "write_text", failing_text)
    monkeypatch.setattr(artifacts, "write_json", failing_json)


def test_a_load_after_a_crash_between_the_renames_recovers(folder: Path) -> None:
    """The old folder was moved aside, and the new one never came."""
    before = contents(folder)
    folder.rename(folder.parent / ".model.old-abc")
    assert artifacts.load(folder).temperature == 1.25
    assert contents(folder) == before
    assert names(folder.parent) == ["model"]


@pytest.mark.parametrize("name", ["run[1]", "m.new-2"])
def test_a_crash_between_the_renames_is_recovered_under_any_name(
    first: HeadlineClassifier, second: HeadlineClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = first.save_pretrained(tmp_path / name)
    rename = os.rename

    def only_aside(source: Any, target: Any) -> None:
        if Path(source) != folder:
            raise SystemExit("killed")
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", only_aside)
        with pytest.raises(SystemExit):
            second.save_pretrained(folder)
    assert not folder.exists()
    assert artifacts.load(folder).temperature == 1.25


def test_the_newest_of_two_crashes_is_recovered(folder: Path, second: HeadlineClassifier) -> None:
    newer = second.save_pretrained(folder.parent / "newer")
    folder.rename(folder.parent / ".model.old-zzz")
    newer.rename(folder.parent / ".model.old-aaa")
    os.utime(folder.parent / ".model.old-zzz", (1, 1))
    assert artifacts.load(folder).config.train.seed == 7


def test_what_a_crash_left_is_read_where_it_lies_if_it_cannot_be_moved(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system that can only be read."""
    folder.rename(folder.parent / ".model.old-abc")

    def refuse(*_: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "rename", refuse)
    assert artifacts.load(folder).temperature == 1.25


def test_what_a_crash_left_of_another_model_is_not_taken(folder: Path) -> None:
    folder.rename(folder.parent / ".model2.old-abc")
    with pytest.raises(ArtifactError, match="There is no artifact folder"):
        artifacts.load(folder)


def test_the_next_save_clears_what_crashes_left(folder: Path, second: HeadlineClassifier) -> None:
    """The half-written folder of a save that still runs is left alone."""
    for left in (".model.old-abc", ".model.new-old", ".model.new-running", ".model2.old-abc"):
        shutil.copytree(folder, folder.parent / left)
    os.utime(folder.parent / ".model.new-old", (1, 1))
    second.save_pretrained(folder)
    assert names(folder.parent) == [".model.new-running", ".model2.old-abc", "model"]


# Minutes


@pytest.mark.long
def test_a_save_killed_at_any_moment_leaves_a_complete_model(
    first: HeadlineClassifier, second: HeadlineClassifier, tmp_path: Path
) -> None:
    """A process saves two models in turn, and is killed; what is there is one of the two, whole."""
    one = first.save_pretrained(tmp_path / "one")
    two = second.save_pretrained(tmp_path / "two")
    answers = [HeadlineClassifier.from_pretrained(folder).predict_proba([STOCKS]).tolist() for folder in (one, two)]
    target = first.save_pretrained(tmp_path / "target" / "model")
    script = f"""
        import itertools
        from textcnn import HeadlineClassifier
        models = [HeadlineClassifier.from_pretrained(name) for name in ({str(one)!r}, {str(two)!r})]
        print("saving", flush=True)
        for model in itertools.cycle(models):
            model.save_pretrained({str(target)!r}, card="# Card")
    """
    draw = random.Random(0)
    seen = set()
    for _ in range(25):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, cwd=ROOT, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "saving\n"
        time.sleep(draw.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        answer = HeadlineClassifier.from_pretrained(target).predict_proba([STOCKS]).tolist()
        assert answer in answers
        seen.add(answers.index(answer))
    assert seen == {0, 1}


@pytest.mark.long
@pytest.mark.parametrize(
    "name", ["config.json", "label_encoder.json", "tokenizer.json", "performance.json", "filters.json"]
)
def test_no_edit_of_a_file_gives_another_error(folder: Path, name: str) -> None:
    """Hundreds of small edits, each with the checksums mended: a model that answers, or an ArtifactError."""
    draw = random.Random(name)
    original = {path: (folder / path).read_text() for path in ("config.json", name)}
    pieces = ["", "null", "-1", "1e999", "NaN", "[", "]", "{}", '"', "true", "9" * 40, "é", ":", ",", "0"]
    for _ in range(800):
        for path, content in original.items():
            (folder / path).write_text(content)
        content = original[name]
        start = draw.randrange(min(len(content), 1500))
        edited = content[:start] + draw.choice(pieces) + content[start + draw.randrange(12) :]
        (folder / name).write_text(edited)
        try:
            if name != "config.json":
                rehash(folder)
            HeadlineClassifier.from_pretrained(folder).predict([STOCKS])
        except ArtifactError:
            continue
