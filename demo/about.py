"""The tab "Model": its card, its figures, and what each filter looks for."""

import html
import re
from collections.abc import Sequence

import gradio as gr

from demo.models import Models, Served
from textcnn.filters import FilterSummary

__all__ = ["build", "content"]

_FIGURES = {
    "confusion_matrix.png": "Which classes it takes for which (rows: true)",
    "reliability.png": "How often it is right, by how sure it is",
    "learning_curves.png": "Loss and F1 by epoch",
}
_COLUMNS = ["filter", "words", "looks for", "pushes to", "fires in"]


def build(models: Models) -> tuple[gr.Radio, list[gr.components.Component]]:
    """Lay the tab out; return the choice of a model, and what `content` fills."""
    note = f'<p class="note" role="note">{html.escape(models.note)}</p>' if models.note else ""
    gr.HTML(note, elem_id="served")
    choice = gr.Radio(
        models.names,
        value=models.names[0],
        label="Which model answers",
        info="“lesson” is the model of the lesson that this project started from: 500 words, filters of one word.",
        elem_id="model",
    )
    card, figures, table = content(models[models.names[0]])
    shown: list[gr.components.Component] = [gr.Markdown(card, elem_id="card"), gr.HTML(figures, elem_id="figures")]
    gr.HTML('<h2 class="over">What each filter looks for</h2><p class="note">The word sequences of the training '
            'headlines that fire it most; “|” is the start or the end of a headline. The numbers are those of the rows '
            "of the map.</p>")  # fmt: skip
    shown.append(
        gr.Dataframe(
            table,
            headers=_COLUMNS,
            datatype=["number", "number", "str", "str", "str"],
            interactive=False,
            show_search="filter",
            max_height=420,
            wrap=True,
            label="What each filter looks for",
            column_widths=["80px", "80px", "57%", "20%", "90px"],
            elem_id="filters",
        )
    )
    return choice, shown


def content(model: Served) -> tuple[str, str, list[list[object]]]:
    """Return a model's card as Markdown, its figures as HTML, and a row for each filter."""
    path = model.folder / "README.md"
    card = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else "This model came without a card."
    card = re.sub(r"\A---\n.*?\n---\n\s*", "", card, flags=re.DOTALL)  # what the Hub reads
    card = re.sub(r"^(#+) ", r"#\1 ", card, flags=re.MULTILINE)  # the page has its own first heading
    figures = "".join(
        f'<figure><img src="figures/{model.name}/{name}" alt="{html.escape(about)}" loading="lazy">'
        f"<figcaption>{html.escape(about)}</figcaption></figure>"
        for name, about in _FIGURES.items()
        if (model.folder / "figures" / name).is_file()
    )
    return card, f'<div class="figures">{figures}</div>', rows(model.classifier.filters)


def rows(filters: Sequence[FilterSummary]) -> list[list[object]]:
    """Return a line of the table for each filter."""
    return [
        [
            number,
            summary.size,
            ", ".join(ngram.text for ngram in summary.ngrams),
            ", ".join(f"{name} {push:+.2f}" for name, push in summary.pushes.items() if push >= 0.005),
            f"{summary.fires:.0%}",
        ]
        for number, summary in enumerate(filters)
    ]
