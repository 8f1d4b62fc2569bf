"""Which token fired which filter, and exactly how much each token moved each class.

With the winners of the max and the active units held, the network is linear in its inputs, so that
`logit[c] = bias[c] + sum over filters f and tokens t of contributions[c, f, t]`. A contribution is Input x Gradient,
which for this network is complete: nothing is left over. Its one baseline is the zero vector. It is not what happens
when a word is left out: then other windows win. That is a second figure, `Explanation.left_out`, from the prediction of
the shorter headline.
"""

import html
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from textcnn.batches import HeadlineDataset
from textcnn.errors import DataError
from textcnn.model import TextCNN, Trace, same_padding
from textcnn.text import Token, shorten

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
    filter_names: tuple[str, ...] = ()  # the n-grams that each filter looks for, where the model was saved with them
    # (classes, tokens) the exact change of each probability if the token is left out; only where it was asked for
    left_out: np.ndarray | None = None

    @property
    def contributions(self) -> np.ndarray:
        """What each token added to each class's logit: (classes, tokens)."""
        return np.asarray(self.by_filter.sum(1))

    def class_index(self, target: str | None = None) -> int:
        """Return the place of a class in `classes`, by default of the predicted one.

        Raises:
            DataError: no such class.
        """
        name = self.label if target is None else target
        if name not in self.classes:
            raise DataError(f"Got the class {name!r:.42}: this model has {', '.join(self.classes)}.")
        return self.classes.index(name)

    def window(self, filter_: int) -> tuple[int, int]:
        """Return the first token and the one after the last of a filter's winning window, within the headline."""
        size, winner = int(self.filter_sizes[filter_]), int(self.winners[filter_])
        first = winner - same_padding(len(self.tokens), size)[0]
        return max(0, first), min(len(self.tokens), first + size)

    def push_scale(self, target: str | None = None) -> float:
        """Return where the colours of contributions to a class end: at the largest, the bias too, and 1 at least.

        Raises:
            DataError: no such class.
        """
        class_ = self.class_index(target)
        return max(1.0, float(np.abs(self.contributions[class_]).max(initial=0)), abs(float(self.bias[class_])))

    @property
    def filters(self) -> list[dict[str, Any]]:
        """The active filters as plain dictionaries: what each looks for, where it won, and what it moved."""
        return [
            {
                "index": int(f),
                "looks_for": self.filter_names[f] if self.filter_names else None,
                "size": int(self.filter_sizes[f]),
                "window": list(self.window(int(f))),
                "value": float(self.values[f, self.winners[f]]),
                "contributions": self.by_filter[:, f].sum(1).tolist(),
            }
            for f in np.flatnonzero(self.active)
        ]

    def pieces(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Cut the headline as typed: each piece with the tokens that were read from it, none for what lies between.

        Several tokens share a piece where one stretch of the headline gave them.
        """
        done = 0
        waiting: list[int] = []
        end = 0
        for place, token in enumerate(self.tokens):
            if waiting and token.start >= end:
                yield self.title[done:end], tuple(waiting)
                done, waiting = end, []
            if not waiting and token.start > done:
                yield self.title[done : token.start], ()
                done = token.start
            waiting.append(place)
            end = max(end, token.end)
        if waiting:
            yield self.title[done:end], tuple(waiting)
            done = end
        if done < len(self.title):
            yield self.title[done:], ()

    def in_words(self, target: str | None = None) -> str:
        """Say in one sentence which words speak for a class, by default the predicted one.

        A share is one of all positive contributions of words to that class's logit.

        Raises:
            DataError: no such class.
        """
        name = self.classes[self.class_index(target)]
        pushed = self.contributions[self.class_index(target)]
        case = pushed.clip(min=0)
        if not case.any():
            return f"No word speaks for {name}." if self.tokens else "There is no word to read."
        ranked = np.argsort(-case, kind="stable")
        enough = int(np.searchsorted(case[ranked].cumsum(), 0.5 * case.sum())) + 1
        best = sorted(int(t) for t in ranked[: min(enough, 3)])  # half of the case, where three words carry as much
        words = _listed([shorten(self.title[self.tokens[t].start : self.tokens[t].end]) for t in best])
        windows = [range(*self.window(int(f))) for f in np.flatnonzero(self.active)]
        fired = sum(any(t in window for t in best) for window in windows)
        share = case[best].sum() / case.sum()
        return f"{words} fired {fired} of {len(self.active)} filters and carried {share:.0%} of what speaks for {name}."

    def to_html(self, target: str | None = None) -> str:
        """Return the headline as typed as HTML, its words tinted by what they pushed: red for a class, blue against it.

        A word that the model does not know has a dotted line, what it does not read is pale.

        Args:
            target: the class, by default the predicted one.

        Raises:
            DataError: no such class.
        """
        name = self.classes[self.class_index(target)]
        pushed = self.contributions[self.class_index(target)]
        reach = self.push_scale(target)
        parts = []
        for text, places in self.pieces():
            if places:
                push = float(pushed[list(places)].sum())
                known = all(self.tokens[place].known for place in places)
                parts.append(_tinted(text, push, push / reach, name, known))
            else:
                parts.append(f'<span style="opacity:.7">{html.escape(text)}</span>')
        return f'<span style="white-space:pre-wrap;overflow-wrap:anywhere">{"".join(parts)}</span>'

    _repr_html_ = to_html  # what a notebook shows

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
            "left_out": None if self.left_out is None else self.left_out.tolist(),
            "filters": self.filters,
        }

    def to_json(self) -> str:
        """Return `to_dict` as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)


def _tinted(text: str, push: float, strength: float, name: str, known: bool) -> str:
    """A word on a ground of one colour for either sign, so pale that the page's text can be read on it."""
    red_green_blue = "179,32,44" if push > 0 else "30,95,168"
    line = "" if known else ";text-decoration:underline dotted"
    said = f"{push:+.2f} for {name}" + ("" if known else "; the model does not know this word")
    style = f"background:rgba({red_green_blue},{0.5 * min(1.0, abs(strength)):.3f});border-radius:.2em{line}"
    return f'<span title="{html.escape(said)}" style="{style}">{html.escape(text)}</span>'


def _listed(words: list[str]) -> str:
    """Quoted words with commas and an "and"."""
    quoted = [f"“{word}”" for word in words]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


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
        for size, batch_terms in zip(model.config.filter_sizes, trace.terms, strict=True):
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
