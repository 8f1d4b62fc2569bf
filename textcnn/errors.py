"""The errors of the package: each message says what was got, what is allowed and what to do."""

__all__ = ["ArtifactError", "ConfigError", "DataError", "HubError", "TextCNNError"]


class TextCNNError(Exception):
    """Base of every error that a user's input can cause; catch it to print the message without a traceback."""


class ConfigError(TextCNNError, ValueError):
    """A setting that is unknown or outside its allowed values."""


class DataError(TextCNNError, ValueError):
    """Headlines that cannot be read, split or classified."""


class ArtifactError(TextCNNError):
    """An artifact folder that is missing, incomplete, altered or inconsistent; the message names the file."""


class HubError(TextCNNError):
    """The Hugging Face Hub could not be reached, or refused; the message says what to do."""
