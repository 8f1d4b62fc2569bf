"""From headlines to a trained network: seeds, device, steps, early stopping, and the fit of a whole model."""

import copy
import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import f1_score
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from textcnn.batches import Batch, HeadlineDataset
from textcnn.config import Config, TrainConfig
from textcnn.errors import ConfigError, DataError
from textcnn.inference import predict_logits
from textcnn.model import TextCNN
from textcnn.text import LabelEncoder, Tokenizer
from textcnn.vectors import Vectors, load_vectors

__all__ = ["Epoch", "Fit", "Trainer", "encode", "fit", "pick_device", "set_seeds"]

log = logging.getLogger(__name__)

_UNK_INDEX = 1
_Tensors = tuple[Tensor, ...] | list[Tensor]


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training rows came to."""

    epoch: int  # from 1
    train_loss: float  # weighted and smoothed as configured
    val_loss: float | None  # weighted, never smoothed; None without validation rows
    val_f1: float | None  # weighted by class
    learning_rate: float  # at the end of the epoch
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a plain dictionary."""
        return asdict(self)


def set_seeds(seed: int = 1234) -> None:
    """Seed every generator in use (lesson: Set up), so that one seed gives one model on one machine's CPU."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - libraries that still draw from the global generator
    torch.manual_seed(seed)  # all devices


def pick_device(name: str = "auto") -> torch.device:
    """Return the device to train on.

    Args:
        name: "cpu", "cuda", "mps", or "auto" for the first of cuda, mps, cpu that is there.

    Raises:
        ConfigError: another name, or a device that is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, available in there.items() if available)
    if not there.get(name):
        available = [device for device, is_there in there.items() if is_there]
        raise ConfigError(f"device is {name!r}: on this machine there is {', '.join(available)}, or auto.")
    return torch.device(name)


def drop_words(ids: Tensor, rare: Tensor, config: TrainConfig) -> Tensor:
    """Turn some words into unknown ones, rare ones more often (word dropout, Iyyer et al. 2015).

    Args:
        ids: token indices (batch, tokens).
        rare: (vocabulary,) bool, whether a word stands once in the training rows.
        config: the two shares.
    """
    if not config.word_dropout and not config.rare_word_dropout:
        return ids
    shares = torch.where(rare[ids], max(config.rare_word_dropout, config.word_dropout), config.word_dropout)
    hit = (torch.rand(ids.shape, device=ids.device) < shares) & (ids != 0)
    return ids.masked_fill(hit, _UNK_INDEX)


