"""The tab "Many headlines": a CSV or pasted lines in, the same rows with the answers beside them out."""

import csv
import html
import os
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import gradio as gr
from gradio.utils import get_upload_folder

from demo.models import Models, Served
from demo.tables import MAX_BYTES, MAX_ROWS, PASTED, TITLES, Table, megabytes
from textcnn import DataError
from textcnn.scoring import Scored, added_columns, score_csv
from textcnn.text import shorten

__all__ = ["CSS", "MAX_BYTES", "MAX_ROWS", "answer", "build", "noticed"]

SHOWN_ROWS = 200
SHOWN_CHARACTERS = 300  # of a headline in the table; the file has all of them
FILE_NAME = "headlines-classified.csv"


# --- what goes out --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answers:
    """What the page shows of a classified file."""

    counts: Counter[str]  # rows by label
    doubtful: int  # rows most of whose words the model does not know
    first: list[list[str]]  # headline, label, probabilities, share of unknown words

    @classmethod
    def read(cls, path: Path, place: int, added: int) -> Self:
        """Read what `score_csv` wrote: the headlines at `place`, the answers in the last columns."""
        counts: Counter[str] = Counter()
        first: list[list[str]] = []
        doubtful = 0
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            next(reader)
            for row in reader:
                label, *numbers = row[-added:]
                counts[label] += 1
                doubtful += float(numbers[-1]) > 0.5
                if len(first) < SHOWN_ROWS:
                    title = shorten(row[place], SHOWN_CHARACTERS)
                    first.append([title, label, *(f"{float(number):.3f}" for number in numbers)])
        return cls(counts, doubtful, first)


def answer(
    models: Models,
    upload: str | None,
    column: str | None,
    lines: str | None,
    model: str,
    progress: Callable[[float], object],
) -> tuple[Any, ...]:
    """Classify a file or pasted lines: the line in words, whether there is a result, its bars, table and file."""
    start = time.perf_counter()
    pasted = (lines or "").strip()
    try:
        if not upload and not pasted:
            raise DataError("Upload a CSV or paste some headlines first.")
        if upload and pasted:
            raise DataError(
                "There is a file, and there are pasted lines: remove one, so that it is clear what is meant."
            )
        served = models[model]
        with own_folder() as folder:
            table = Table.uploaded(Path(upload)) if upload else Table.pasted(lines or "", folder)
            place, target = table.place(column if upload else None), folder / FILE_NAME
            scored = score_csv(served.classifier, table.path, target, column=place, name=table.name, progress=progress)
            answers = Answers.read(target, place, len(added_columns(served.classifier)))
            if not upload:
                table.path.unlink()  # Gradio removes the files that it serves, and no others
    except OSError as error:
        said = f"The server could not write the answers ({error.strerror}): try again later."
        return status(said), gr.update(visible=False), "", None, None
    except DataError as error:  # an earlier result would be taken for the answer
        return status(html.escape(str(error))), gr.update(visible=False), "", None, None
    said = in_words(table, place, scored, answers, served, time.perf_counter() - start)
    shown = first_rows(answers, served)
    return said, gr.update(visible=True), bars(answers.counts, served.classifier.classes), shown, str(target)


@contextmanager
def own_folder() -> Iterator[Path]:
    """Make a folder for the files of one request in Gradio's cache, and remove it if the request fails."""
    folder = Path(get_upload_folder()) / "many-headlines" / uuid.uuid4().hex
    folder.mkdir(parents=True)
    try:
        yield folder
    except DataError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise DataError(str(error).replace(f"{folder}{os.sep}", "")) from None
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def noticed(upload: str | None) -> tuple[Any, str]:
    """Say what was uploaded: the columns to choose from, and a line in words."""
    if not upload:
        return gr.update(choices=[], value=None, visible=False), ""
    try:
        table = Table.uploaded(Path(upload))
    except DataError as error:
        return gr.update(choices=[], value=None, visible=False), status(html.escape(str(error)))
    note = f"{html.escape(table.name)}: {counted(table.rows, 'row')} below the line with the names of the columns."
    if table.found is None:
        note += f" None is named {', '.join(TITLES[:-1])} or {TITLES[-1]}: choose the one with the headlines."
    labels = table.labels
    return gr.update(choices=labels, value=labels[table.found or 0], visible=True), status(note)


def in_words(table: Table, place: int, scored: Scored, answers: Answers, served: Served, seconds: float) -> str:
    """Return the result as a line of HTML."""
    origin = f"{table.labels[place]} of {table.name}" if table.name != PASTED else "the pasted text"
    took = f"{seconds:.1f} s" if seconds >= 0.1 else "under 0.1 s"
    said = [
        f"<strong>{counted(scored.rows, 'headline')}</strong> from {html.escape(origin)}, "
        f"classified by the model {html.escape(served.name)} in {took}."
    ]
    if blank := scored.blank_lines + table.blank_lines:
        said.append(f"{counted(blank, 'blank line')} passed over.")
    if answers.doubtful:
        said.append(
            f"Little more than guesses: {counted(answers.doubtful, 'headline')}, most of whose words it does not know."
        )
    return status(" ".join(said))


