"""Token indices in one flat buffer, and padded batches cut from it without a Python loop over headlines."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

__all__ = ["Batch", "HeadlineDataset", "pad_sequences"]

_WINDOW = 32  # batches whose headlines are sorted by length together
_PAD_INDEX = 0  # where every tokenizer has PAD


@dataclass(frozen=True)
class Batch:
    """Headlines of one step."""

    ids: torch.Tensor  # (batch, tokens) int64, padded with PAD on the right
    lengths: torch.Tensor  # (batch,) int64, tokens of each headline
    targets: torch.Tensor | None  # (batch,) int64 class indices
    rows: torch.Tensor  # (batch,) int64 row numbers in the dataset, on the CPU


class HeadlineDataset:
    """Headlines as token indices: one buffer with all tokens, and where each headline starts.

    It takes a few bytes a token, where the lesson's one-hot arrays take 8 bytes a token and vocabulary entry.
    """

    def __init__(self, sequences: Sequence[np.ndarray], targets: np.ndarray | None = None) -> None:
        """Lay the sequences out.

        Args:
            sequences: token indices of each headline, (tokens,) each; an empty one is allowed.
            targets: class index of each headline, (headlines,).
        """
        lengths = np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))
        self._lay(np.concatenate([*sequences, []]), lengths, targets)

    @classmethod
    def from_flat(cls, flat: np.ndarray, lengths: np.ndarray, targets: np.ndarray | None = None) -> Self:
        """Lay out headlines that stand one behind the other already.

        Args:
            flat: token indices of all headlines (tokens,).
            lengths: tokens of each headline (headlines,).
            targets: class index of each headline (headlines,).
        """
        dataset = cls.__new__(cls)
        dataset._lay(flat, lengths, targets)
        return dataset

    def _lay(self, flat: np.ndarray, lengths: np.ndarray, targets: np.ndarray | None) -> None:
        # One PAD at the end: an index past the last headline has something to point at.
        self.flat = torch.from_numpy(np.append(flat, _PAD_INDEX).astype(np.int32))
        self.lengths = torch.from_numpy(lengths.astype(np.int64))
        self.starts = self.lengths.cumsum(0) - self.lengths
        self.targets = None if targets is None else torch.from_numpy(np.asarray(targets, dtype=np.int64))

    def __len__(self) -> int:
        """Return the number of headlines."""
        return len(self.lengths)

    @property
    def nbytes(self) -> int:
        """Memory of the encoded headlines, in bytes."""
        tensors = [self.flat, self.starts, self.lengths, *([] if self.targets is None else [self.targets])]
        return sum(tensor.nbytes for tensor in tensors)

    def to(self, device: torch.device) -> "HeadlineDataset":
        """Move tokens and targets to the device, once; the lengths stay where batches are planned, on the CPU."""
        self.flat = self.flat.to(device)
        self.targets = None if self.targets is None else self.targets.to(device)
        return self

    def batch(self, rows: torch.Tensor) -> Batch:
        """Return the headlines of `rows` (batch,), padded to the longest of them and at least to one token."""
        device = self.flat.device
        lengths = self.lengths[rows]
        width = max(1, int(lengths.max())) if len(rows) else 1
        positions = torch.arange(width)
        places = self.starts[rows, None] + positions
        inside = positions < lengths[:, None]
        places = torch.where(inside, places, len(self.flat) - 1)
        return Batch(
            ids=self.flat[places.to(device)].long(),
            lengths=lengths.to(device),
            targets=None if self.targets is None else self.targets[rows.to(device)],
            rows=rows,
        )

    def batches(self, batch_size: int, generator: torch.Generator | None = None) -> Iterator[Batch]:
        """Yield all headlines once, `batch_size` at a time: shuffled if a generator is given, else in order.

        Shuffled, a batch holds headlines of about one length, drawn from a window of many batches, so that little of
        it is padding; the batches of a window come in random order. The lesson's training loader never shuffles (its
        `shuffle=False` default is never changed).
        """
        everything = torch.arange(len(self))
        if generator is not None:
            everything = everything[torch.randperm(len(self), generator=generator)]
        for start in range(0, len(self), batch_size * _WINDOW):
            rows = everything[start : start + batch_size * _WINDOW]
            places = torch.arange(-(-len(rows) // batch_size))
            if generator is not None:
                rows = rows[self.lengths[rows].argsort(stable=True)]
                places = torch.randperm(len(places), generator=generator)
            window = self.batch(rows)  # one gather for many batches
            for first in (places * batch_size).tolist():
                yield self._part(window, slice(first, first + batch_size))

    def _part(self, window: Batch, part: slice) -> Batch:
        """Return some headlines of a batch, padded to the longest of them."""
        rows = window.rows[part]
        width = max(1, int(self.lengths[rows].max()))
        targets = None if window.targets is None else window.targets[part]
        return Batch(window.ids[part, :width], window.lengths[part], targets, rows)

    def rows_by_length(self) -> Iterator[tuple[torch.Tensor, int]]:
        """Yield the row numbers of all headlines of one length, and that length; empty headlines are left out."""
        order = torch.argsort(self.lengths, stable=True)
        lengths, counts = torch.unique_consecutive(self.lengths[order], return_counts=True)
        for rows, length in zip(torch.split(order, counts.tolist()), lengths.tolist(), strict=True):
            if length:
                yield rows, length

    def batches_by_length(self, max_tokens: int = 16_384) -> Iterator[Batch]:
        """Yield all headlines once, neighbours in length together, so that little is padding.

        Args:
            max_tokens: bound on the tokens of a batch, padding included; a longer headline goes alone.
        """
        order = torch.argsort(self.lengths, stable=True)
        widths = self.lengths[order].clamp(min=1).tolist()
        start = 0
        for end in range(1, len(order) + 1):
            if end == len(order) or widths[end] * (end + 1 - start) > max_tokens:
                yield self.batch(order[start:end])
                start = end


def pad_sequences(sequences: Sequence[np.ndarray]) -> np.ndarray:
    """Pad token indices with PAD to the longest sequence (lesson: Padding, which pads one-hot rows with zeros).

    >>> pad_sequences([np.array([5, 2]), np.array([7])]).tolist()
    [[5, 2], [7, 0]]
    """
    dataset = HeadlineDataset(sequences)
    return dataset.batch(torch.arange(len(dataset))).ids.numpy()