class Trainer:
    """The lesson's `Trainer`: train, evaluation and prediction steps, and the loop with early stopping."""

    def __init__(self, model: TextCNN, config: TrainConfig, class_weights: Tensor, device: torch.device) -> None:
        """Take ready parts.

        Args:
            model: on `device`.
            config: the settings of the training.
            class_weights: (classes,) of the loss; the lesson's are 1 / count.
            device: of model and data.
        """
        self.model = model
        self.config = config
        self.device = device
        self.class_weights = class_weights.to(device)
        fused = device.type in ("cpu", "cuda")
        self.optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=fused)
        self.average: AveragedModel | None = None
        if config.weight_average is not None:
            self.average = AveragedModel(model, multi_avg_fn=_averaging(config.weight_average), use_buffers=True)
        self.schedule: _Schedule | None = None

    @property
    def result(self) -> TextCNN:
        """The network to evaluate: the averaged one where weights are averaged."""
        return self.model if self.average is None else self.average.module  # type: ignore[return-value]

    def train_step(self, batches: Iterator[Batch], rare: Tensor, progress: "tqdm[Any]") -> Tensor:
        """Pass once over `batches` and return the mean loss of a headline; it stays on the device until read."""
        self.model.train()
        losses: list[Tensor] = []
        counts: list[int] = []
        for batch in batches:
            self.optimizer.zero_grad()
            loss = self._loss(batch, rare)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            if self.schedule is not None:
                self.schedule.step()
            if self.average is not None:
                self.average.update_parameters(self.model)
            losses.append(loss.detach())
            counts.append(len(batch.rows))
            progress.update()
        shares = torch.tensor(counts, device=self.device) / sum(counts)
        return torch.stack(losses) @ shares

    def _loss(self, batch: Batch, rare: Tensor) -> Tensor:
        """Weighted, smoothed cross entropy; with R-Drop (Wu et al. 2021) of two passes, and how far they differ."""
        smoothing = self.config.label_smoothing
        assert batch.targets is not None
        if not self.config.consistency:
            logits = self.model(drop_words(batch.ids, rare, self.config), batch.lengths)
            return F.cross_entropy(logits, batch.targets, weight=self.class_weights, label_smoothing=smoothing)
        # Both passes as one batch of twice the size: each row draws its own dropout.
        ids = drop_words(batch.ids.repeat(2, 1), rare, self.config)
        logits = self.model(ids, batch.lengths.repeat(2))
        targets = batch.targets.repeat(2)
        loss = F.cross_entropy(logits, targets, weight=self.class_weights, label_smoothing=smoothing)
        one, other = F.log_softmax(logits, 1).chunk(2)
        # The mean of both divergences: sum over classes of (p - q) (log p - log q) / 2.
        apart = ((one.exp() - other.exp()) * (one - other)).sum(1).mean() / 2
        return loss + self.config.consistency * apart

    def eval_step(self, dataset: HeadlineDataset) -> tuple[float, float]:
        """Return the weighted loss and the weighted F1 on a dataset with targets."""
        logits = predict_logits(self.result, dataset)
        assert dataset.targets is not None
        loss = F.cross_entropy(logits, dataset.targets.cpu(), weight=self.class_weights.cpu())
        return float(loss), float(f1_score(dataset.targets.cpu(), logits.argmax(1), average="weighted"))

    def predict_step(self, dataset: HeadlineDataset) -> np.ndarray:
        """Return probabilities (headlines, classes); softmax over the classes of each headline by name."""
        return F.softmax(predict_logits(self.result, dataset), dim=1).numpy()

    def train(
        self,
        train: HeadlineDataset,
        validation: HeadlineDataset | None = None,
        *,
        replay: Sequence[Epoch] | None = None,
        progress: bool = False,
    ) -> list[Epoch]:
        """Train, and leave in `result` a copy of the best weights by validation loss.

        The lesson keeps a reference to the model as its best, and so returns the last.

        Args:
            train: rows to learn from, on the device.
            validation: rows to choose the epoch by; without, the last weights stay.
            replay: epochs of an earlier run whose number and learning rates to repeat, for a refit.
            progress: show a bar.

        Returns:
            What each epoch came to.
        """
        config = self.config
        generator = torch.Generator().manual_seed(config.seed)
        steps = -(-len(train) // config.batch_size)
        epochs = config.epochs if replay is None else len(replay)
        self.schedule = _Schedule(self.optimizer, config, steps, replay)
        rare = torch.bincount(train.flat[:-1], minlength=self.model.num_tokens) <= 1
        stopping = _EarlyStopping(self.result, config.patience)
        history: list[Epoch] = []
        with tqdm(total=epochs * steps, unit="step", disable=not progress, leave=False) as bar:
            for epoch in range(1, epochs + 1):
                started = time.perf_counter()
                self.schedule.start_epoch(epoch)
                loss = self.train_step(train.batches(config.batch_size, generator), rare, bar)
                val_loss, val_f1 = (None, None) if validation is None else self.eval_step(validation)
                seconds = time.perf_counter() - started
                history.append(Epoch(epoch, float(loss), val_loss, val_f1, self.schedule.rate, seconds))
                _log_epoch(history[-1], epochs, len(train))
                if val_loss is not None:
                    self.schedule.end_epoch(val_loss)
                    if stopping.update(val_loss):
                        log.info("Stopping early: %d epochs without a better validation loss.", config.patience)
                        break
        stopping.restore()
        return history


class _Schedule:
    """The learning rate, step by step and epoch by epoch."""

    def __init__(
        self, optimizer: torch.optim.Optimizer, config: TrainConfig, steps: int, replay: Sequence[Epoch] | None
    ) -> None:
        self.optimizer = optimizer
        self.plateau: ReduceLROnPlateau | None = None
        self.one_cycle: OneCycleLR | None = None
        self.replay = replay if config.schedule == "plateau" else None
        if config.schedule == "plateau":
            self.plateau = ReduceLROnPlateau(optimizer, factor=0.1, patience=3)
        else:
            # Two steps at least: a schedule of one step has only its end, next to no rate at all.
            total = max(2, config.epochs * steps)
            self.one_cycle = OneCycleLR(optimizer, max_lr=config.learning_rate, total_steps=total)

    @property
    def rate(self) -> float:
        """The learning rate now."""
        return float(self.optimizer.param_groups[0]["lr"])

    def start_epoch(self, epoch: int) -> None:
        """Take the rate that the same epoch of the earlier run had, where one is replayed."""
        if self.replay is not None:
            for group in self.optimizer.param_groups:
                group["lr"] = self.replay[epoch - 1].learning_rate

    def step(self) -> None:
        """Go on by one step of the optimizer; the last of the schedule stays, one more would raise the rate again."""
        if self.one_cycle is not None and self.one_cycle.last_epoch + 1 < self.one_cycle.total_steps:
            self.one_cycle.step()

    def end_epoch(self, val_loss: float) -> None:
        """Lower the rate where the validation loss asks for it."""
        if self.plateau is not None:
            self.plateau.step(val_loss)


def _averaging(decay: float) -> Callable[[_Tensors, _Tensors, Tensor | int], None]:
    """A moving average that starts short, so that a training of few steps is not left with its first weights."""

    def update(averaged: _Tensors, current: _Tensors, steps: Tensor | int) -> None:
        step = int(steps)  # on the CPU, whatever the device of the weights
        keep = min(decay, (1 + step) / (10 + step))
        for average, value in zip(averaged, current, strict=True):
            if average.is_floating_point():
                average.lerp_(value, 1 - keep)
            else:  # batch norm counts its batches
                average.copy_(value)

    return update


class _EarlyStopping:
    """Keeps a copy of the best weights, and says when to stop waiting for better ones."""

    def __init__(self, model: nn.Module, patience: int | None) -> None:
        self.model = model
        self.patience = patience
        self.best_loss = float("inf")
        self.best_weights: dict[str, Tensor] | None = None
        self.waited = 0

    def update(self, val_loss: float) -> bool:
        if val_loss < self.best_loss:
            self.best_loss, self.waited = val_loss, 0
            self.best_weights = copy.deepcopy(self.model.state_dict())
        else:
            self.waited += 1
        return self.patience is not None and self.waited >= self.patience

    def restore(self) -> None:
        if self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)


