"""`HeadlineClassifier`: the one public face of a trained model."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, overload

import numpy as np
import torch

from textcnn import artifacts, hub
from textcnn.batches import HeadlineDataset
from textcnn.card import model_card
from textcnn.config import Config
from textcnn.errors import DataError
from textcnn.explain import Explanation, contributions
from textcnn.filters import FilterSummary
from textcnn.inference import predict_logits
from textcnn.model import TextCNN
from textcnn.text import UNK, LabelEncoder, Token, Tokenizer, doubt
from textcnn.training import Fit

__all__ = ["HeadlineClassifier", "Prediction"]


@dataclass(frozen=True)
class Prediction:
    """The answer for one headline."""

    title: str  # as typed
    label: str  # the most probable class
    distribution: dict[str, float]  # probabilities of all classes, the most probable first
    tokens: tuple[Token, ...]

    @property
    def probability(self) -> float:
        """The probability of `label`."""
        return self.distribution[self.label]

    @property
    def unknown(self) -> tuple[Token, ...]:
        """The tokens that the vocabulary does not have."""
        return tuple(token for token in self.tokens if not token.known)

    @property
    def unknown_share(self) -> float:
        """Share of the tokens that the vocabulary does not have, 0 to 1; 1 where there is no token to read."""
        return len(self.unknown) / len(self.tokens) if self.tokens else 1.0

    @property
    def doubt(self) -> str | None:
        """A sentence for the reader where the model had next to nothing to read, else None."""
        return doubt(self.tokens)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain lists and dictionaries."""
        return {
            "title": self.title,
            "label": self.label,
            "distribution": self.distribution,
            "doubt": self.doubt,
            "tokens": [token.to_dict() for token in self.tokens],
        }


