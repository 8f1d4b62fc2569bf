"""Settings of a model, frozen and complete: text, network, training; and the two presets.

A preset plus overrides is the only configuration there is. The resolved `Config` is written to the artifacts.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from types import UnionType
from typing import Any, Self, get_args, get_origin, get_type_hints

from textcnn.errors import ArtifactError, ConfigError

__all__ = ["PRESETS", "Config", "ModelConfig", "TextConfig", "TrainConfig", "check_types", "read_json", "write_json"]


_MOST_UNITS = 10_000  # of a layer: ten times more than any text needs, and still a size that memory has
_MOST = 2**31 - 1  # of a whole number: what NumPy and torch take everywhere


def check_types(settings: Any) -> None:
    """Hold the fields of a dataclass to their annotations, as JSON and callers give what they like.

    A list where a tuple belongs becomes one, since JSON has no tuples; a whole number is a number.

    Raises:
        ConfigError: a value of another type.
    """
    for name, kind in get_type_hints(type(settings)).items():
        value = getattr(settings, name)
        if get_origin(kind) is tuple and isinstance(value, list):
            value = tuple(value)
            object.__setattr__(settings, name, value)
        if not _fits(value, kind):
            raise ConfigError(f"{name} is {value!r}: {_said(kind)} is expected.")


def _fits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is UnionType:
        return any(_fits(value, option) for option in get_args(kind))
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_fits(item, get_args(kind)[0]) for item in value)
    if get_origin(kind) is Mapping:
        one, other = get_args(kind)
        return isinstance(value, Mapping) and all(_fits(k, one) and _fits(v, other) for k, v in value.items())
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def _said(kind: Any) -> str:
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", type(None): "none"}
    if get_origin(kind) is UnionType:
        return " or ".join(map(_said, get_args(kind)))
    if get_origin(kind) is Mapping:
        return f"{_said(get_args(kind)[1])} for each name"
    if get_origin(kind) is tuple:
        return f"a list of {_said(get_args(kind)[0]).removeprefix('a ')}s"
    return names.get(kind, str(kind))


def _choice(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"{name} is {value!r}: allowed are {', '.join(allowed)}.")


def _at_least(name: str, value: int, least: int, most: int = _MOST) -> None:
    if not least <= value <= most:
        raise ConfigError(f"{name} is {value!r}: give a whole number of at least {least} and at most {most:,}.")


def _share(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise ConfigError(f"{name} is {value}: give a share from 0 to below 1.")


@dataclass(frozen=True)
class TextConfig:
    """How a headline becomes tokens."""

    cleaning: str = "default"  # "lesson": the lesson's expressions; "default": debris of HTML undone, all words kept
    char_level: bool = False  # tokens are characters instead of words
    num_tokens: int | None = None  # size of the vocabulary with PAD and UNK; None: no limit
    min_count: int = 1  # words seen less often in training are unknown

    def __post_init__(self) -> None:
        check_types(self)
        _choice("cleaning", self.cleaning, ("lesson", "default"))
        if self.num_tokens is not None:
            _at_least("num_tokens", self.num_tokens, 3)
        _at_least("min_count", self.min_count, 1)


@dataclass(frozen=True)
class ModelConfig:
    """The shape of the network."""

    embedding_dim: int | None = 128  # None: an exact one-hot convolution, as in the lesson
    filter_sizes: tuple[int, ...] = (1, 2, 3)  # in tokens
    num_filters: int = 128  # for each filter size
    activation: str = "relu"  # after the max over time: "relu" or "none"
    batch_norm: bool = False  # after the convolution, before the max
    hidden_dim: int | None = None  # a linear layer between pooling and output; None: none
    dropout: float = 0.0  # share of the units before the output layer
    embedding_dropout: float = 0.0  # share of the embedding's components

    def __post_init__(self) -> None:
        check_types(self)
        if not self.filter_sizes:
            raise ConfigError("filter_sizes is empty: give at least one size, for example (1, 2, 3).")
        for size in self.filter_sizes:
            _at_least("filter_sizes", size, 1, 100)
        if len(set(self.filter_sizes)) != len(self.filter_sizes):
            raise ConfigError(f"filter_sizes is {self.filter_sizes}: each size may stand there once.")
        for name in ("embedding_dim", "hidden_dim"):
            if getattr(self, name) is not None:
                _at_least(name, getattr(self, name), 1, _MOST_UNITS)
        _at_least("num_filters", self.num_filters, 1, _MOST_UNITS)
        _choice("activation", self.activation, ("relu", "none"))
        for name in ("dropout", "embedding_dropout"):
            _share(name, getattr(self, name))
        if self.embedding_dim is None and self.embedding_dropout:
            raise ConfigError(
                f"embedding_dropout is {self.embedding_dropout}, but embedding_dim is None: "
                "a one-hot model has no embedding to drop from. Set embedding_dropout to 0."
            )

    @property
    def windows(self) -> list[int]:
        """The tokens of each filter's window, in the order of the network's filters."""
        return [size for size in self.filter_sizes for _ in range(self.num_filters)]


@dataclass(frozen=True)
class TrainConfig:
    """How the weights are learned, and from which part of the rows."""

    epochs: int = 5  # at most, passes over the training rows
    batch_size: int = 256  # headlines a step
    learning_rate: float = 3e-3  # the highest of the schedule
    schedule: str = "one_cycle"  # "one_cycle", or "plateau": a tenth after more than 3 epochs without a better loss
    patience: int | None = None  # stop after so many epochs without a better validation loss; None: never
    label_smoothing: float = 0.0  # share of a target spread over all classes
    word_dropout: float = 0.0  # share of the words turned into unknown ones while training
    rare_word_dropout: float = 0.0  # the same for words seen once, so that the unknown word learns from them
    consistency: float = 0.0  # weight of R-Drop: two passes with their own dropout shall say the same; 0: one pass
    weight_average: float | None = None  # decay a step of the moving average of the weights; None: no average
    vectors: str | None = None  # first embeddings: a Hub id or a folder of word vectors; None: drawn at random
    split: str = "duplicates"  # "duplicates": copies of one title on one side; "random": the lesson's
    fractions: tuple[float, float, float] = (0.70, 0.15, 0.15)  # train, validation, test
    refit: bool = True  # after measuring, train the model that ships on all rows
    seed: int = 1234  # of the split, the order and the first weights

    def __post_init__(self) -> None:
        check_types(self)
        _at_least("epochs", self.epochs, 1)
        _at_least("batch_size", self.batch_size, 1)
        _choice("schedule", self.schedule, ("one_cycle", "plateau"))
        if not 0 < self.learning_rate < 1e3:
            raise ConfigError(f"learning_rate is {self.learning_rate}: give a number above 0, for example 0.001.")
        if self.patience is not None:
            _at_least("patience", self.patience, 1)
        for name in ("label_smoothing", "word_dropout", "rare_word_dropout"):
            _share(name, getattr(self, name))
        if not 0 <= self.consistency < 1e3:
            raise ConfigError(f"consistency is {self.consistency}: give a number from 0, for example 1.")
        if self.weight_average is not None:
            _share("weight_average", self.weight_average)
        _choice("split", self.split, ("duplicates", "random"))
        if len(self.fractions) != 3 or min(self.fractions) <= 0 or abs(sum(self.fractions) - 1) > 1e-9:
            raise ConfigError(
                f"fractions is {self.fractions}: give three numbers above 0 that sum to 1, for example 0.7 0.15 0.15."
            )
        _at_least("seed", self.seed, 0)


@dataclass(frozen=True)
class Config:
    """Everything that decides how a model is made."""

    text: TextConfig = field(default_factory=TextConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    preset: str = "default"  # where the settings started from

    def replace(self, **overrides: Any) -> "Config":
        """Return a copy with some settings changed, each found by its name in whichever part has it.

        Args:
            overrides: settings by name, for example `epochs=3, num_filters=64`.

        Returns:
            The new configuration.

        Raises:
            ConfigError: a name that no part has, or a value that is not allowed.

        >>> PRESETS["lesson"].replace(epochs=3).train.epochs
        3
        """
        parts: dict[str, Any] = {}
        for part in ("text", "model", "train"):
            settings = getattr(self, part)
            mine = {f.name: overrides.pop(f.name) for f in fields(settings) if f.name in overrides}
            parts[part] = replace(settings, **mine)
        if overrides:
            known = [f.name for part in ("text", "model", "train") for f in fields(getattr(self, part))]
            raise ConfigError(f"Unknown settings {sorted(overrides)}: known are {sorted(known)}.")
        return replace(self, **parts)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain nested dictionaries, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Build a configuration from what `to_dict` gave; unknown and missing keys are refused.

        Raises:
            ConfigError: a key too many or too few, or a value that is not allowed.
        """
        _exact_keys("config", settings, cls)
        return cls(
            text=_build(TextConfig, settings["text"]),
            model=_build(ModelConfig, settings["model"]),
            train=_build(TrainConfig, settings["train"]),
            preset=str(settings["preset"]),
        )


