"""Settings: complete, frozen, and refused where they cannot be."""

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from textcnn.config import PRESETS, Config, ModelConfig, TextConfig, TrainConfig, check_types, read_json, write_json
from textcnn.errors import ArtifactError, ConfigError

# Every setting away from its default.
OTHER = Config(
    preset="lesson",
    text=TextConfig(cleaning="lesson", char_level=True, num_tokens=300, min_count=2),
    model=ModelConfig(
        embedding_dim=7,
        filter_sizes=(5, 2),
        num_filters=3,
        activation="none",
        batch_norm=True,
        hidden_dim=9,
        dropout=0.25,
        embedding_dropout=0.125,
    ),
    train=TrainConfig(
        epochs=2,
        batch_size=8,
        learning_rate=0.01,
        schedule="plateau",
        patience=4,
        label_smoothing=0.2,
        word_dropout=0.3,
        rare_word_dropout=0.4,
        consistency=1.5,
        weight_average=0.5,
        vectors="some/model",
        split="random",
        fractions=(0.5, 0.3, 0.2),
        refit=False,
        seed=1,
    ),
)
SETTINGS = [
    (part, field.name) for part in ("text", "model", "train") for field in dataclasses.fields(getattr(OTHER, part))
]


@pytest.mark.parametrize(("part", "name"), SETTINGS)
def test_the_round_trip_below_leaves_no_setting_at_its_default(part: str, name: str) -> None:
    assert getattr(getattr(OTHER, part), name) != getattr(getattr(Config(), part), name)


@pytest.mark.parametrize(
    "config", [OTHER, *PRESETS.values(), PRESETS["default"].replace(embedding_dim=None, embedding_dropout=0)]
)
def test_a_configuration_comes_back_from_json(config: Config) -> None:
    back = Config.from_dict(json.loads(json.dumps(config.to_dict())))
    assert back == config
    assert isinstance(back.model.filter_sizes, tuple)
    assert isinstance(back.train.fractions, tuple)


@pytest.mark.parametrize("part", ["text", "model", "train"])
def test_unknown_keys_are_refused(part: str) -> None:
    content = OTHER.to_dict()
    content[part]["colour"] = "red"
    with pytest.raises(ConfigError, match=r"Config: unknown keys \['colour'\], missing keys \[\]; allowed are"):
        Config.from_dict(content)


@pytest.mark.parametrize(("part", "name"), SETTINGS)
def test_missing_keys_are_refused(part: str, name: str) -> None:
    """A default filled in silently could be another than the model was made with."""
    content = OTHER.to_dict()
    del content[part][name]
    with pytest.raises(ConfigError, match=rf"Config: unknown keys \[\], missing keys \['{name}'\]"):
        Config.from_dict(content)


@pytest.mark.parametrize("part", ["text", "model", "train", "preset"])
def test_missing_parts_are_refused(part: str) -> None:
    content = OTHER.to_dict()
    del content[part]
    with pytest.raises(ConfigError, match=rf"config: unknown keys \[\], missing keys \['{part}'\]"):
        Config.from_dict(content)


@pytest.mark.parametrize("part", ["text", "model", "train"])
@pytest.mark.parametrize("value", [None, [], "x", 3], ids=repr)
def test_a_part_that_is_no_object_is_refused(part: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"Config is {type(value).__name__}: a JSON object is expected"):
        Config.from_dict({**OTHER.to_dict(), part: value})


