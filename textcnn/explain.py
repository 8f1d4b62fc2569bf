"""Which token fired which filter, and exactly how much each token moved each class.

With the winners of the max and the active units held, the network is linear in its inputs, so that
`logit[c] = bias[c] + sum over filters f and tokens t of contributions[c, f, t]`. A contribution is input times
gradient, which for this network is complete: nothing is left over. Its one baseline is the zero vector. It is not what
happens when a word is left out: then other windows win.
"""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from textcnn.batches import HeadlineDataset
from textcnn.model import TextCNN, Trace, same_padding
from textcnn.text import Token

__all__ = ["Contributions", "Explanation", "contributions", "picture_scale"]


@dataclass(frozen=True)
class Contributions:
    """The parts of one headline's logits."""

    by_filter: np.ndarray  # (classes, filters, tokens)
    bias: np.ndarray  # (classes,) worked out from the parameters of the active filters, not what is left over


@dataclass(frozen=True)
class Explanation:
    """Why a headline got its distribution.

    softmax((bias + contributions.sum(1)) / temperature) is the distribution.
    """

    title: str  # the headline as typed
    tokens: tuple[Token, ...]
    label: str  # the most probable class
    distribution: dict[str, float]  # probabilities of all classes, the most probable first
    classes: tuple[str, ...]  # in the order of the first axis of contributions and bias
    by_filter: np.ndarray  # (classes, filters, tokens)
    bias: np.ndarray  # (classes,)
    temperature: float  # what logits are divided by before the softmax
    values: np.ndarray  # (filters, tokens) what enters the max over time
    winners: np.ndarray  # (filters,) the position whose value won
    active: np.ndarray  # (filters,) whether the filter's output depends on its winner
    filter_sizes: np.ndarray  # (filters,) tokens of each filter's window
    picture_scale: float  # the value at which the map's colours end, the same for every headline

    @property
    def contributions(self) -> np.ndarray:
        """What each token added to each class's logit: (classes, tokens)."""
        return np.asarray(self.by_filter.sum(1))

    def window(self, filter_: int) -> tuple[int, int]:
        """Return the first token and the one after the last of a filter's winning window, within the headline."""
        size, winner = int(self.filter_sizes[filter_]), int(self.winners[filter_])
        first = winner - same_padding(len(self.tokens), size)[0]
        return max(0, first), min(len(self.tokens), first + size)

    def to_dict(self) -> dict[str, Any]:
        """Return what a program needs as plain lists and dictionaries."""
        return {
            "title": self.title,
            "tokens": [token.to_dict() for token in self.tokens],
            "label": self.label,
            "distribution": self.distribution,
            "classes": list(self.classes),
            "contributions": self.contributions.tolist(),
            "bias": self.bias.tolist(),
            "temperature": self.temperature,
            "filters": [
                {
                    "index": int(f),
                    "size": int(self.filter_sizes[f]),
                    "window": list(self.window(int(f))),
                    "value": float(self.values[f, self.winners[f]]),
                    "contributions": self.by_filter[:, f].sum(1).tolist(),
                }
                for f in np.flatnonzero(self.active)
            ],
        }

    def to_json(self) -> str:
        """Return `to_dict` as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)


@torch.no_grad()
def contributions(model: TextCNN, ids: Tensor, trace: Trace) -> Contributions:
    """Share one headline's logits among its tokens, filter by filter.

    A filter over several tokens shares its output by its offsets' own terms. Filters at zero and tokens outside the
    winning windows get exactly 0.

    Args:
        model: in evaluation mode.
        ids: token indices (1, tokens) of one headline, without padding; (1, 0) for an empty one.
        trace: the pass of that headline through `model`.

    Returns:
        Arrays in the model's own precision.
    """
    weight, output_bias = model.output_map()  # (classes, filters), (classes,)
    scale, shift = model.filter_affine()  # (filters,)
    winners, active = trace.winners[0], trace.active[0]
    length = ids.shape[1]
    shares = torch.zeros(len(winners), length, dtype=weight.dtype)  # (filters, tokens) of each pooled value
    if length:
        first = 0
        for size, batch_terms in zip(model.config.filter_sizes, model.offset_terms(ids), strict=True):
            terms = batch_terms[0]  # (tokens, filter_size, filters)
            filters = torch.arange(terms.shape[2])
            left = same_padding(length, size)[0]
            for offset in range(size):
                positions = winners[first : first + len(filters)] + offset - left
                inside = (positions >= 0) & (positions < length)
                positions = positions.clamp(0, length - 1)
                shares[first + filters, positions] += terms[positions, offset, filters] * inside
            first += len(filters)
    shares = torch.where(active[:, None], shares * scale[:, None], 0.0)
    by_filter = weight[:, :, None] * shares
    bias = output_bias + weight @ torch.where(active, shift, 0.0)
    return Contributions(by_filter.numpy(), bias.numpy())


@torch.inference_mode()
def picture_scale(model: TextCNN, sequences: list[np.ndarray]) -> float:
    """Return the value at which the heat map's colours end: few values lie beyond it, in either direction.

    It is fixed once for a model, so that two pictures can be compared.

    Args:
        model: in evaluation mode.
        sequences: token indices of headlines that represent what the model will be asked.
    """
    sizes = []
    for batch in HeadlineDataset(sequences).batches_by_length():
        values = model.trace(batch.ids, batch.lengths).values.transpose(1, 2)
        real = torch.arange(batch.ids.shape[1]) < batch.lengths[:, None]
        sizes.append(values[real].abs().flatten())
    everything = torch.cat(sizes) if sizes else torch.empty(0)
    if not len(everything):
        return 1.0
    rank = max(1, round(0.995 * len(everything)))
    return max(float(everything.kthvalue(rank).values), 1e-6)
