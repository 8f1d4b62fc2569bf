"""The models that the page can answer with, and what links name them by."""

import hashlib
import json
import re
import shutil

import pytest

from demo.models import Models, Served, bundled
from tests.conftest import ROOT
from textcnn import DataError


@pytest.fixture(scope="module")
def models() -> Models:
    return bundled()


def test_both_bundled_models_are_served_and_the_default_comes_first(models):
    assert models.names == ["default", "lesson"]
    assert [model.name for model in models] == ["default", "lesson"]
    assert list(models.hashes) == ["default", "lesson"]
    for model in models:
        assert models[model.name] is model
        assert model.folder == ROOT / "artifacts" / model.name
        assert model.classifier.config.preset == model.name


def test_a_hash_is_eight_digits_and_tells_the_models_apart(models):
    assert all(re.fullmatch("[0-9a-f]{8}", digits) for digits in models.hashes.values())
    assert len(set(models.hashes.values())) == 2


def test_a_hash_changes_with_the_configuration_and_with_nothing_else(models, tmp_path):
    default = models["default"]
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    shutil.copy(default.folder / "config.json", folder)
    copy = Served("default", default.classifier, folder)
    assert copy.short_hash == models.hashes["default"]
    (folder / "README.md").write_text("A card may change.")
    assert copy.short_hash == models.hashes["default"]
    content = json.loads((folder / "config.json").read_text())
    content["temperature"] += 1e-6
    (folder / "config.json").write_text(json.dumps(content, indent=2))
    assert copy.short_hash != models.hashes["default"]


def test_the_configuration_names_every_file_that_an_answer_depends_on(models):
    """So that a hash of it alone changes with any of them."""
    for model in models:
        named = json.loads((model.folder / "config.json").read_text())["files"]
        assert set(named) >= {"model.safetensors", "tokenizer.json", "label_encoder.json", "filters.json"}
        for name, digits in named.items():
            assert hashlib.sha256((model.folder / name).read_bytes()).hexdigest() == digits


def test_a_hash_stays_while_the_process_runs_though_a_file_is_replaced(models, tmp_path):
    """What answers was read at the start; so was its hash."""
    shutil.copy(models["lesson"].folder / "config.json", tmp_path)
    served = Models(Served("lesson", models["lesson"].classifier, tmp_path))
    (tmp_path / "config.json").write_text("{}")
    assert served.hashes["lesson"] == models.hashes["lesson"]


@pytest.mark.parametrize("name", ["", "Default", "default ", "../default", "default-1234abcd"])
def test_an_unknown_model_is_named_with_those_there_are(models, name):
    with pytest.raises(DataError) as caught:
        models[name]
    assert str(caught.value) == f"Got the model {name!r}: this page has default, lesson."


def test_a_long_name_is_cut(models):
    with pytest.raises(DataError) as caught:
        models["m" * 100_000]
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize("thing", [None, 5, ["default"], {"default": 1}])
def test_a_name_that_is_no_text_is_a_mistake_like_any_other(models, thing):
    with pytest.raises(DataError, match="this page has default, lesson"):
        models[thing]