SHARE = "give a share from 0 to below 1"
WHOLE = "give a whole number of at least 1"
BAD = [
    ("cleaning", "none", "cleaning is 'none': allowed are lesson, default"),
    ("num_tokens", 2, "num_tokens is 2: give a whole number of at least 3"),
    ("num_tokens", 10.5, r"num_tokens is 10\.5: a whole number or none is expected"),
    ("min_count", 0, f"min_count is 0: {WHOLE}"),
    ("min_count", True, "min_count is True: a whole number is expected"),
    ("embedding_dim", 0, f"embedding_dim is 0: {WHOLE}"),
    ("embedding_dim", "128", "embedding_dim is '128': a whole number or none is expected"),
    ("filter_sizes", (), "filter_sizes is empty: give at least one size"),
    ("filter_sizes", (0, 1), f"filter_sizes is 0: {WHOLE}"),
    ("filter_sizes", (2, 2), r"filter_sizes is \(2, 2\): each size may stand there once"),
    ("num_filters", 0, f"num_filters is 0: {WHOLE}"),
    ("activation", "tanh", "activation is 'tanh': allowed are relu, none"),
    ("hidden_dim", 0, f"hidden_dim is 0: {WHOLE}"),
    ("dropout", 1, f"dropout is 1: {SHARE}"),
    ("dropout", -0.1, f"dropout is -0.1: {SHARE}"),
    ("dropout", math.nan, "dropout is nan: a number is expected"),
    ("dropout", 10**400, "dropout is 10{400}: "),  # JSON has numbers that no float holds
    ("embedding_dropout", 1.5, f"embedding_dropout is 1.5: {SHARE}"),
    ("epochs", 0, f"epochs is 0: {WHOLE}"),
    ("batch_size", 0, f"batch_size is 0: {WHOLE}"),
    ("learning_rate", 0, "learning_rate is 0: give a number above 0"),
    ("learning_rate", -1e-3, "learning_rate is -0.001: give a number above 0"),
    ("learning_rate", math.nan, "learning_rate is nan: a number is expected"),
    ("learning_rate", math.inf, "learning_rate is inf: a number is expected"),
    ("schedule", "cosine", "schedule is 'cosine': allowed are one_cycle, plateau"),
    ("patience", 0, f"patience is 0: {WHOLE}"),
    ("label_smoothing", 1, f"label_smoothing is 1: {SHARE}"),
    ("word_dropout", -1, f"word_dropout is -1: {SHARE}"),
    ("rare_word_dropout", 1, f"rare_word_dropout is 1: {SHARE}"),
    ("consistency", -1, "consistency is -1: give a number from 0"),
    ("weight_average", 1.0, f"weight_average is 1.0: {SHARE}"),
    ("split", "time", "split is 'time': allowed are duplicates, random"),
    ("fractions", (0.7, 0.3), r"fractions is \(0.7, 0.3\): give three numbers above 0 that sum to 1"),
    ("fractions", (0.7, 0.3, 0.0), "give three numbers above 0 that sum to 1"),
    ("fractions", (0.7, 0.2, 0.2), "give three numbers above 0 that sum to 1"),
    ("fractions", (math.nan, 0.5, 0.5), r"fractions is \(nan, 0\.5, 0\.5\): a list of numbers is expected"),
    ("seed", 2**31, r"seed is 2147483648: give .* at most 2,147,483,647"),
    ("seed", -1, "seed is -1: give a whole number of at least 0"),
    ("seed", 1.5, r"seed is 1\.5: a whole number is expected"),
]


@pytest.mark.parametrize(("name", "value", "message"), BAD, ids=lambda value: str(value)[:40])
def test_a_bad_value_is_refused_with_what_is_allowed(name: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Config().replace(**{name: value})


@pytest.mark.parametrize(("name", "value", "message"), BAD, ids=lambda value: str(value)[:40])
def test_a_bad_value_in_json_is_refused(name: str, value: Any, message: str) -> None:
    content = OTHER.to_dict()
    (part,) = (part for part, setting in SETTINGS if setting == name)
    content[part][name] = value
    with pytest.raises(ConfigError, match=message):
        Config.from_dict(content)


WRONG_TYPES = [
    *(("dropout", "0.1"), ("dropout", None), ("learning_rate", "fast"), ("label_smoothing", [0.1])),
    *(("filter_sizes", None), ("filter_sizes", 3), ("fractions", ("a", "b", "c")), ("fractions", 0.7)),
]


@pytest.mark.parametrize(("name", "value"), WRONG_TYPES, ids=str)
def test_a_value_of_the_wrong_type_in_json_is_a_config_error(name: str, value: Any) -> None:
    content = OTHER.to_dict()
    (part,) = (part for part, setting in SETTINGS if setting == name)
    content[part][name] = value
    with pytest.raises(ConfigError, match=rf"{name} is .*: a (list of )?(whole )?numbers? is expected"):
        Config.from_dict(content)


@pytest.mark.parametrize(("name", "value"), WRONG_TYPES, ids=str)
def test_a_value_of_the_wrong_type_is_a_config_error(name: str, value: Any) -> None:
    """`replace` promises it for every value that is not allowed."""
    with pytest.raises(ConfigError):
        Config().replace(**{name: value})


@pytest.mark.parametrize(("name", "value"), [("char_level", "no"), ("batch_norm", 1), ("refit", "false")])
def test_a_switch_is_true_or_false(name: str, value: Any) -> None:
    """The text "no" would count as yes."""
    with pytest.raises(ConfigError, match=name):
        Config().replace(**{name: value})


@dataclasses.dataclass(frozen=True)
class Shares:
    """A dictionary of numbers, as one filter's pushes are."""

    by_class: Mapping[str, float]
    names: tuple[str, ...] = ()


@pytest.mark.parametrize("value", [{}, {"A": 0.5}, {"A": 1, "B": -2.5}], ids=str)
def test_a_dictionary_of_numbers_is_allowed(value: Any) -> None:
    check_types(Shares(value))


@pytest.mark.parametrize(
    "value",
    [None, [], "A", 3, [["A", 1]], {"A": "1"}, {"A": None}, {"A": True}, {"A": math.nan}, {"A": [1]}, {1: 1.0}],
    ids=str,
)
def test_what_is_no_dictionary_of_numbers_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match=f"by_class is {re.escape(repr(value))}: .* is expected"):
        check_types(Shares(value))