def bars(counts: Counter[str], classes: list[str]) -> str:
    """Return the headlines of each class as a table of HTML with bars, in the look of those of one headline."""
    total, most = sum(counts.values()), max(counts.values())
    rows = []
    for name in classes:
        count = counts[name]
        bar = f'<span style="width: {count / most:.2%}"></span>' if count else ""
        rows.append(
            f'<tr{" class=first" if count == most else ""}><th scope="row">{html.escape(name)}</th>'
            f'<td class="track" aria-hidden="true">{bar}</td>'
            f'<td class="share">{count:,}</td><td class="share">{count / total:.1%}</td></tr>'
        )
    caption = "<caption>Headlines of each class</caption>"
    return f'<div class="answer"><table class="bars">{caption}{"".join(rows)}</table></div>'


def first_rows(answers: Answers, served: Served) -> Any:
    """Return the change that fills the table of the first rows and says how many of all they are."""
    rows = sum(answers.counts.values())
    classes = served.classifier.classes
    headers = ["Headline", "Label", *classes, "Unknown words"]
    return gr.update(
        value={"headers": headers, "data": answers.first},
        label=f"The first {SHOWN_ROWS} of {rows:,}; the file has all" if rows > SHOWN_ROWS else "All rows",
        column_widths=[260, 120, *(115 for _ in classes), 150],  # on a phone the label begins beside it
    )


def status(content: str) -> str:
    """Return a line of HTML that a screen reader says when it comes."""
    return f'<p role="status">{content}</p>'


def counted(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


# --- the tab --------------------------------------------------------------------------------------------------------

# Beside page.css, whose bars it uses.
CSS = """
#many-intro p, #many-noted p { margin: 0; max-width: 72ch; color: var(--body-text-color-subdued); line-height: 1.5; }
#many-said p { margin: 0; line-height: 1.6; font-size: 1.05rem; }
#many-noted p, #many-said p { overflow-wrap: anywhere; }
#many-said { min-height: 4.2rem; }
#many-ask { align-items: center; }
#many-table { --font-mono: var(--font); font-variant-numeric: tabular-nums; }
"""

INTRO = f"""
<p>Upload a CSV whose first line names the columns, or paste headlines, one a line. You get all rows back in their
order, with the label, the probabilities of all classes and the share of unknown words beside each. At most
{megabytes(MAX_BYTES)} and {MAX_ROWS:,} rows, in UTF-8.</p>
"""


def build(models: Models) -> None:
    """Lay the tab out where Gradio's context is open, and wire it."""
    gr.HTML(INTRO, elem_id="many-intro")
    with gr.Row():
        with gr.Column(min_width=280):
            # No file_types: a file with another ending may be a CSV, and Gradio's refusal would be no line on the page.
            upload = gr.File(label="CSV file", height=150, elem_id="many-file")
            noted = gr.HTML("", elem_id="many-noted")
            # Any value: Gradio forgets the choices when many others come, and Table.place refuses what is no column.
            column = gr.Dropdown(
                label="Column with the headlines", visible=False, allow_custom_value=True, elem_id="many-column"
            )
        with gr.Column(min_width=280):
            lines = gr.Textbox(label="Or headlines, one a line", lines=6, max_lines=12, elem_id="many-lines")
    with gr.Row(elem_id="many-ask"):
        model = gr.Radio(models.names, value=models.names[0], label="Model", scale=3, min_width=220)
        go = gr.Button("Classify all", variant="primary", scale=1, min_width=140, elem_id="many-go")
    said = gr.HTML("", elem_id="many-said")
    with gr.Column(visible=False, elem_id="many-result") as result:
        drawn = gr.HTML("", elem_id="many-bars")
        download = gr.DownloadButton("Download all rows as CSV", elem_id="many-download")
        table = gr.Dataframe(
            interactive=False, wrap=True, datatype=["str", "str"], max_height=420, elem_id="many-table"
        )

    def run(
        upload: str | None,
        column: str | None,
        lines: str | None,
        model: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  # Gradio finds it by this default
    ) -> tuple[Any, ...]:
        return answer(models, upload, column, lines, model, lambda share: progress(share, desc="Classifying"))

    upload.change(noticed, upload, [column, noted], api_visibility="private", show_progress="hidden")
    go.click(
        run,
        [upload, column, lines, model],
        [said, result, drawn, table, download],
        api_visibility="private",
        show_progress_on=said,
        concurrency_id="batch",
        concurrency_limit=1,
    )
