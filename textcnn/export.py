"""The network as an ONNX file: the way into a browser or another language.

The file maps `ids`, int64 (headlines, tokens), to `probabilities`, float32 (headlines, classes), the temperature
applied. The token indices are those of tokenizer.json, which lists the vocabulary in order: a word that is not in it is
1 (UNK), and shorter headlines are filled up with 0 (PAD) on the right; a headline without a word is all 0. Class names
and the cleaning that the words are cut with stand in the file's metadata.
"""

import contextlib
import io
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from textcnn.classifier import HeadlineClassifier
from textcnn.errors import DataError, TextCNNError

__all__ = ["export_onnx"]


class _Probabilities(nn.Module):
    """Token indices to probabilities; a headline's length is where its padding begins."""

    def __init__(self, classifier: HeadlineClassifier) -> None:
        super().__init__()
        self.model, self.temperature = classifier.model, classifier.temperature

    def forward(self, ids: Tensor) -> Tensor:
        logits = self.model(ids, (ids != 0).sum(1))
        return torch.softmax(logits / self.temperature, dim=1)


def export_onnx(classifier: HeadlineClassifier, path: str | Path) -> Path:
    """Write the network as an ONNX file and return its path; an earlier file is replaced whole, or stays.

    Args:
        classifier: the model.
        path: where to write, for example model.onnx.

    Raises:
        TextCNNError: the exporter is not installed.
        DataError: the file cannot be written.
    """
    path = Path(path)
    if path.is_dir() or not path.resolve().parent.is_dir():
        raise DataError(f"{path} cannot be written: give the name of a file in a folder that exists.")
    try:
        import onnxscript  # noqa: F401  # what torch's exporter stands on, heavy, and needed here alone
    except ImportError:
        raise TextCNNError("The ONNX exporter is not installed: pip install onnx onnxscript.") from None
    network = _Probabilities(classifier).eval()
    example = torch.tensor([[2, 3, 0], [4, 5, 6]])  # two sizes apart from 1, which the exporter would take as fixed
    sizes = {0: torch.export.Dim("headlines"), 1: torch.export.Dim("tokens")}
    with _quiet():
        program = torch.onnx.export(
            network, (example,), dynamo=True, input_names=["ids"], output_names=["probabilities"],
            dynamic_shapes=({**sizes},), verbose=False,
        )  # fmt: skip
        assert program is not None
        program.model.metadata_props.update(
            classes=json.dumps(classifier.classes),
            cleaning=classifier.tokenizer.cleaning,
            preset=classifier.config.preset,
        )
        try:
            with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.resolve().parent) as folder:
                program.save(Path(folder) / path.name, external_data=False)
                os.replace(Path(folder) / path.name, path)
        except OSError as error:
            raise DataError(f"{path} cannot be written: {error.strerror}. Nothing was changed.") from None
    return path


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's progress, and its remarks on packages that are not needed, from the terminal."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