PRESETS: Mapping[str, Config] = {
    # The lesson's model, cleaning and hyperparameters (its sections Preprocessing to Training). Batch norm is off:
    # the lesson builds the layer and never calls it.
    "lesson": Config(
        preset="lesson",
        text=TextConfig(cleaning="lesson", num_tokens=500),
        model=ModelConfig(
            embedding_dim=None,
            filter_sizes=(1,),
            num_filters=50,
            activation="none",
            hidden_dim=100,
            dropout=0.1,
        ),
        train=TrainConfig(epochs=10, batch_size=64, learning_rate=1e-3, schedule="plateau", patience=5),
    ),
    # What a user gets: a one-layer CNN after Kim (2014), https://aclanthology.org/D14-1181, regularised.
    "default": Config(
        preset="default",
        text=TextConfig(cleaning="default"),
        model=ModelConfig(embedding_dim=128, embedding_dropout=0.3),
        train=TrainConfig(
            epochs=5,
            learning_rate=3e-3,
            label_smoothing=0.1,
            word_dropout=0.1,
            rare_word_dropout=0.2,
            consistency=1.0,
            weight_average=0.995,
            vectors="sentence-transformers/all-MiniLM-L6-v2",
        ),
    ),
}


def read_json(path: Path) -> Any:
    """Read a JSON file of an artifact folder.

    Raises:
        ArtifactError: the file is missing, not UTF-8 or not JSON; the message names it.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactError(f"{path.name} is missing in {path.parent}: the artifact folder is not complete.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{path.name} in {path.parent} cannot be read as JSON: {error}") from None


def write_json(path: Path, content: Any) -> None:
    """Write `content` as readable UTF-8 JSON that ends with a line end."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _build(part: type, settings: Any) -> Any:
    _exact_keys(part.__name__, settings, part)
    return part(**settings)


def _exact_keys(name: str, settings: Any, part: type) -> None:
    if not isinstance(settings, Mapping):
        raise ConfigError(f"{name} is {type(settings).__name__}: a JSON object is expected.")
    known = {f.name for f in fields(part)}
    if set(settings) != known:
        unknown, missing = sorted(set(settings) - known), sorted(known - set(settings))
        raise ConfigError(f"{name}: unknown keys {unknown}, missing keys {missing}; allowed are {sorted(known)}.")
