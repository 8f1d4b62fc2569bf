"""What the tests share: small models trained in seconds on the bundled sample, and the bundled models."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from textcnn import PRESETS, HeadlineClassifier, sources
from textcnn.training import fit

ROOT = Path(__file__).parent.parent
STOCKS = "What a day for the new york stock market to go bust!"  # the lesson's headline

# Awkward headlines that every part must take.
AWKWARD = [
    "",
    "   ",
    "?!",
    "NA",
    "null",
    "a",
    "#39;",
    "Oil &lt;b&gt;Up&lt;/b&gt; \\$5, won #39;t fall",
    "$ma_th$ ^x_1 \\frac{1}{2}",
    "🏀🏆 final 🎉",
    "北京 股市 大跌",
    "İstanbul'da ΣΊΣΥΦΟΣ naïve café",
    "हिन्दी समाचार",
    "nul \x00 byte",
    "line\nbreak\ttab",
    "<script>alert(1)</script>",
    "zxqv qqqq wwxx",
    "market " * 1500,
    "x" * 10_000,
]


@pytest.fixture(scope="session")
def sample() -> sources.Headlines:
    return sources.sample()


def _trained(preset: str) -> HeadlineClassifier:
    headlines = sources.sample()
    config = PRESETS[preset].replace(epochs=8, batch_size=16, vectors=None)
    fitted = fit(headlines.titles, headlines.labels, config)
    return HeadlineClassifier.from_fit(fitted, config)


@pytest.fixture(scope="session")
def small_default() -> HeadlineClassifier:
    """The preset default, trained for seconds on the sample."""
    return _trained("default")


@pytest.fixture(scope="session")
def small_lesson() -> HeadlineClassifier:
    """The preset lesson, trained for seconds on the sample."""
    return _trained("lesson")


@pytest.fixture(scope="session", params=["default", "lesson"])
def bundled(request: pytest.FixtureRequest) -> HeadlineClassifier:
    """Each of the models that ship."""
    return HeadlineClassifier.from_pretrained(ROOT / "artifacts" / request.param)


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """What a test has a program set up for its log goes with the test: its output is closed by then."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before, level


@pytest.fixture(autouse=True)
def _same_draws() -> None:
    torch.manual_seed(0)
