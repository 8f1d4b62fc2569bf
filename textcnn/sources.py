"""Where headlines come from: a CSV, the official AG News files, the sample that ships with the package."""

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path

import pandas as pd

from textcnn.errors import DataError

__all__ = ["OFFICIAL_FILES", "Headlines", "OfficialFile", "csv_errors", "official", "read_csv", "sample"]


@dataclass(frozen=True)
class Headlines:
    """Titles with their classes, and what became of the rows that were read."""

    titles: list[str]
    labels: list[str]
    origin: str  # "csv", "AG News train", "AG News test" or "sample"
    sha256: str  # of the file that was read
    rows: int  # rows read, the dropped ones included
    dropped: dict[str, int]  # rows dropped, by reason

    def __len__(self) -> int:
        """Return the number of headlines kept."""
        return len(self.titles)

    @property
    def class_counts(self) -> dict[str, int]:
        """How many headlines each class has, in alphabetical order."""
        return dict(sorted(Counter(self.labels).items()))

    def describe(self) -> dict[str, object]:
        """Say what was read, without a path: origin, sha256, rows, dropped rows by reason, class counts."""
        return {
            "origin": self.origin,
            "sha256": self.sha256,
            "rows": self.rows,
            "dropped": self.dropped,
            "kept": len(self),
            "classes": self.class_counts,
        }


@dataclass(frozen=True)
class OfficialFile:
    """One pinned file of Zhang et al. (2015), "Character-level Convolutional Networks for Text Classification"."""

    url: str
    size: int  # bytes
    sha256: str


_BASE = (
    "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/"
    "555590db4219b1243abb1918effd6a7425a2d75f/data/ag_news_csv/"
)
OFFICIAL_FILES = {
    "train": OfficialFile(
        _BASE + "train.csv", 29_470_338, "76a0a2d2f92b286371fe4d4044640910a04a803fdd2538e0f3f29a5c6f6b672e"
    ),
    "test": OfficialFile(
        _BASE + "test.csv", 1_857_427, "521465c2428ed7f02f8d6db6ffdd4b5447c1c701962353eb2c40d548c3c85699"
    ),
}
_OFFICIAL_CLASSES = {"1": "World", "2": "Sports", "3": "Business", "4": "Sci/Tech"}


@contextmanager
def csv_errors(path: Path, encoding: str) -> Iterator[None]:
    """Turn what can go wrong while a CSV is read into a `DataError` that names the file and the way out."""
    try:
        io.TextIOWrapper(io.BytesIO(), encoding=encoding)  # base64 and its like are codecs, but not of text
    except LookupError as error:
        raise DataError(f"{error}: give an encoding that Python knows, for example utf-8 or cp1252.") from None
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"There is no file {path}: give the path of a CSV.") from None
    except pd.errors.EmptyDataError:
        raise DataError(f"{path} is empty: a header and at least one row are expected.") from None
    except UnicodeDecodeError as error:
        found = error.object[error.start : error.start + 1].hex()
        raise DataError(
            f"{path} is not {error.encoding} text: byte 0x{found} cannot be read. "
            "Save it as UTF-8, or name its encoding (--encoding, for example cp1252)."
        ) from None
    except (pd.errors.ParserError, csv.Error, UnicodeError) as error:
        raise DataError(f"{path} cannot be read as CSV: {error}") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None


def read_csv(path: str | Path, encoding: str = "utf-8-sig") -> Headlines:
    """Read a CSV with a header and the columns `title` and `category`; other columns are ignored.

    Titles such as `NA` and `null` are titles. Rows without a title or without a category are dropped and counted.

    Args:
        path: the file.
        encoding: of the file; a byte order mark is skipped by default.

    Raises:
        DataError: no such file, nothing in it, not CSV, another encoding, a missing column, fewer than two classes.
    """
    path = Path(path)
    with csv_errors(path, encoding):
        # Compression None: the file's name decides nothing.
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding=encoding, compression=None)
        if not isinstance(frame.index, pd.RangeIndex):  # pandas would take the first of too many fields for row names
            raise pd.errors.ParserError("the first row has more fields than the header")
        digest = _sha256(path)
    missing = [name for name in ("title", "category") if name not in frame.columns]
    if missing:
        raise DataError(
            f"{path} has no column {' and no column '.join(missing)}: found {list(frame.columns)[:20]}. "
            "Name the columns title and category in its first line."
        )
    headlines = _keep(frame["title"].tolist(), frame["category"].tolist(), "csv", digest)
    if len(headlines.class_counts) < 2:
        raise DataError(
            f"{path} has {len(headlines)} usable rows of the classes {list(headlines.class_counts)}: "
            "at least two classes are needed to learn from."
        )
    return headlines


def official(part: str, cache: str | Path | None = None) -> Headlines:
    """Return the official AG News titles, downloaded once.

    A file is fetched under a temporary name, checked against its sha256 and only then moved into the cache; a broken
    download starts again, three times at most.

    Args:
        part: "train" (120,000 rows) or "test" (7,600).
        cache: the folder that keeps the files; the user's cache folder by default.

    Raises:
        DataError: the file cannot be had, or is not the one that is pinned.
    """
    import pooch  # heavy, and needed by this one way of getting headlines

    pinned = OFFICIAL_FILES[part]
    name = f"ag_news_{part}.csv"
    store = pooch.create(
        path=Path(cache) if cache else pooch.os_cache("textcnn"),
        base_url="",
        registry={name: f"sha256:{pinned.sha256}"},
        urls={name: pinned.url},
        retry_if_failed=2,
    )
    try:
        path = Path(store.fetch(name, downloader=pooch.HTTPDownloader(timeout=20, progressbar=True)))
    except ValueError as error:  # pooch's word for a hash that does not fit
        raise DataError(
            f"What {pinned.url} sent is not the pinned AG News file ({pinned.size:,} bytes, sha256 {pinned.sha256}): "
            f"{error} Give your own CSV with --data FILE, or try --sample."
        ) from None
    except OSError as error:  # requests' errors are OSErrors, as is a full disk
        raise DataError(
            f"The AG News titles cannot be downloaded from {pinned.url} ({type(error).__name__}: {error}). "
            "Give a CSV with the columns title and category with --data FILE, "
            "or try --sample: the headlines that ship with the package need no network."
        ) from None
    frame = pd.read_csv(
        path, header=None, names=["class", "title", "text"], dtype=str, keep_default_na=False, encoding="utf-8"
    )
    labels = [_OFFICIAL_CLASSES.get(index, "") for index in frame["class"]]
    return _keep(frame["title"].tolist(), labels, f"AG News {part}", pinned.sha256)


def sample() -> Headlines:
    """Return the invented headlines that ship with the package: to try things out, not to learn the news from."""
    with as_file(files("textcnn").joinpath("data/sample.csv")) as path:
        return replace(read_csv(path), origin="sample")


def _keep(titles: list[str], labels: list[str], origin: str, sha256: str) -> Headlines:
    labels = [label.strip() for label in labels]
    kept: list[int] = []
    dropped: Counter[str] = Counter()
    for row, (title, label) in enumerate(zip(titles, labels, strict=True)):
        if not title.strip():
            dropped["no title"] += 1
        elif not label:
            dropped["no category"] += 1
        else:
            kept.append(row)
    return Headlines(
        [titles[row] for row in kept], [labels[row] for row in kept], origin, sha256, len(titles), dict(dropped)
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
