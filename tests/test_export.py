"""The ONNX file gives the probabilities of the network."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.conftest import AWKWARD, ROOT, STOCKS
from textcnn import DataError, HeadlineClassifier, TextCNNError
from textcnn.__main__ import main
from textcnn.batches import pad_sequences
from textcnn.export import export_onnx
from textcnn.sources import Headlines


@pytest.fixture(scope="module", params=["default", "lesson"])
def exported(
    request: pytest.FixtureRequest,
    small_default: HeadlineClassifier,
    small_lesson: HeadlineClassifier,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[HeadlineClassifier, onnxruntime.InferenceSession]:
    parts = {"default": small_default, "lesson": small_lesson}[request.param]
    model = HeadlineClassifier(
        parts.config, parts.tokenizer, parts.label_encoder, parts.model, temperature=0.7
    )  # a temperature that shows
    path = export_onnx(model, tmp_path_factory.mktemp("onnx") / "model.onnx")
    return model, onnxruntime.InferenceSession(path)


def run(session: onnxruntime.InferenceSession, ids: np.ndarray) -> np.ndarray:
    return np.asarray(session.run(None, {"ids": ids})[0])


def test_a_batch_gets_the_probabilities_of_the_network(exported, sample: Headlines) -> None:
    model, session = exported
    titles = [*sample.titles, *(title for title in AWKWARD if len(title) < 1_000), STOCKS]
    ids = pad_sequences(model.tokenizer.texts_to_sequences(titles))
    np.testing.assert_allclose(run(session, ids), model.predict_proba(titles), atol=1e-5)


@pytest.mark.parametrize("title", ["oil", "oil prices", STOCKS, "oil " * 300])
def test_a_headline_of_any_length_alone_is_answered(exported, title: str) -> None:
    model, session = exported
    (ids,) = model.tokenizer.texts_to_sequences([title])
    np.testing.assert_allclose(run(session, ids[None]), model.predict_proba([title]), atol=1e-5)


def test_padding_changes_nothing(exported) -> None:
    model, session = exported
    (ids,) = model.tokenizer.texts_to_sequences([STOCKS])
    padded = np.concatenate([ids, np.zeros(20, dtype=np.int64)])
    np.testing.assert_allclose(run(session, padded[None]), run(session, ids[None]), atol=1e-6)


def test_a_headline_without_a_word_is_all_padding(exported) -> None:
    model, session = exported
    np.testing.assert_allclose(run(session, np.zeros((1, 1), np.int64)), model.predict_proba(["?!"]), atol=1e-6)


def test_the_file_names_the_classes_and_the_cleaning(exported) -> None:
    model, session = exported
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["classes"]) == model.classes
    assert about["cleaning"] == model.tokenizer.cleaning
    ((given,), (got,)) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, got.name) == ("ids", "tensor(int64)", "probabilities")


def test_the_command_writes_the_file_and_says_nothing_else(small_lesson: HeadlineClassifier, tmp_path: Path) -> None:
    folder, target = small_lesson.save_pretrained(tmp_path / "model"), tmp_path / "out.onnx"
    done = subprocess.run(
        [sys.executable, "-m", "textcnn", "export", target, "--model", folder],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert done.stdout == f"The network as ONNX: {target}\n"
    assert done.stderr == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "out.onnx"]


def test_a_headline_may_begin_with_export(small_lesson: HeadlineClassifier, tmp_path: Path, capsys) -> None:
    folder = small_lesson.save_pretrained(tmp_path / "model")
    assert main(["export", "ban", "hits", "chips", "--model", str(folder)]) == 0
    assert "Business" in capsys.readouterr().out


@pytest.mark.parametrize("target", ["missing/model.onnx", "."])
def test_a_target_that_cannot_be_written_is_said(small_lesson, tmp_path: Path, target: str) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        export_onnx(small_lesson, tmp_path / target)


def test_a_missing_exporter_is_said(small_lesson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(TextCNNError, match="pip install onnx onnxscript"):
        export_onnx(small_lesson, tmp_path / "model.onnx")
