"""What each filter looks for: the n-grams of the training headlines that fire it most, and the classes it pushes to."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from textcnn.batches import HeadlineDataset
from textcnn.config import check_types, read_json, write_json
from textcnn.errors import ArtifactError, ConfigError
from textcnn.model import TextCNN, same_padding
from textcnn.text import UNK, Tokenizer

__all__ = ["EDGE", "FilterSummary", "Ngram", "load_summaries", "save_summaries", "summarize_filters"]

EDGE = "|"  # stands in an n-gram where the window reaches over the start or the end of the headline
_OFTEN = 10  # an n-gram that occurs as often as this goes before rarer ones, which say little of the language
_NGRAMS = 8  # kept of a filter
_CANDIDATES = 50_000  # most frequent n-grams of one size that are tried
_HEADLINES = 5_000  # whose outputs are averaged


@dataclass(frozen=True)
class Ngram:
    """Words that stand next to each other in training headlines."""

    text: str  # its words, EDGE where the headline starts or ends
    count: int  # how often it stands in the training headlines
    value: float  # what the filter gives for it, after batch norm where that is on

    def __post_init__(self) -> None:
        check_types(self)


@dataclass(frozen=True)
class FilterSummary:
    """What one filter looks for."""

    size: int  # tokens of its window
    fires: float  # share of the training headlines in which its output depends on the words
    pushes: Mapping[str, float]  # what it adds to each class's logit on average where it fires, the most first
    ngrams: tuple[Ngram, ...]  # that fire it most, the highest value first among those that occur often

    @property
    def name(self) -> str:
        """The three n-grams that fire it most, in a line."""
        return ", ".join(ngram.text for ngram in self.ngrams[:3])

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain lists and dictionaries."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Build it from what `to_dict` gave.

        Raises:
            ConfigError: a field of another type.
            TypeError: a field is missing or unknown.
        """
        ngrams = content.get("ngrams")
        if isinstance(ngrams, list | tuple):
            content = {**content, "ngrams": tuple(Ngram(**ngram) for ngram in ngrams)}
        summary = cls(**content)
        check_types(summary)
        return summary


@torch.inference_mode()
def summarize_filters(
    model: TextCNN, tokenizer: Tokenizer, classes: Sequence[str], titles: Sequence[str]
) -> tuple[FilterSummary, ...]:
    """Return what each filter looks for, in the order of the network's filters.

    Args:
        model: in evaluation mode, on the CPU.
        tokenizer: of the model.
        classes: in the order of the logits.
        titles: the training headlines.
    """
    flat, lengths = tokenizer.encode(titles)
    names = [EDGE, *list(tokenizer.token_to_index)[1:]]
    names[tokenizer.token_to_index[UNK]] = "(unknown)"
    fires, outputs = _typical_outputs(model, flat, lengths)
    pushes = model.output_map()[0] * outputs  # (classes, filters)
    summaries: list[FilterSummary] = []
    for conv, size in enumerate(model.config.filter_sizes):
        windows, counts = _distinct_windows(flat, lengths, size)
        values = _values(model, conv, windows)
        texts = [("" if tokenizer.char_level else " ").join(names[token] for token in row) for row in windows.tolist()]
        for column in values.T:
            best = _firing_most(column, counts)
            ngrams = tuple(Ngram(texts[i], int(counts[i]), round(float(column[i]), 4)) for i in best)
            f = len(summaries)
            pushed = [(name, round(push, 4)) for name, push in zip(classes, pushes[:, f].tolist(), strict=True)]
            pushed.sort(key=lambda pair: -pair[1])
            summaries.append(FilterSummary(size, round(float(fires[f]), 4), dict(pushed), ngrams))
    return tuple(summaries)


def _typical_outputs(model: TextCNN, flat: np.ndarray, lengths: np.ndarray) -> tuple[Tensor, Tensor]:
    """How often each filter is active, and its mean output where it is, over evenly drawn headlines: (filters,)."""
    dataset = HeadlineDataset.from_flat(flat, lengths)
    rows = torch.arange(0, len(dataset), max(1, -(-len(dataset) // _HEADLINES)))
    fired = torch.zeros(model.output_map()[0].shape[1])
    total = torch.zeros_like(fired)
    for part in torch.split(rows, 256):
        batch = dataset.batch(part)
        trace = model.trace(batch.ids, batch.lengths)
        fired += trace.active.sum(0)
        total += trace.pooled.sum(0)
    return fired / max(1, len(rows)), total / fired.clamp(min=1)


def _distinct_windows(flat: np.ndarray, lengths: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The most frequent windows of the headlines, (windows, size) with 0 beyond a headline's edge, and their counts."""
    places = np.arange(len(flat))
    headline = np.repeat(np.arange(len(lengths)), lengths)
    left = same_padding(size, size)[0]
    columns = []
    for offset in range(size):
        source = np.clip(places + offset - left, 0, len(flat) - 1)
        inside = (headline[source] == headline) & (source == places + offset - left)
        columns.append(np.where(inside, flat[source], 0))
    windows = np.stack(columns, 1).astype(np.int64)
    distinct, counts = np.unique(windows, axis=0, return_counts=True)
    kept = np.argsort(-counts, kind="stable")[:_CANDIDATES]
    return distinct[kept], counts[kept]


def _values(model: TextCNN, conv: int, windows: np.ndarray) -> np.ndarray:
    """What the filters of one size give for windows: (windows, filters)."""
    distinct, places = torch.unique(torch.from_numpy(windows), return_inverse=True)
    terms = model.offset_terms(distinct[None])[conv][0]  # (distinct, size, filters)
    first = conv * model.config.num_filters
    scale, shift = (part[first : first + model.config.num_filters] for part in model.filter_affine())
    total = sum(terms[places[:, offset], offset] for offset in range(windows.shape[1]))
    return np.asarray(total * scale + shift)


def _firing_most(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The windows to show of a filter: those it fires for, frequent ones before rare ones, then by value."""
    order = np.lexsort((-values, -np.minimum(counts, _OFTEN)))
    return order[values[order] > 0][:_NGRAMS]


def save_summaries(path: Path, summaries: Sequence[FilterSummary]) -> None:
    """Write the summaries as JSON."""
    write_json(path, [summary.to_dict() for summary in summaries])


def load_summaries(path: Path) -> tuple[FilterSummary, ...]:
    """Read what `save_summaries` wrote.

    Raises:
        ArtifactError: the file is missing or holds something else.
    """
    content = read_json(path)
    try:
        if not isinstance(content, list):
            raise TypeError(f"a list is expected, not {type(content).__name__}")
        return tuple(FilterSummary.from_dict(entry) for entry in content)
    except (AttributeError, ConfigError, TypeError) as error:
        raise ArtifactError(f"{path.name} in {path.parent} is not what each filter looks for: {error!r}.") from None
