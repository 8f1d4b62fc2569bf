"""Slow, literal versions to compare with, written from the lesson's text; and the small networks to compare on.

One headline at a time, one window at a time, over one-hot rows: what the library computes by look-up and in batches.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import Tensor, nn

from textcnn.config import ModelConfig
from textcnn.model import LookupConvolution, TextCNN

VOCABULARY = 40  # tokens of a network to compare on, PAD and UNK included


def to_categorical(sequence: Sequence[int], num_classes: int) -> np.ndarray:
    """Turn token indices into one-hot rows (tokens, num_classes) (lesson: One-hot encoding)."""
    rows = np.zeros((len(sequence), num_classes))
    for place, index in enumerate(sequence):
        rows[place, index] = 1
    return rows


def pad_sequences(sequences: Sequence[np.ndarray], max_seq_len: int = 0) -> np.ndarray:
    """Pad one-hot headlines with zero rows: (headlines, tokens, vocabulary) (lesson: Padding).

    Args:
        sequences: one-hot rows of each headline (tokens, vocabulary).
        max_seq_len: tokens of the result, if no headline is longer.
    """
    longest = max([max_seq_len, *(len(sequence) for sequence in sequences)])
    filled = []
    for sequence in sequences:
        zeros = np.zeros((longest - len(sequence), sequence.shape[1]))
        filled.append(np.concatenate([sequence, zeros]))
    return np.stack(filled)


def same_padding(length: int, filter_size: int, stride: int = 1) -> tuple[int, int]:
    """Return P = (S (W - 1) - W + F) / 2, rounded down on the left and up on the right (lesson: Filters)."""
    each_side = (stride * (length - 1) - length + filter_size) / 2
    return math.floor(each_side), math.ceil(each_side)


def valid_length(length: int, filter_size: int, stride: int = 1) -> int:
    """Return how many whole windows fit: (W - F) / S + 1, the rest on the right is dropped (lesson: Filters)."""
    windows = 0
    while windows * stride + filter_size <= length:
        windows += 1
    return windows


def convolve(
    one_hot: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int = 1, padding: tuple[int, int] = (0, 0)
) -> np.ndarray:
    """Slide every filter over one headline, window by window (lesson: Filters).

    Args:
        one_hot: (tokens, channels).
        weight: (filters, channels, filter_size), as `Conv1d` keeps it.
        bias: (filters,).
        stride: tokens from one window to the next.
        padding: zero rows on the left and right.

    Returns:
        (filters, windows).
    """
    rows = np.pad(one_hot, (padding, (0, 0)))
    filter_size = weight.shape[2]
    windows = valid_length(len(rows), filter_size, stride)
    outputs = np.zeros((len(weight), windows))
    for f, kernel in enumerate(weight):
        for t in range(windows):
            window = rows[t * stride : t * stride + filter_size]
            outputs[f, t] = (window * kernel.T).sum() + bias[f]
    return outputs


def literal_conv1d(lookup: LookupConvolution) -> nn.Sequential:
    """Build the lesson's `Conv1d` over one-hot channels, SAME padding in front of it (lesson: Modeling).

    Args:
        lookup: whose weights to copy.

    Returns:
        Zero padding, then a `Conv1d`: (batch, vocabulary, tokens) to (batch, filters, tokens).
    """
    num_tokens, filter_size, num_filters = lookup.weight.shape
    conv = nn.Conv1d(num_tokens, num_filters, filter_size).to(lookup.weight.dtype)
    with torch.no_grad():
        for f in range(num_filters):
            for o in range(filter_size):
                conv.weight[f, :, o] = lookup.weight[:, o, f]
        conv.bias.copy_(lookup.bias)
    return nn.Sequential(nn.ConstantPad1d(same_padding(filter_size, filter_size), 0.0), conv)


def max_over_time_with_padding(outputs: Tensor) -> Tensor:
    """Take the maximum over all places, padding too, so that padding can win (lesson: Pooling).

    Args:
        outputs: (batch, filters, tokens).

    Returns:
        (batch, filters).
    """
    return F.max_pool1d(outputs, outputs.shape[2]).squeeze(2)


def literal_inputs(model: TextCNN, ids: Sequence[int]) -> Tensor:
    """Return what stands for one headline's words: (1, channels, tokens), one-hot or embedded."""
    one_hot = torch.from_numpy(to_categorical(ids, model.num_tokens)).to(model.output.weight.dtype)
    return (one_hot if model.embedding is None else one_hot @ model.embedding.weight).detach().T[None]


def literal_logits(model: TextCNN, inputs: Tensor) -> Tensor:
    """Return the logits (classes,) of one headline, layer by layer in evaluation mode (lesson: Modeling).

    Args:
        model: whose weights to use.
        inputs: `literal_inputs` of a headline of at least one token; the gradient can flow to them.
    """
    maps = []
    for conv in model.convs:
        if isinstance(conv, LookupConvolution):
            maps.append(literal_conv1d(conv)(inputs))
        else:
            padding = same_padding(inputs.shape[2], conv.kernel_size[0])
            maps.append(F.conv1d(F.pad(inputs, padding), conv.weight, conv.bias))
    values = torch.cat(maps, dim=1)
    if (norm := model.batch_norm) is not None:
        values = (values - norm.running_mean[:, None]) / torch.sqrt(norm.running_var[:, None] + norm.eps)
        values = values * norm.weight[:, None] + norm.bias[:, None]
    units = values.max(2).values[0]
    if model.config.activation == "relu":
        units = units.clamp(min=0)
    for layer in (model.hidden, model.output):
        if layer is not None:
            units = layer.weight @ units + layer.bias
    return units


def covered(winner: int, filter_size: int, length: int) -> set[int]:
    """Return the tokens that output t reads: t - floor((F - 1) / 2) to t + ceil((F - 1) / 2), within the headline."""
    first = winner - math.floor((filter_size - 1) / 2)
    last = winner + math.ceil((filter_size - 1) / 2)
    return {t for t in range(first, last + 1) if 0 <= t < length}


def network(config: ModelConfig, seed: int = 0, dtype: torch.dtype = torch.float32) -> TextCNN:
    """Draw a network with weights away from zero, and batch-norm statistics away from their defaults."""
    torch.manual_seed(seed)
    model = TextCNN(config, VOCABULARY, num_classes=4).to(dtype).eval()
    with torch.no_grad():
        for weight in model.token_weights:
            weight[1:] = torch.randn_like(weight[1:])
        if (norm := model.batch_norm) is not None:
            for tensor in (norm.weight, norm.bias, norm.running_mean):
                tensor.normal_()
            norm.running_var.uniform_(0.5, 2)
    return model


# Every kind of network, small: one-hot and embedded, filter sizes 1 to 5, with and without each optional layer.
configs = st.builds(
    ModelConfig,
    embedding_dim=st.sampled_from([None, 8]),
    filter_sizes=st.lists(st.integers(1, 5), min_size=1, max_size=3, unique=True),
    num_filters=st.integers(1, 6),
    activation=st.sampled_from(["relu", "none"]),
    batch_norm=st.booleans(),
    hidden_dim=st.sampled_from([None, 7]),
)
words = st.integers(1, VOCABULARY - 1)  # token indices of what is not padding
headlines = st.lists(words, max_size=12)
seeds = st.integers(0, 2**16)
