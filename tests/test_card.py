"""The model card: what the Hub reads of it, its figures, its snippet."""

import contextlib
import copy
import io
import re
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from tests.conftest import ROOT
from textcnn import HeadlineClassifier
from textcnn.card import model_card


@pytest.fixture
def card(bundled: HeadlineClassifier) -> ModelCard:
    return ModelCard(model_card(bundled.config, bundled.performance, filters=bundled.filters, repo="owner/name"))


def test_the_front_matter_survives_a_round_trip_field_by_field(bundled: HeadlineClassifier, card: ModelCard) -> None:
    """The Hub's own validation is a request to the Hub, and is not asked."""
    data, overall = card.data, bundled.performance["overall"]
    assert ModelCard(f"---\n{data.to_yaml()}\n---\n").data.to_dict() == data.to_dict()
    assert data.language == "en"
    assert data.library_name == "textcnn"
    assert data.pipeline_tag == "text-classification"
    assert data.license == "other"
    assert data.license_name == "ag-news-research-non-commercial"
    assert data.license_link.startswith("http")
    assert data.datasets == ["sh0416/ag_news"]
    assert data.base_model == bundled.config.train.vectors
    assert "news" in data.tags
    assert data.model_name == f"textcnn-{bundled.config.preset}"
    found = {result.metric_type: result for result in data.eval_results}
    for kind in ("f1", "accuracy", "expected_calibration_error"):
        assert found[kind].metric_value == pytest.approx(overall[kind], abs=5e-5)
        assert found[kind].dataset_type == "sh0416/ag_news"
        assert "held out" in found[kind].dataset_split
        assert f"{bundled.performance['split']['test']:,} rows" in found[kind].dataset_split


def test_the_card_that_ships_is_the_one_of_its_performance(bundled: HeadlineClassifier) -> None:
    path = ROOT / "artifacts" / bundled.config.preset / "README.md"
    shipped = ModelCard(path.read_text(encoding="utf-8"))
    values = {result.metric_type: result.metric_value for result in shipped.data.eval_results}
    assert values["f1"] == pytest.approx(bundled.performance["overall"]["f1"], abs=5e-5)
    for name, row in bundled.performance["class"].items():
        figures = " | ".join(f"{row[figure]:.3f}" for figure in ("precision", "recall", "f1"))
        assert f"| {name} | {figures} | {row['num_samples']:,.0f} |" in shipped.text


def test_it_has_every_section(card: ModelCard) -> None:
    headings = re.findall(r"^## (.*)$", card.text, re.MULTILINE)
    assert headings == [
        *("Use", "Training data and terms", "Results", "What ships", "What its filters look for"),
        *("Limits and bias", "How it was made", "Citation"),
    ]


def test_its_snippet_runs(card: ModelCard, bundled: HeadlineClassifier) -> None:
    assert "pip install git+https://huggingface.co/spaces/owner/name" in card.text
    (snippet,) = re.findall(r"```python\n(.*?)```", card.text, re.DOTALL)
    folder = str(ROOT / "artifacts" / bundled.config.preset)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(snippet.replace("owner/name", folder), {})
    assert "'Business': " in said.getvalue()
    assert "fired" in said.getvalue()


def test_a_space_may_hold_the_library(bundled: HeadlineClassifier) -> None:
    text = model_card(bundled.config, bundled.performance, repo="owner/name", space="owner/page")
    assert "git+https://huggingface.co/spaces/owner/page" in text
    assert 'from_pretrained("owner/name")' in text


@pytest.mark.parametrize(
    ("origin", "license_", "datasets"),
    [("AG News train", "other", ["sh0416/ag_news"]), ("sample", "mit", None), ("csv", "unknown", None)],
)
def test_the_terms_are_those_of_the_headlines(
    bundled: HeadlineClassifier, origin: str, license_: str, datasets: list[str] | None
) -> None:
    performance = copy.deepcopy(dict(bundled.performance))
    performance["data"]["origin"] = origin
    performance["about"] = {}
    data = ModelCard(model_card(bundled.config, performance)).data
    assert data.license == license_
    assert data.datasets == datasets


def test_vectors_of_nobodys_are_no_base_model(bundled: HeadlineClassifier) -> None:
    config = bundled.config.replace(vectors="sha256:0123")
    assert ModelCard(model_card(config, bundled.performance)).data.base_model is None


def test_train_writes_it_and_publishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import train

    pushed = []
    monkeypatch.setattr(train.hub, "publish", lambda *args, **options: pushed.append((args, options)) or "address")
    arguments = ["--sample", "--epochs", "1", "--no-refit", "--out", str(tmp_path / "out")]
    assert train.main([*arguments, "--push-to-hub", "owner/name", "--private", "--tag", "v1"]) == 0
    ((places, options),) = pushed
    assert places == (tmp_path / "out", "owner/name")
    assert options == {
        "private": True,
        "tag": "v1",
        "old_figures": True,
        "after": f" The files are in {tmp_path / 'out'}.",
    }
    assert 'from_pretrained("owner/name")' in (tmp_path / "out" / "README.md").read_text()


def test_a_mistaken_id_is_said_before_the_training(capsys: pytest.CaptureFixture[str]) -> None:
    import train

    with pytest.raises(SystemExit):
        train.main(["--sample", "--push-to-hub", "no id"])
    assert "'no id' is not a Hub id: give owner/name." in capsys.readouterr().err


def test_flags_of_a_push_need_one(capsys: pytest.CaptureFixture[str]) -> None:
    import train

    with pytest.raises(SystemExit):
        train.main(["--sample", "--private"])
    assert "give --push-to-hub OWNER/NAME too" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        ("AG News train", "`python train.py --preset lesson` with"),
        ("sample", "--preset lesson --sample`"),
        ("csv", "--preset lesson --data FILE`"),
    ],
)
def test_it_names_the_command_that_made_it(small_lesson, bundled, origin: str, command: str) -> None:
    performance = copy.deepcopy(dict(bundled.performance))
    performance["data"]["origin"] = origin
    assert command in model_card(small_lesson.config, performance)