class HeadlineClassifier:
    """A trained model: headlines in, distributions over the classes and exact explanations out.

    Nothing in it changes after it is built, so threads may share one.
    """

    def __init__(
        self,
        config: Config,
        tokenizer: Tokenizer,
        label_encoder: LabelEncoder,
        model: TextCNN,
        *,
        temperature: float = 1.0,
        picture_scale: float = 1.0,
        performance: Mapping[str, Any] | None = None,
        filters: Sequence[FilterSummary] = (),
    ) -> None:
        """Take ready parts; `from_pretrained` reads them from a folder.

        Args:
            config: how the model was made.
            tokenizer: headline to token indices.
            label_encoder: class names.
            model: the network, on the CPU.
            temperature: what logits are divided by before the softmax.
            picture_scale: the convolution output at which the heat map's colours end.
            performance: what was measured, and on what.
            filters: what each filter looks for, all of them or none.

        Raises:
            DataError: some filters are described and others not.
        """
        count = len(config.model.windows)
        if len(filters) not in (0, count):
            raise DataError(f"Got descriptions of {len(filters)} filters: the network has {count}.")
        self.config = config
        self.tokenizer = tokenizer
        self.label_encoder = label_encoder
        self.model = model.eval()
        self.temperature = temperature
        self.picture_scale = picture_scale
        self.performance = performance
        self.filters = tuple(filters)
        self._filter_names = tuple(summary.name for summary in self.filters)

    @classmethod
    def from_fit(cls, fitted: Fit, config: Config, **settings: Any) -> Self:
        """Build a classifier from what `training.fit` gave; `settings` are the keyword arguments of `__init__`."""
        return cls(config, fitted.tokenizer, fitted.label_encoder, fitted.model, **settings)

    @classmethod
    def from_pretrained(cls, source: str | Path, *, revision: str | None = None, seconds: float = hub.SECONDS) -> Self:
        """Read a model from its artifact folder, or from the Hugging Face Hub.

        From the Hub come the files that are needed and no others, into huggingface_hub's cache; every hash is checked.
        A revision that is a commit's full hash is read from a complete cache without a request.

        Args:
            source: a folder, or owner/name where there is no such folder.
            revision: branch, tag or commit on the Hub; by default the main branch.
            seconds: that the Hub may take.

        Raises:
            ArtifactError: a file is missing, altered or inconsistent; the message names it.
            HubError: the Hub could not be reached or does not have the model.
        """
        if not hub.is_repo_id(source) or (revision is None and artifacts.is_there(source)):
            if revision is not None:
                raise DataError(f"Got the revision {revision!r} of the folder {source}: revisions are of Hub models.")
            parts = artifacts.load(source)
        else:
            parts = artifacts.load_from_hub(str(source), revision, seconds)
        return cls(
            parts.config,
            parts.tokenizer,
            parts.label_encoder,
            parts.model,
            temperature=parts.temperature,
            picture_scale=parts.picture_scale,
            performance=parts.performance,
            filters=parts.filters,
        )

    def save_pretrained(
        self, folder: str | Path, *, card: str = "", figures: Mapping[str, bytes] | None = None
    ) -> Path:
        """Write the artifact folder, whole or not at all, and return it.

        Args:
            folder: new, empty, or of an earlier save, which is replaced.
            card: text of the model card, README.md.
            figures: PNG files by name.

        Raises:
            ArtifactError: the folder cannot be written or holds files that are not artifacts.
        """
        parts = artifacts.Artifacts(
            self.config,
            self.tokenizer,
            self.label_encoder,
            self.model,
            self.temperature,
            self.picture_scale,
            self.performance,
            self.filters,
        )
        return artifacts.save(folder, parts, card, figures)

    def push_to_hub(self, repo: str, *, private: bool = False, tag: str | None = None, space: str | None = None) -> str:
        """Publish the model on the Hugging Face Hub in one commit, with its card, and return the address.

        Args:
            repo: owner/name; it is created if it is not there. Files of it that are not ours stay.
            private: whether a new repository is private.
            tag: a name for this state, such as v1.
            space: owner/name of the Space that the library is installed from; by default `repo`.

        Raises:
            HubError: it failed; the message says what to do.
            DataError: nothing is known of the model's performance, of which its card speaks.
        """
        if self.performance is None:
            raise DataError("This model has no performance to speak of in its card: train it with train.py.")
        card = model_card(self.config, self.performance, filters=self.filters, repo=repo, space=space)
        with tempfile.TemporaryDirectory() as folder:
            return hub.publish(
                self.save_pretrained(Path(folder) / repo.rpartition("/")[2], card=card), repo, private=private, tag=tag
            )

    @property
    def classes(self) -> list[str]:
        """The class names, in the order of the columns of `predict_proba`."""
        return self.label_encoder.classes

    @overload  # a string is a sequence of strings too: the first signature is tried first
    def predict(self, titles: str) -> Prediction: ...  # type: ignore[overload-overlap]

    @overload
    def predict(self, titles: Sequence[str]) -> list[Prediction]: ...

    def predict(self, titles: str | Sequence[str]) -> Prediction | list[Prediction]:
        """Classify one headline, or each of a list.

        Args:
            titles: headlines as typed. An empty one, or one without a known word, gets an answer too: see
                `Prediction.unknown_share`.

        Returns:
            One prediction for a string, a list of them for a list.

        Raises:
            DataError: something that is not a string.

        >>> model = HeadlineClassifier.from_pretrained("artifacts/default")
        >>> model.predict("Stocks slide as oil prices hit a new high").label
        'Business'
        """
        listed = [titles] if isinstance(titles, str) else _strings(titles)
        tokens = [tuple(self.tokenizer.tokenize(title)) for title in listed]
        probabilities = self._probabilities(HeadlineDataset([_indices(found) for found in tokens]))
        predictions = [
            Prediction(title, self.classes[row.argmax()], self._ranked(row), found)
            for title, row, found in zip(listed, probabilities, tokens, strict=True)
        ]
        return predictions[0] if isinstance(titles, str) else predictions

    def predict_proba(self, titles: Sequence[str]) -> np.ndarray:
        """Return the probabilities of a list of headlines: float32 (headlines, classes), columns as `classes`.

        Raises:
            DataError: something that is not a list of strings.
        """
        return self._probabilities(self._dataset(titles))

    def logits(self, titles: Sequence[str]) -> np.ndarray:
        """Return what the softmax gets before the temperature: float32 (headlines, classes)."""
        return predict_logits(self.model, self._dataset(titles)).numpy()

    @torch.inference_mode()
    def explain(self, title: str, *, left_out: bool = False) -> Explanation:
        """Explain the prediction of one headline.

        Args:
            title: as typed.
            left_out: also predict the headline without each of its tokens, which takes a time that grows with the
                square of their number.

        Raises:
            DataError: something that is not a string.
        """
        (title,) = _strings([title])
        tokens = tuple(self.tokenizer.tokenize(title))
        ids = torch.from_numpy(_indices(tokens))[None]
        padded = ids if tokens else torch.zeros(1, 1, dtype=torch.int64)
        trace = self.model.trace(padded, torch.tensor([len(tokens)]))
        parts = contributions(self.model, ids, trace)
        probabilities = torch.softmax(trace.logits[0] / self.temperature, dim=0).numpy()
        return Explanation(
            title=title,
            tokens=tokens,
            label=self.classes[probabilities.argmax()],
            distribution=self._ranked(probabilities),
            classes=tuple(self.classes),
            by_filter=parts.by_filter,
            bias=parts.bias,
            temperature=self.temperature,
            values=trace.values[0, :, : len(tokens)].numpy(),
            winners=trace.winners[0].numpy(),
            active=trace.active[0].numpy(),
            filter_sizes=np.array(self.config.model.windows),
            picture_scale=self.picture_scale,
            filter_names=self._filter_names,
            left_out=self._left_out(ids[0].numpy(), probabilities) if left_out else None,
        )

    def predict_table(self, titles: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return what `predict` says of many headlines, as arrays and several times faster: no word's place is found.

        Returns:
            The probabilities, float32 (headlines, classes), and the unknown shares, (headlines,).

        Raises:
            DataError: something that is not a list of strings.
        """
        flat, lengths = self.tokenizer.encode(_strings(titles))
        headlines = np.repeat(np.arange(len(lengths)), lengths)  # the one that each token belongs to
        unknown = np.bincount(headlines[flat == self.tokenizer.token_to_index[UNK]], minlength=len(lengths))
        shares = np.where(lengths == 0, 1.0, unknown / np.maximum(lengths, 1))
        return self._probabilities(HeadlineDataset.from_flat(flat, lengths)), shares

    def _left_out(self, ids: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        """The change of each probability if one token is left out: (classes, tokens)."""
        count = len(ids)
        others = np.broadcast_to(ids, (count, count))[~np.eye(count, dtype=bool)]
        shorter = HeadlineDataset.from_flat(others, np.full(count, count - 1))
        return np.asarray(self._probabilities(shorter).T - probabilities[:, None])

    def _dataset(self, titles: Sequence[str]) -> HeadlineDataset:
        return HeadlineDataset.from_flat(*self.tokenizer.encode(_strings(titles)))

    def _probabilities(self, dataset: HeadlineDataset) -> np.ndarray:
        logits = predict_logits(self.model, dataset)
        return torch.softmax(logits / self.temperature, dim=1).numpy()

    def _ranked(self, probabilities: np.ndarray) -> dict[str, float]:
        order = np.argsort(-probabilities, kind="stable")
        return {self.classes[i]: float(probabilities[i]) for i in order}


def _indices(tokens: Sequence[Token]) -> np.ndarray:
    return np.array([token.index for token in tokens], dtype=np.int64)


def _strings(titles: Any) -> list[str]:
    if isinstance(titles, str | bytes | Mapping):
        raise DataError(f"Got {type(titles).__name__}: give a list of headlines, for example [{'title'!r}].")
    try:
        listed = list(titles)
    except TypeError:
        raise DataError(f"Got {type(titles).__name__}: give headlines as a string or a list of strings.") from None
    for place, title in enumerate(listed):
        if not isinstance(title, str):
            raise DataError(f"Headline {place} is {title!r} ({type(title).__name__}): a string is expected.")
    return listed
