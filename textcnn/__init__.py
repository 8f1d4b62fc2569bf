"""Headlines in; Business, Sci/Tech, Sports or World out; with exact, word-by-word explanations."""

from textcnn.classifier import HeadlineClassifier, Prediction
from textcnn.config import PRESETS, Config
from textcnn.errors import ArtifactError, ConfigError, DataError, HubError, TextCNNError
from textcnn.explain import Explanation
from textcnn.text import Token
from textcnn.version import __version__

__all__ = [
    "PRESETS",
    "ArtifactError",
    "Config",
    "ConfigError",
    "DataError",
    "Explanation",
    "HeadlineClassifier",
    "HubError",
    "Prediction",
    "TextCNNError",
    "Token",
    "__version__",
]