def _log_epoch(epoch: Epoch, epochs: int, rows: int) -> None:
    validation = "" if epoch.val_loss is None else f" | val_loss {epoch.val_loss:.4f} | val_f1 {epoch.val_f1:.4f}"
    log.info(
        "Epoch %d/%d | train_loss %.4f%s | lr %.1e | %.1f s | %s headlines/s",
        *(epoch.epoch, epochs, epoch.train_loss, validation, epoch.learning_rate, epoch.seconds),
        f"{rows / max(epoch.seconds, 1e-9):,.0f}",
    )


def _start_from(vectors: Vectors, model: TextCNN, tokenizer: Tokenizer) -> None:
    """Set the embeddings of the words, those of PAD and UNK excepted, to the vectors."""
    if model.embedding is None:
        raise ConfigError(
            "A one-hot model (embedding_dim none) has no embedding to start from vectors: --vectors none."
        )
    words = list(tokenizer.token_to_index)[_UNK_INDEX + 1 :]
    first = vectors.of_words(words, model.embedding.embedding_dim)
    with torch.no_grad():
        model.embedding.weight[_UNK_INDEX + 1 :] = torch.from_numpy(first)


@dataclass(frozen=True)
class Fit:
    """A trained model and how it came about."""

    tokenizer: Tokenizer
    label_encoder: LabelEncoder
    model: TextCNN  # on the CPU, in evaluation mode, its last layer centred over classes
    history: list[Epoch]
    rows: int  # headlines learned from
    no_words: int  # training headlines left out because no word of theirs was left to read

    @property
    def best_epoch(self) -> int:
        """The epoch with the least validation loss; the last one without validation."""
        losses = [epoch.val_loss for epoch in self.history]
        if any(loss is None for loss in losses):
            return len(losses)
        return int(np.argmin(np.array(losses, dtype=float))) + 1


def encode(
    titles: Sequence[str], labels: Sequence[str], tokenizer: Tokenizer, label_encoder: LabelEncoder
) -> HeadlineDataset:
    """Return titles and labels as token and class indices."""
    return HeadlineDataset.from_flat(*tokenizer.encode(titles), label_encoder.encode(labels))


def fit(
    titles: Sequence[str],
    labels: Sequence[str],
    config: Config,
    *,
    validation: tuple[Sequence[str], Sequence[str]] | None = None,
    replay: Sequence[Epoch] | None = None,
    vectors: Vectors | None = None,
    device: torch.device | None = None,
    progress: bool = False,
) -> Fit:
    """Learn vocabulary, classes and weights from headlines.

    Args:
        titles: headlines as typed; those without a word to read are left out and counted.
        labels: the class of each.
        config: all settings.
        validation: titles and labels to choose the epoch by.
        replay: epochs of an earlier run to repeat, for a refit on more rows.
        vectors: first embeddings, loaded already; by default those that the configuration names.
        device: where to train; the CPU by default.
        progress: show a bar.

    Raises:
        DataError: no headline has a word, fewer than two classes are left, or the word vectors cannot be had.
    """
    device = device or torch.device("cpu")
    if vectors is None and config.train.vectors is not None:
        vectors = load_vectors(config.train.vectors)
    set_seeds(config.train.seed)
    tokenizer = Tokenizer.fit_on_texts(titles, config.text)
    flat, lengths = tokenizer.encode(titles)
    kept_labels = [label for label, length in zip(labels, lengths, strict=True) if length]
    label_encoder = LabelEncoder.fit(kept_labels)
    if len(label_encoder) < 2:
        raise DataError(f"The training rows have the classes {label_encoder.classes}: at least two are needed.")
    targets = label_encoder.encode(kept_labels)
    train = HeadlineDataset.from_flat(flat, lengths[lengths > 0], targets).to(device)  # no token of the rest is in flat
    watched = None if validation is None else encode(*validation, tokenizer, label_encoder).to(device)

    model = TextCNN(config.model, len(tokenizer), len(label_encoder))
    if vectors is not None:
        _start_from(vectors, model, tokenizer)
    model.to(device)
    weights = torch.from_numpy(1 / np.bincount(targets, minlength=len(label_encoder))).float()
    trainer = Trainer(model, config.train, weights, device)
    history = trainer.train(train, watched, replay=replay, progress=progress)
    result = trainer.result.cpu().eval()
    result.center_output()
    return Fit(tokenizer, label_encoder, result, history, len(train), len(titles) - len(train))
