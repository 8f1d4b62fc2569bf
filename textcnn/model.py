"""The network: convolution as a look-up, a max over time that padding never wins, linear layers.

Shapes use the names batch, tokens, filters, classes, embedding. `filters` counts the filters of all sizes, the
smallest size first, as `ModelConfig.filter_sizes` lists them.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textcnn.config import ModelConfig

__all__ = ["EmbeddedConvolution", "LookupConvolution", "TextCNN", "Trace", "same_padding"]


def same_padding(length: int, filter_size: int, stride: int = 1) -> tuple[int, int]:
    """Return the zeros to add on the left and right so that a convolution gives `length` outputs.

    P = (stride (length - 1) - length + filter_size) / 2 on each side; half a zero goes to the right (lesson: Filters).

    Args:
        length: tokens of the input.
        filter_size: tokens of a window.
        stride: tokens from one window to the next.

    >>> same_padding(8, 3)
    (1, 1)
    >>> same_padding(8, 2)
    (0, 1)
    """
    both = max(0, stride * (length - 1) - length + filter_size)
    return both // 2, math.ceil(both / 2)


def sum_windows(terms: Tensor, bias: Tensor) -> Tensor:
    """Add up what the tokens of each window bring: a convolution's output, (batch, filters, tokens).

    Args:
        terms: what each token adds at each offset of a window, (batch, tokens, filter_size, filters).
        bias: (filters,).
    """
    length, filter_size = terms.shape[1:3]
    left, right = same_padding(length, filter_size)
    padded = F.pad(terms, (0, 0, 0, 0, left, right)) if filter_size > 1 else terms
    total = padded[:, :length, 0] + bias
    for offset in range(1, filter_size):
        total = total + padded[:, offset : offset + length, offset]
    return total.transpose(1, 2)


class LookupConvolution(nn.Module):
    """A `Conv1d` over one-hot tokens, stride 1 and SAME padding, computed by looking up columns of its weight.

    conv[f, t] = bias[f] + sum over o of W[f, token[t + o - left], o]; outside the headline stands the zero vector. The
    numbers are those of the lesson's convolution over one-hot rows, in a thousandth of the memory.
    """

    def __init__(self, num_tokens: int, num_filters: int, filter_size: int) -> None:
        super().__init__()
        self.filter_size = filter_size
        bound = 1 / math.sqrt(num_tokens * filter_size)  # as Conv1d draws its first weights
        self.weight = nn.Parameter(torch.empty(num_tokens, filter_size, num_filters).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(num_filters).uniform_(-bound, bound))
        with torch.no_grad():
            self.weight[0] = 0  # PAD is the zero vector, and gets no gradient

    def offset_terms(self, ids: Tensor) -> Tensor:
        """Return what each token adds at each offset of a window: (batch, tokens, filter_size, filters)."""
        terms = F.embedding(ids, self.weight.flatten(1), padding_idx=0)
        return terms.view(*ids.shape, *self.weight.shape[1:])

    def forward(self, ids: Tensor) -> Tensor:
        """Map token indices (batch, tokens) to (batch, filters, tokens)."""
        return sum_windows(self.offset_terms(ids), self.bias)

    def at(self, ids: Tensor, positions: Tensor) -> Tensor:
        """Return each filter's output at one position of each headline, (batch, filters), as `positions`.

        The gradient of a max is that of its winner alone: this sends it there without a pass over all positions.
        """
        total: Tensor = self.bias
        left = same_padding(ids.shape[1], self.filter_size)[0]
        for offset in range(self.filter_size):
            places = positions + (offset - left)
            tokens = ids.gather(1, places.clamp(0, ids.shape[1] - 1))
            terms = self.weight[:, offset].gather(0, tokens)
            if self.filter_size > 1:  # a window may reach over the end; one token that won is real
                real = (places >= 0) & (places < ids.shape[1]) & (tokens != 0)
                terms = torch.where(real, terms, 0.0)
            total = total + terms
        return total


class EmbeddedConvolution(nn.Conv1d):
    """A `Conv1d` over embedded tokens, stride 1 and SAME padding."""

    def __init__(self, embedding_dim: int, num_filters: int, filter_size: int) -> None:
        super().__init__(embedding_dim, num_filters, filter_size)
        self.filter_size = filter_size

    def offset_terms(self, embedded: Tensor) -> Tensor:
        """Return what each token adds at each offset of a window: (batch, tokens, filter_size, filters)."""
        return torch.einsum("bte,feo->btof", embedded, self.weight)

    def forward(self, embedded: Tensor) -> Tensor:
        """Map embedded tokens (batch, tokens, embedding) to (batch, filters, tokens)."""
        padding = same_padding(embedded.shape[1], self.filter_size)
        return super().forward(F.pad(embedded.transpose(1, 2), padding))


def _embedding(num_tokens: int, embedding_dim: int) -> nn.Embedding:
    """An embedding with small first vectors, that of PAD zero."""
    shape = torch.empty(num_tokens, embedding_dim)
    if shape.is_meta:  # to be filled from a file: to draw there, torch would import its compiler for a second
        embedding: nn.Embedding = nn.Embedding.from_pretrained(shape, freeze=False, padding_idx=0)  # type: ignore[no-untyped-call]
        return embedding
    embedding = nn.Embedding(num_tokens, embedding_dim, padding_idx=0)
    # torch's deviation of 1 drowns what few steps can teach a rare word
    # (benchmarks/LOG.md: .815 of F1 with 1, .858 with .1).
    nn.init.normal_(embedding.weight, std=0.1)
    with torch.no_grad():
        embedding.weight[0] = 0
    return embedding


@dataclass(frozen=True)
class Trace:
    """What one forward pass computed; explanations read it."""

    values: Tensor  # (batch, filters, tokens) what enters the max over time; meaningless where a token is padding
    winners: Tensor  # (batch, filters) int64: the position whose value won; 0 for an empty headline
    pooled: Tensor  # (batch, filters) the winning values after the activation; 0 for an empty headline
    active: Tensor  # (batch, filters) bool: the filter's output depends on its winner
    logits: Tensor  # (batch, classes)
    # For each filter size what each token adds at each offset, (batch, tokens, filter_size, filters); none in training
    terms: tuple[Tensor, ...] = ()


class TextCNN(nn.Module):
    """One layer of convolutions over a headline, max over time, linear layers (Kim 2014; the lesson's `CNN`).

    A headline's logits depend on that headline alone: padding never takes part in the max.
    """

    def __init__(self, config: ModelConfig, num_tokens: int, num_classes: int) -> None:
        """Draw the first weights.

        Args:
            config: the shape of the network.
            num_tokens: size of the vocabulary, PAD (at 0) and UNK included.
            num_classes: number of logits.
        """
        super().__init__()
        self.config = config
        self.num_tokens = num_tokens
        self.embedding: nn.Embedding | None = None
        if config.embedding_dim is None:
            convs = [LookupConvolution(num_tokens, config.num_filters, size) for size in config.filter_sizes]
            self.convs = nn.ModuleList(convs)
        else:
            self.embedding = _embedding(num_tokens, config.embedding_dim)
            embedded = [
                EmbeddedConvolution(config.embedding_dim, config.num_filters, size) for size in config.filter_sizes
            ]
            self.convs = nn.ModuleList(embedded)
        num_filters = config.num_filters * len(config.filter_sizes)
        self.batch_norm = nn.BatchNorm1d(num_filters) if config.batch_norm else None
        self.hidden = nn.Linear(num_filters, config.hidden_dim) if config.hidden_dim else None
        self.output = nn.Linear(config.hidden_dim or num_filters, num_classes)

    @property
    def token_weights(self) -> list[Tensor]:
        """The parameters that have a row for each token of the vocabulary; row 0, PAD, is zero and stays zero."""
        if self.embedding is not None:
            return [self.embedding.weight]
        return [conv.weight for conv in self.convs if isinstance(conv, LookupConvolution)]

    def offset_terms(self, ids: Tensor) -> list[Tensor]:
        """Return for each filter size what each token adds at each offset: (batch, tokens, filter_size, filters).

        Each distinct token is computed once, which is faster, and makes the values of equal windows equal to the last
        bit, wherever they stand: the first of them wins the max.
        """
        if self.embedding is None:
            return [conv.offset_terms(ids) for conv in self.convs]  # type: ignore[operator]
        distinct, places = torch.unique(ids, return_inverse=True)
        embedded = self.embedding(distinct)[None]
        return [conv.offset_terms(embedded)[0][places] for conv in self.convs]  # type: ignore[operator]

    def values(self, ids: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the outputs of the convolutions, (batch, filters, tokens), and the terms that they are sums of.

        While training over an embedding, with dropout, there are no terms.
        """
        if self.training and self.embedding is not None:
            embedded = F.dropout(self.embedding(ids), self.config.embedding_dropout)
            return torch.cat([conv(embedded) for conv in self.convs], dim=1), ()
        terms = self.offset_terms(ids)
        biases = [conv.bias for conv in self.convs]
        windows = [sum_windows(part, bias) for part, bias in zip(terms, biases, strict=True)]  # type: ignore[arg-type]
        return torch.cat(windows, dim=1), tuple(terms)

    def trace(self, ids: Tensor, lengths: Tensor) -> Trace:
        """Run the network and keep what it computed.

        Args:
            ids: token indices (batch, tokens), PAD after each headline's end.
            lengths: tokens of each headline (batch,).
        """
        real = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
        # A look-up learns at the winners alone; batch norm needs the gradient of all values.
        at_winners = self.training and self.embedding is None and self.batch_norm is None
        with torch.set_grad_enabled(torch.is_grad_enabled() and not at_winners):
            values, terms = self.values(ids)
        if self.batch_norm is not None:
            values = self._normalize(values, real)
        # By index: the first of equals wins, and gets the gradient alone.
        maxima, winners = values.masked_fill(~real[:, None], -math.inf).max(2)
        if at_winners:
            parts = zip(self.convs, torch.split(winners, self.config.num_filters, dim=1), strict=True)
            maxima = torch.cat([conv.at(ids, won) for conv, won in parts], dim=1)  # type: ignore[operator]
        active = (lengths > 0)[:, None].expand_as(maxima)
        if self.config.activation == "relu":
            active = active & (maxima > 0)
        pooled = torch.where(active, maxima, 0.0)
        return Trace(values, winners, pooled, active, self.head(pooled), () if self.training else terms)

    def head(self, pooled: Tensor) -> Tensor:
        """Return the logits (batch, classes) of pooled values (batch, filters); with dropout while training."""
        hidden = pooled if self.hidden is None else self.hidden(pooled)
        logits: Tensor = self.output(F.dropout(hidden, self.config.dropout, self.training))
        return logits

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits (batch, classes) of token indices (batch, tokens) with `lengths` (batch,)."""
        return self.trace(ids, lengths).logits

    def _normalize(self, values: Tensor, real: Tensor) -> Tensor:
        """Batch norm over the real tokens alone: padding must not move the statistics."""
        norm = self.batch_norm
        assert norm is not None
        by_token = values.transpose(1, 2)
        tokens = by_token[real]
        if len(tokens) > 1:
            normalized = norm(tokens)
        else:  # one word alone has no variance
            normalized = F.batch_norm(tokens, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)
        result = torch.zeros_like(by_token)
        result[real] = normalized
        return result.transpose(1, 2)

    def filter_affine(self) -> tuple[Tensor, Tensor]:
        """Return scale and shift (filters,) such that a value is scale x (sum of its offset terms) + shift.

        They hold in evaluation mode: batch norm with its running statistics.
        """
        bias = torch.cat([conv.bias for conv in self.convs])  # type: ignore[misc]
        if self.batch_norm is None:
            return torch.ones_like(bias), bias
        norm = self.batch_norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        return scale, scale * (bias - norm.running_mean) + norm.bias

    def output_map(self) -> tuple[Tensor, Tensor]:
        """Return weight (classes, filters) and bias (classes,) of the linear map from pooled values to logits."""
        if self.hidden is None:
            return self.output.weight, self.output.bias
        weight = self.output.weight @ self.hidden.weight
        return weight, self.output.weight @ self.hidden.bias + self.output.bias

    @torch.no_grad()
    def center_output(self) -> None:
        """Subtract from the last layer its mean over classes: no probability changes, and a word that pushes all
        classes alike gets a contribution of zero.
        """
        self.output.weight.sub_(self.output.weight.mean(0))
        self.output.bias.sub_(self.output.bias.mean())
