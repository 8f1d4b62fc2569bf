"""The one place that holds the version: of the package, and of what it publishes."""

__version__ = "0.1.0"
