"""Classify a CSV of any length, row by row, in bounded memory."""

import csv
import io
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

from tqdm import tqdm

from textcnn.classifier import HeadlineClassifier
from textcnn.errors import DataError
from textcnn.sources import csv_errors

__all__ = ["Scored", "score_csv"]

_CHUNK = 4_096  # rows in memory at a time


@dataclass(frozen=True)
class Scored:
    """What became of the rows of a file."""

    rows: int  # classified, in the order of the input
    blank_lines: int  # lines without any character, which CSV does not count as rows


def score_csv(
    classifier: HeadlineClassifier,
    source: str | Path,
    target: str | Path,
    *,
    column: str = "title",
    encoding: str = "utf-8-sig",
    progress: bool = False,
) -> Scored:
    """Classify one column of a CSV and write all its columns, followed by the answers.

    The added columns are `predicted_label`, `probability_<class>` for each class, and `unknown_share`. The target is
    written under another name and moved into place at the end: a run that fails leaves no half of it.

    Args:
        classifier: the model.
        source: a CSV with a header.
        target: where to write; an earlier file is replaced.
        column: the name of the column with the headlines.
        encoding: of the source; the target is UTF-8.
        progress: show a bar.

    Raises:
        DataError: the source cannot be read, has no such column or a row of another length, or is the target.
    """
    source, target = Path(source), Path(target)
    if source.exists() and target.exists() and source.samefile(target):
        raise DataError(f"{source} would be overwritten by its own answers: give another name to write to.")
    if target.exists() and not target.is_file():
        raise DataError(f"{target} is no plain file, and would be replaced by one: give another name to write to.")
    with csv_errors(source, encoding), source.open("rb") as raw:
        if not target.resolve().parent.is_dir():
            raise DataError(f"There is no folder {target.resolve().parent} to write {target.name} to.")
        handle, partial = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.resolve().parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as output:
                scored = _score(classifier, raw, output, source, column, encoding, progress)
            os.chmod(partial, 0o666 & ~_umask())
            os.replace(partial, target)
        except OSError as error:  # the source is open already: what fails here is the writing
            os.unlink(partial)
            raise DataError(f"{target} cannot be written: {error.strerror}. Nothing was changed.") from None
        except BaseException:
            os.unlink(partial)
            raise
    return scored


def _score(
    classifier: HeadlineClassifier,
    raw: IO[bytes],
    output: IO[str],
    source: Path,
    column: str,
    encoding: str,
    progress: bool,
) -> Scored:
    size = os.fstat(raw.fileno()).st_size
    text = io.TextIOWrapper(raw, encoding=encoding, newline="")
    reader = csv.reader(text)
    writer = csv.writer(output, lineterminator="\n")
    header = next(reader, None)
    if header is None:
        raise DataError(f"{source} is empty: a header and at least one row are expected.")
    if column not in header:
        raise DataError(f"{source} has no column {column}: found {header[:20]}. Name one of them with --column.")
    added = ["predicted_label", *(f"probability_{name}" for name in classifier.classes), "unknown_share"]
    taken = sorted(set(added) & set(header))
    if taken:
        raise DataError(f"{source} has the columns {taken} already: rename them, the answers go there.")
    writer.writerow([*header, *added])
    place = header.index(column)
    rows = 0
    counter = _Rows(reader, len(header), source)
    with tqdm(total=size, unit="B", unit_scale=True, disable=not progress, leave=False) as bar:
        while chunk := list(islice(counter, _CHUNK)):
            answers = _answers(classifier, [row[place] for row in chunk])
            writer.writerows([*row, *answer] for row, answer in zip(chunk, answers, strict=True))
            rows += len(chunk)
            bar.update(raw.tell() - bar.n)
    return Scored(rows, counter.blank_lines)


class _Rows:
    """The rows of a reader, each of the header's length; blank lines are counted and passed over."""

    def __init__(self, reader: Iterator[list[str]], width: int, source: Path) -> None:
        self.reader, self.width, self.source = reader, width, source
        self.blank_lines = 0

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        for row in self.reader:
            if not row:
                self.blank_lines += 1
                continue
            if len(row) != self.width:
                line = getattr(self.reader, "line_num", "?")
                raise DataError(
                    f"{self.source}, line {line}: {len(row)} fields, the header has {self.width}. "
                    'A title with a comma belongs between quotation marks: "Oil up, shares down".'
                )
            return row
        raise StopIteration


def _answers(classifier: HeadlineClassifier, titles: Sequence[str]) -> Iterator[list[str]]:
    for prediction in classifier.predict(titles):
        probabilities = [f"{prediction.distribution[name]:.6f}" for name in classifier.classes]
        yield [prediction.label, *probabilities, f"{prediction.unknown_share:.3f}"]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