def test_a_one_hot_model_has_no_embedding_to_drop_from() -> None:
    with pytest.raises(
        ConfigError, match=r"embedding_dropout is 0\.3, but embedding_dim is None: .*Set embedding_dropout to 0"
    ):
        PRESETS["default"].replace(embedding_dim=None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_tokens", 3),
        ("num_tokens", None),
        ("dropout", 0),
        ("weight_average", None),
        ("patience", None),
        ("fractions", (0.1, 0.2, 0.7)),
        ("filter_sizes", [4]),
        ("seed", 0),
    ],
    ids=str,
)
def test_values_at_the_edge_are_allowed(name: str, value: Any) -> None:
    Config().replace(**{name: value})


def test_replace_finds_settings_by_name_in_any_part() -> None:
    changed = PRESETS["default"].replace(min_count=3, num_filters=5, epochs=7)
    assert (changed.text.min_count, changed.model.num_filters, changed.train.epochs) == (3, 5, 7)
    assert changed.preset == "default"
    assert changed.text == TextConfig(cleaning="default", min_count=3)


def test_replace_leaves_the_original() -> None:
    before = PRESETS["lesson"].to_dict()
    PRESETS["lesson"].replace(epochs=99)
    assert PRESETS["lesson"].to_dict() == before


def test_replace_refuses_unknown_names() -> None:
    with pytest.raises(ConfigError, match=r"Unknown settings \['epoch', 'filters'\]: known are .*'epochs'"):
        Config().replace(epoch=3, filters=5)


@pytest.mark.parametrize("part", [OTHER, OTHER.text, OTHER.model, OTHER.train], ids=lambda part: type(part).__name__)
def test_settings_cannot_be_changed(part: Any) -> None:
    name = dataclasses.fields(part)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(part, name, None)


def test_a_list_given_is_not_kept() -> None:
    sizes = [1, 2]
    config = ModelConfig(filter_sizes=sizes)  # type: ignore[arg-type]
    sizes.append(3)
    assert config.filter_sizes == (1, 2)


# Presets


def test_lesson_has_the_lessons_hyperparameters() -> None:
    """500 tokens, 50 filters of size 1, hidden 100, dropout .1; Adam 1e-3, 10 epochs of batches of 64, patience 5."""
    lesson = PRESETS["lesson"]
    assert lesson.text == TextConfig(cleaning="lesson", num_tokens=500)
    assert lesson.model == ModelConfig(
        embedding_dim=None, filter_sizes=(1,), num_filters=50, activation="none", hidden_dim=100, dropout=0.1
    )
    train = lesson.train
    assert (train.learning_rate, train.epochs, train.batch_size, train.patience) == (1e-3, 10, 64, 5)
    assert train.schedule == "plateau"
    assert (train.fractions, train.seed) == ((0.70, 0.15, 0.15), 1234)


def test_lesson_uses_nothing_that_the_lesson_does_not() -> None:
    """Its code builds a batch norm and never calls it."""
    lesson = PRESETS["lesson"]
    assert not lesson.model.batch_norm
    assert lesson.train.weight_average is None
    used = (lesson.train.label_smoothing, lesson.train.word_dropout, lesson.train.rare_word_dropout)
    assert used == (0, 0, 0)
    assert lesson.model.embedding_dropout == 0


def test_presets_know_their_names() -> None:
    assert {name: config.preset for name, config in PRESETS.items()} == {"lesson": "lesson", "default": "default"}


# JSON


def test_json_is_readable_and_comes_back(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"é": [1, None, "北京"]})
    assert (tmp_path / "x.json").read_text(encoding="utf-8") == '{\n  "é": [\n    1,\n    null,\n    "北京"\n  ]\n}\n'
    assert read_json(tmp_path / "x.json") == {"é": [1, None, "北京"]}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b"[" * 100_000, b"9" * 5000], ids=lambda content: str(content[:4])
)
def test_what_is_no_json_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"x\.json in .* cannot be read as JSON"):
        read_json(tmp_path / "x.json")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"x\.json is missing in .*: the artifact folder is not complete"):
        read_json(tmp_path / "x.json")
