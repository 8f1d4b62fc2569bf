"""The explanations that faithfulness.py compares: each gives one number a token for one class of one headline.

All are asked for the same class of the same model, about the model's own tokens, from the raw title on.

- ours: `HeadlineClassifier.explain(title).contributions[class]`; and another sum of the same parts, the gradient of the
  class's log-probability times input: the contributions to the class, less the mean of those to all classes, weighted
  with their probabilities.
- leave-one-out: how far the class's logit, or its probability, falls when the token is deleted. No library is needed.
- LIME and SHAP mask by deletion: they get a text of the positions, "0 1 2 ...", each a word of its own, and the model
  reads the tokens at the positions that are left. LIME: `LimeTextExplainer`, its default of 5,000 samples, weights for
  all tokens (its selection of features is off), on probabilities, as its `classifier_fn` must give them. SHAP: its
  default of at most 500 evaluations. Both ask the model in one batch, which is faster than their own batches, and each
  distinct text of LIME's only once.
- Captum explains the class's logit at the embedded tokens, its baseline the zero vector; the numbers of a token's
  dimensions are added up. Integrated gradients with its default of 50 steps; occlusion of one token at a time.
- random: numbers drawn evenly.
"""

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from textcnn import HeadlineClassifier
from textcnn.batches import HeadlineDataset
from textcnn.inference import predict_logits

LIME_SAMPLES, SHAP_EVALUATIONS, GRADIENT_STEPS = 5_000, 500, 50  # the packages' own defaults
KINDS = ("logit", "probability")  # of the class: what can be explained


@dataclass(frozen=True)
class Attribution:
    """One number a token, and what they claim to add up to."""

    values: np.ndarray  # (tokens,)
    base: float | None = None  # base + values.sum() is the output; None: the method does not say
    output: str = "logit"  # what it explains: "logit" or "probability" of the class


Explainer = Callable[[str, int, int], Attribution]  # title, class, seed


