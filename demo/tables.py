"""What can be classified in one go: an uploaded CSV, or pasted lines made into one."""

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from textcnn import DataError

__all__ = ["MAX_BYTES", "MAX_ROWS", "PASTED", "TITLES", "Table", "megabytes"]

MAX_BYTES = 20 * 2**20  # of a file or of pasted lines; "20mb" for Gradio
MAX_ROWS = 100_000
MAX_COLUMNS = 500  # more would be no table but a mistake, and a list that no browser shows
TITLES = ("title", "headline", "titles", "headlines", "text")  # columns with headlines are looked for in this order
PASTED = "The pasted text"


@dataclass(frozen=True)
class Table:
    """A CSV that can be classified."""

    path: Path
    name: str  # as the visitor calls it: no message shows a folder of the server
    header: list[str]
    rows: int
    blank_lines: int = 0  # passed over before it was written

    @classmethod
    def uploaded(cls, path: Path) -> Self:
        """Look at a file that a visitor sent.

        Raises:
            DataError: it is too big, not UTF-8, not a CSV, or has no rows.
        """
        name = path.name
        text = _text(path, name)
        reader = csv.reader(io.StringIO(text, newline=""))
        try:
            header = next(reader, [])
            rows = sum(1 for row in reader if row)
        except csv.Error as error:
            raise DataError(
                f"{name}, line {reader.line_num}, cannot be read as CSV: {error}. Is a quotation mark left open?"
            ) from None
        _check(name, header, rows)
        return cls(path, name, header, rows)

    @classmethod
    def pasted(cls, lines: str, folder: Path) -> Self:
        """Write pasted lines as a CSV of one column, without the blank ones.

        Raises:
            DataError: there are too many, or one is too long.
        """
        # Half of a character of two parts has no UTF-8; a browser does not send one, a script may.
        lines = lines.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if (size := len(lines.encode())) > MAX_BYTES:
            raise DataError(
                f"The pasted lines have {megabytes(size)}; at most {megabytes(MAX_BYTES)} can be classified."
            )
        every = re.split(r"\r\n|\r|\n", lines.rstrip("\r\n"))  # not splitlines: it cuts at signs that are no line end
        kept = [line for line in every if line.strip()]
        longest = max(kept, key=len, default="")
        if len(longest) > csv.field_size_limit():
            raise DataError(f"Line {every.index(longest) + 1:,} has {len(longest):,} characters: that is no headline.")
        _check_rows(PASTED, len(kept))
        path = folder / "pasted.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["title"], *([line] for line in kept)])
        return cls(path, PASTED, ["title"], len(kept), len(every) - len(kept))

    @property
    def labels(self) -> list[str]:
        """The columns for a visitor to choose from; the number keeps apart those of one name and of none."""
        return [f"{name.strip()[:60] or 'no name'} (column {place})" for place, name in enumerate(self.header, start=1)]

    @property
    def found(self) -> int | None:
        """The place of the column whose name says that it has headlines."""
        names = [name.strip().lower() for name in self.header]
        return next((names.index(title) for title in TITLES if title in names), None)

    def place(self, label: str | None) -> int:
        """Return the place of the chosen column, or of the proposed one if none was chosen.

        Raises:
            DataError: the file has no such column, as after another file was uploaded.
        """
        if label is None:
            return self.found or 0
        if label not in self.labels:
            raise DataError(f"{self.name} has no {label[:80]}: choose the column with the headlines again.")
        return self.labels.index(label)


def _text(path: Path, name: str) -> str:
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise DataError(f"{name} has {megabytes(size)}; at most {megabytes(MAX_BYTES)} can be classified.")
        content = path.read_bytes()
    except OSError:  # uploads are removed after a while
        raise DataError(f"{name} is no longer on the server: upload it again.") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{name} is not UTF-8 text: byte 0x{content[error.start]:02x} in line {line:,} cannot be read. "
            'Save it as CSV in UTF-8; a spreadsheet program calls it "CSV UTF-8".'
        ) from None


def _check(name: str, header: list[str], rows: int) -> None:
    if not header and not rows:
        raise DataError(f"{name} is empty: a line with the names of the columns and at least one row are expected.")
    if not header:
        raise DataError(f"The first line of {name} is blank: the names of the columns are expected there.")
    sign = next((word for sign, word in {";": "semicolons", "\t": "tabs"}.items() if sign in header[0]), None)
    if len(header) == 1 and sign:
        raise DataError(f"{name} has {sign} where commas are expected: save it with commas between the columns.")
    if len(header) > MAX_COLUMNS:
        raise DataError(f"{name} has {len(header):,} columns; at most {MAX_COLUMNS:,} can be read.")
    if not rows:
        raise DataError(f"{name} has no row below its first line, which has to name the columns.")
    _check_rows(name, rows)


def _check_rows(name: str, rows: int) -> None:
    if rows > MAX_ROWS:
        raise DataError(f"{name} has {rows:,} rows; at most {MAX_ROWS:,} can be classified at once.")


def megabytes(size: int) -> str:
    """Return a size as Gradio counts it."""
    return f"{size / 2**20:,.4g} MB"
