"""The part of speed.py that asks how far a training step is from what the processor can do.

`Trainer.train` itself runs, with clocks around its parts. Its limit is that of bare float32 products of matrices
(torch.mm, the same threads) with the multiply-adds of a dense convolution of the real tokens and of the output layer,
forward once and backward twice. Padding, embedding, dropout, max, loss, optimizer and the average of the weights are on
top. A max sends its gradient to one token a filter, so a backward pass that used that could do with less.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from speed_growth import extent
from torch import Tensor

from textcnn import PRESETS
from textcnn.batches import HeadlineDataset
from textcnn.config import ModelConfig
from textcnn.model import TextCNN
from textcnn.pipeline import select
from textcnn.sources import Headlines
from textcnn.text import LabelEncoder, Tokenizer
from textcnn.training import Trainer


class Clock:
    """Adds up the seconds of parts of a code that runs as it is."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._started = 0.0

    def start(self, *_: Any) -> None:
        """Start a part; the arguments are those of a hook."""
        self._started = time.perf_counter()

    def stop(self, part: str) -> None:
        """Add the time since `start` to a part."""
        self.seconds[part] += time.perf_counter() - self._started

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the same function with a clock around it."""

        def wrapped(*arguments: Any, **settings: Any) -> Any:
            self.start()
            result = function(*arguments, **settings)
            self.stop(part)
            return result

        return wrapped

    def drawn(self, part: str, items: Iterable[Any]) -> Iterator[Any]:
        """Yield the same items with a clock around the making of each."""
        iterator = iter(items)
        while (item := self.timed(part, next)(iterator, self)) is not self:
            yield item

    def shares(self, whole: float) -> dict[str, float]:
        """Return the parts as shares of a time, 0 to 1, with what is left of it."""
        return {
            **{part: seconds / whole for part, seconds in self.seconds.items()},
            "rest": 1 - sum(self.seconds.values()) / whole,
        }


@dataclass(frozen=True)
class Epoch:
    """What one epoch took, and what went through the network in it."""

    seconds: float
    shares: dict[str, float]  # of the seconds, by part
    tokens: int  # real ones
    padded: int  # the same with the padding
    headlines: int  # R-Drop sends each through twice


def step(data: Headlines, steps: int, repeats: int) -> dict[str, Any]:
    """Run training steps and the products of matrices that they cannot do without, in turns.

    Args:
        data: headlines to draw from; their vocabulary is the network's.
        steps: how many a turn, at most.
        repeats: turns, beside one to warm up.
    """
    config = PRESETS["default"].replace(epochs=1, vectors=None)
    tokenizer, encoder = Tokenizer.fit_on_texts(data.titles, config.text), LabelEncoder.fit(data.labels)
    torch.manual_seed(config.train.seed)
    network = TextCNN(config.model, len(tokenizer), len(encoder))
    trainer = Trainer(network, config.train, torch.ones(len(encoder)), torch.device("cpu"))
    batch = config.train.batch_size
    rows = select(data, np.random.default_rng(0).permutation(len(data))[: batch * steps])
    dataset = HeadlineDataset(tokenizer.texts_to_sequences(rows.titles), encoder.encode(rows.labels))
    steps = -(-len(rows) // batch)
    epochs, bare = [timed_epoch(trainer, dataset)], []
    shapes = products(config.model, epochs[0].tokens // steps, epochs[0].headlines // steps, len(encoder))
    for _ in range(repeats):
        epochs.append(timed_epoch(trainer, dataset))
        bare.append(matmul_s(shapes))
    adds = sum(left * inner * right for left, inner, right in shapes)
    counted = epochs[1:]
    return {
        "batch": batch,
        "steps": steps,
        "headlines_a_step": epochs[0].headlines / steps,
        "tokens_a_step": epochs[0].tokens / steps,
        "padding_share": 1 - epochs[0].tokens / epochs[0].padded,
        "multiply_adds": adds,
        "step_ms": extent([epoch.seconds / steps * 1e3 for epoch in counted]),
        "matmul_ms": extent([seconds * 1e3 for seconds in bare]),
        "matmul_gflop_s": 2 * adds / float(np.median(bare)) / 1e9,
        "fraction_of_limit": extent(
            [limit * steps / epoch.seconds for limit, epoch in zip(bare, counted, strict=True)]
        ),
        "shares": {part: float(np.median([epoch.shares[part] for epoch in counted])) for part in counted[0].shares},
    }


def timed_epoch(trainer: Trainer, dataset: HeadlineDataset) -> Epoch:
    """Train one epoch with clocks around its parts.

    The rest is word dropout, loss, schedule and what PyTorch does between the calls.
    """
    clock, network, batches = Clock(), trainer.model, dataset.batches
    given: list[tuple[Tensor, Tensor]] = []
    timed_forward = clock.timed("forward", network.forward)

    def forward(ids: Tensor, lengths: Tensor) -> Tensor:
        given.append((ids, lengths))
        return timed_forward(ids, lengths)

    hooks = [
        trainer.optimizer.register_step_pre_hook(clock.start),
        trainer.optimizer.register_step_post_hook(lambda *_: clock.stop("optimizer")),
    ]
    average = trainer.average
    assert average is not None
    with (
        patch.object(dataset, "batches", lambda *settings: clock.drawn("batches", batches(*settings))),
        patch.object(network, "forward", forward),
        patch.object(Tensor, "backward", clock.timed("backward", Tensor.backward)),
        patch.object(average, "update_parameters", clock.timed("weight average", average.update_parameters)),
    ):
        (epoch,) = trainer.train(dataset)
    for hook in hooks:
        hook.remove()
    return Epoch(
        epoch.seconds,
        clock.shares(epoch.seconds),
        tokens=sum(int(lengths.sum()) for _, lengths in given),
        padded=sum(ids.numel() for ids, _ in given),
        headlines=sum(len(ids) for ids, _ in given),
    )


def products(config: ModelConfig, tokens: int, headlines: int, classes: int) -> list[tuple[int, int, int]]:
    """Return rows, inner size and columns of each product of a step: results, gradients of inputs and of weights."""
    assert config.embedding_dim is not None
    layers = [(tokens, config.embedding_dim * size, config.num_filters) for size in config.filter_sizes]
    layers.append((headlines, config.num_filters * len(config.filter_sizes), classes))
    return [
        shape
        for rows, inputs, outputs in layers
        for shape in ((rows, inputs, outputs), (rows, outputs, inputs), (inputs, rows, outputs))
    ]


def matmul_s(shapes: Sequence[tuple[int, int, int]], repeats: int = 20) -> float:
    """Return the median seconds of all the products, one after the other, into memory that is there already."""
    operands = [(torch.randn(m, k), torch.randn(k, n), torch.empty(m, n)) for m, k, n in shapes]
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        for left, right, result in operands:
            torch.mm(left, right, out=result)
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))
