"""Classify a CSV of any length, row by row, in bounded memory."""

import csv
import io
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

from tqdm import tqdm

from textcnn.classifier import HeadlineClassifier
from textcnn.errors import DataError
from textcnn.sources import csv_errors

__all__ = ["Scored", "added_columns", "score_csv"]

_CHUNK = 4_096  # rows in memory at a time


@dataclass(frozen=True)
class Scored:
    """What became of the rows of a file."""

    rows: int  # classified, in the order of the input
    blank_lines: int  # lines without any character, which CSV does not count as rows


def added_columns(classifier: HeadlineClassifier) -> list[str]:
    """Return the names of the columns that `score_csv` adds: the label, a probability a class, the unknown share."""
    return ["predicted_label", *(f"probability_{name}" for name in classifier.classes), "unknown_share"]


def score_csv(
    classifier: HeadlineClassifier,
    source: str | Path,
    target: str | Path,
    *,
    column: str | int = "title",
    encoding: str = "utf-8-sig",
    progress: bool | Callable[[float], object] = False,
    name: str | None = None,
) -> Scored:
    """Classify one column of a CSV and write all its columns, followed by the answers.

    The added columns are `predicted_label`, `probability_<class>` for each class, and `unknown_share`. The target is
    written under another name and moved into place at the end: a run that fails leaves no half of it.

    Args:
        classifier: the model.
        source: a CSV with a header.
        target: where to write; an earlier file is replaced.
        column: the name of the column with the headlines, or its place from 0, as names may be equal or missing.
        encoding: of the source; the target is UTF-8.
        progress: show a bar, or call this with the share of the source that is done, from 0 to 1 and ever higher.
        name: what messages call the source, by default its path.

    Raises:
        DataError: the source cannot be read, has no such column or a row of another length, or is the target.
    """
    source, target = Path(source), Path(target)
    name = str(source) if name is None else name
    if source.exists() and target.exists() and source.samefile(target):
        raise DataError(f"{name} would be overwritten by its own answers: give another name to write to.")
    if target.exists() and not target.is_file():
        raise DataError(f"{target} is no plain file, and would be replaced by one: give another name to write to.")
    with csv_errors(Path(name), encoding), source.open("rb") as raw:
        if not target.resolve().parent.is_dir():
            raise DataError(f"There is no folder {target.resolve().parent} to write {target.name} to.")
        partial = target.resolve().parent / f".{target.name}.{uuid.uuid4().hex}"
        try:
            # Not a temporary file of Python's, whose rights are the owner's alone.
            handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as output:
                scored = _score(classifier, raw, output, name, column, encoding, progress)
            os.replace(partial, target)
        except OSError as error:  # the source is open already: what fails here is the writing
            partial.unlink(missing_ok=True)
            raise DataError(f"{target} cannot be written: {error.strerror}. Nothing was changed.") from None
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    return scored


def _score(
    classifier: HeadlineClassifier,
    raw: IO[bytes],
    output: IO[str],
    name: str,
    column: str | int,
    encoding: str,
    progress: bool | Callable[[float], object],
) -> Scored:
    reader = csv.reader(io.TextIOWrapper(raw, encoding=encoding, newline=""))
    writer = csv.writer(_UnixLines(output), lineterminator="\r\n")
    header = next(reader, None)
    if header is None:
        raise DataError(f"{name} is empty: a header and at least one row are expected.")
    place = _place(header, column, name)
    added = added_columns(classifier)
    taken = sorted(set(added) & set(header))
    if taken:
        raise DataError(f"{name} has the columns {taken} already: rename them, the answers go there.")
    writer.writerow([*header, *added])
    rows = 0
    counter = _Rows(reader, len(header), name)
    with _reported(progress, os.fstat(raw.fileno()).st_size) as report:
        while chunk := list(islice(counter, _CHUNK)):
            answers = _answers(classifier, [row[place] for row in chunk])
            writer.writerows([*row, *answer] for row, answer in zip(chunk, answers, strict=True))
            rows += len(chunk)
            report(raw.tell())
    return Scored(rows, counter.blank_lines)


def _place(header: Sequence[str], column: str | int, name: str) -> int:
    """Return where the column with the headlines stands."""
    if isinstance(column, int):
        if not 0 <= column < len(header):
            raise DataError(f"{name} has no column at place {column}: there are {len(header)}, from 0.")
        return column
    if column not in header:
        raise DataError(f"{name} has no column {column}: found {header[:20]}. Name one of them with --column.")
    return header.index(column)


@contextmanager
def _reported(progress: bool | Callable[[float], object], size: int) -> Iterator[Callable[[int], object]]:
    """Yield a function to call with the number of bytes that are done, of `size`; at the end, all of them are."""
    if not callable(progress):
        with tqdm(total=size, unit="B", unit_scale=True, disable=not progress, leave=False) as bar:
            yield lambda done: bar.update(done - bar.n)
        return
    told = 0.0

    def tell(done: int) -> None:
        nonlocal told
        share = min(done / size, 1.0)
        if share > told:  # the reader reads ahead: several pieces may end at one place
            told = share
            progress(share)

    yield tell
    tell(size)


class _Rows:
    """The rows of a reader, each of the header's length; blank lines are counted and passed over."""

    def __init__(self, reader: Iterator[list[str]], width: int, name: str) -> None:
        self.reader, self.width, self.name = reader, width, name
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
                    f"{self.name}, line {line}: {len(row)} fields, the header has {self.width}. "
                    'A title with a comma belongs between quotation marks: "Oil up, shares down".'
                )
            return row
        raise StopIteration


class _UnixLines:
    """Takes lines that end with CR LF and writes them with LF.

    A `csv.writer` that ends its lines with LF leaves a field with a lone CR without quotation marks, and whoever reads
    it finds two rows.
    """

    def __init__(self, output: IO[str]) -> None:
        self.output = output

    def write(self, line: str) -> int:
        return self.output.write(line[:-2] + "\n")


def _answers(classifier: HeadlineClassifier, titles: Sequence[str]) -> Iterator[list[str]]:
    probabilities, unknown_shares = classifier.predict_table(titles)
    classes = classifier.classes
    for best, row, share in zip(probabilities.argmax(1), probabilities.tolist(), unknown_shares.tolist(), strict=True):
        yield [classes[best], *(f"{probability:.6f}" for probability in row), f"{share:.3f}"]