@dataclass(frozen=True)
class Asked:
    """The model, asked about token indices instead of titles."""

    classifier: HeadlineClassifier

    def ids(self, title: str) -> np.ndarray:
        """Return the token indices of a headline."""
        return np.array([token.index for token in self.classifier.tokenizer.tokenize(title)], dtype=np.int64)

    def logits(self, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """Return the logits (headlines, classes)."""
        return predict_logits(self.classifier.model, HeadlineDataset(sequences)).numpy()

    def probabilities(self, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """Return the probabilities (headlines, classes)."""
        return self.softmax(self.logits(sequences))

    def softmax(self, logits: np.ndarray) -> np.ndarray:
        """Return the classifier's probabilities of logits."""
        return torch.softmax(torch.from_numpy(logits) / self.classifier.temperature, dim=-1).numpy()

    def output(self, sequences: Sequence[np.ndarray], kind: str) -> np.ndarray:
        """Return logits or probabilities (headlines, classes)."""
        return self.logits(sequences) if kind == "logit" else self.probabilities(sequences)


class EmbeddedNetwork(nn.Module):
    """The network from its embedded tokens on, of modules that Captum has rules for: DeepLift needs the max as one."""

    def __init__(self, classifier: HeadlineClassifier) -> None:
        super().__init__()
        self.network = classifier.model
        if self.network.embedding is None or self.network.batch_norm is not None:
            raise ValueError("A network with embeddings and without batch norm is expected.")
        self.pool = nn.MaxPool1d(1)
        self.activation = nn.ReLU() if self.network.config.activation == "relu" else nn.Identity()

    def embedded(self, ids: np.ndarray) -> Tensor:
        """Return the vectors of a headline's tokens, (1, tokens, embedding)."""
        assert self.network.embedding is not None
        return self.network.embedding(torch.from_numpy(ids)[None]).detach()

    @torch.no_grad()
    def at_zero(self) -> np.ndarray:
        """Return the logits (classes,) of zero vectors: however many there are, each window holds the same."""
        assert self.network.embedding is not None
        return self(torch.zeros(1, 1, self.network.embedding.embedding_dim))[0].numpy()

    def forward(self, embedded: Tensor) -> Tensor:
        """Map embedded headlines of one length (batch, tokens, embedding) to logits (batch, classes)."""
        values = torch.cat([conv(embedded) for conv in self.network.convs], dim=1)
        self.pool.kernel_size = values.shape[2]
        return self.network.head(self.activation(self.pool(values)).flatten(1))


def own(classifier: HeadlineClassifier) -> dict[str, Explainer]:
    """Return the library's explanation, and another sum of its parts."""

    def ours(title: str, class_: int, seed: int) -> Attribution:
        explanation = classifier.explain(title)
        return Attribution(explanation.contributions[class_], float(explanation.bias[class_]))

    def log_probability(title: str, class_: int, seed: int) -> Attribution:
        explanation = classifier.explain(title)
        weights = -np.array([explanation.distribution[name] for name in explanation.classes])
        weights[class_] += 1
        return Attribution(weights @ explanation.contributions)

    return {"ours": ours, "ours, log-probability": log_probability}


def leave_one_out(asked: Asked, kind: str) -> Explainer:
    """Return the fall of the class's logit or probability when each token is deleted."""

    def explain(title: str, class_: int, seed: int) -> Attribution:
        ids = asked.ids(title)
        output = asked.output([ids, *(np.delete(ids, place) for place in range(len(ids)))], kind)[:, class_]
        return Attribution(output[0] - output[1:], output=kind)

    return explain


def positions(ids: np.ndarray) -> str:
    """Return a text in which each token is a word of its own: its position."""
    return " ".join(map(str, range(len(ids))))


def kept(ids: np.ndarray, texts: Sequence[str]) -> list[np.ndarray]:
    """Return the tokens at the positions that each text still names."""
    return [ids[[int(place) for place in re.findall(r"\d+", text)]] for text in texts]


def lime(asked: Asked, *, distinct: bool = True) -> dict[str, Explainer]:
    """Return LIME; `distinct` asks the model once about samples that are equal."""
    from lime.lime_text import LimeTextExplainer  # in requirements-bench.txt: the tests do without

    def explain(title: str, class_: int, seed: int) -> Attribution:
        ids = asked.ids(title)

        def answer(texts: list[str]) -> np.ndarray:
            if not distinct:
                return asked.probabilities(kept(ids, texts))
            different = list(dict.fromkeys(texts))
            rows = dict(zip(different, asked.probabilities(kept(ids, different)), strict=True))
            return np.array([rows[text] for text in texts])

        explainer = LimeTextExplainer(feature_selection="none", random_state=seed)
        found = explainer.explain_instance(
            positions(ids), answer, labels=(class_,), num_features=len(ids), num_samples=LIME_SAMPLES
        )
        values = np.zeros(len(ids))
        for place, weight in found.local_exp[class_]:
            values[place] = weight
        return Attribution(values, float(found.intercept[class_]), "probability")

    return {"lime": explain}


def shap(asked: Asked, kind: str, *, batch: int | str = SHAP_EVALUATIONS) -> dict[str, Explainer]:
    """Return the partition and the permutation explainer of SHAP, of the class's logit or probability."""
    from shap import PartitionExplainer, PermutationExplainer, maskers

    def explained_by(make: Any) -> Explainer:
        def explain(title: str, class_: int, seed: int) -> Attribution:
            ids = asked.ids(title)

            def answer(texts: Sequence[str]) -> np.ndarray:
                return asked.output(kept(ids, texts), kind)[:, class_].astype(np.float64)

            np.random.seed(seed)  # noqa: NPY002  # it draws from NumPy's old global state
            explainer = make(answer, maskers.Text(r"\W+"))
            found = explainer([positions(ids)], max_evals=SHAP_EVALUATIONS, batch_size=batch, silent=True)
            return Attribution(found.values[0], float(np.ravel(found.base_values)[0]), kind)

        return explain

    return {
        f"shap partition, {kind}": explained_by(PartitionExplainer),
        f"shap permutation, {kind}": explained_by(PermutationExplainer),
    }


def captum(asked: Asked) -> dict[str, Explainer]:
    """Return the methods of Captum, of the class's logit."""
    from captum.attr import DeepLift, InputXGradient, IntegratedGradients, Occlusion

    network = EmbeddedNetwork(asked.classifier).eval()
    zero = network.at_zero()  # once: it is the same for every headline

    def explained_by(attribute: Callable[[Tensor, int], Tensor], *, stated: bool = True) -> Explainer:
        def explain(title: str, class_: int, seed: int) -> Attribution:
            embedded = network.embedded(asked.ids(title))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of hooks and gradients that it sets by itself
                values = attribute(embedded, class_).detach().sum(2)[0].numpy()
            return Attribution(values, float(zero[class_]) if stated else None)

        return explain

    integrated, lift, product, occlusion = (
        method(network) for method in (IntegratedGradients, DeepLift, InputXGradient, Occlusion)
    )

    def occluded(x: Tensor, class_: int) -> Tensor:
        window, tokens = (1, x.shape[2]), x.shape[1]
        values = occlusion.attribute(x, window, target=class_, baselines=0, perturbations_per_eval=tokens)
        return values / x.shape[2]  # the token's number stands at each of its dimensions

    return {
        "integrated gradients": explained_by(
            lambda x, class_: integrated.attribute(x, target=class_, n_steps=GRADIENT_STEPS)
        ),
        "deeplift": explained_by(lambda x, class_: lift.attribute(x, target=class_)),
        "input x gradient": explained_by(lambda x, class_: product.attribute(x.requires_grad_(), target=class_)),
        "occlusion": explained_by(occluded, stated=False),
    }


def random(asked: Asked) -> dict[str, Explainer]:
    """Return a ranking by chance."""

    def explain(title: str, class_: int, seed: int) -> Attribution:
        return Attribution(np.random.default_rng(seed).random(len(asked.ids(title))))

    return {"random": explain}


def explainers(classifier: HeadlineClassifier) -> dict[str, Explainer]:
    """Return every explanation by name."""
    asked = Asked(classifier)
    return {
        **own(classifier),
        **{f"leave-one-out, {kind}": leave_one_out(asked, kind) for kind in KINDS},
        **lime(asked),
        **{name: of for kind in KINDS for name, of in shap(asked, kind).items()},
        **captum(asked),
        **random(asked),
    }


def slow_explainers(classifier: HeadlineClassifier) -> dict[str, Explainer]:
    """Return LIME and SHAP as they come: with batches of their own, LIME's samples all asked for."""
    asked = Asked(classifier)
    return {
        **lime(asked, distinct=False),
        **{name: of for kind in KINDS for name, of in shap(asked, kind, batch="auto").items()},
    }
