"""The layout of the page, and what happens when a visitor does something."""

import html
from typing import Any

import gradio as gr

from demo import about, api, batch
from demo.answer import answer
from demo.drawing import Drawing
from demo.links import MAX_CHARACTERS, Query, checked
from demo.models import Models
from textcnn import DataError
from textcnn.text import shorten

__all__ = ["EXAMPLES", "Page"]

EXAMPLES = [
    "Oil prices hit a record high as stocks slide on Wall Street",
    "Scientists find new planet beyond the solar system",
    "Late goal sends the champions into the cup final",
    "Rebels and government sign a peace accord at U.N. talks",
    "What a day for the new york stock market to go bust!",
    "Apple to buy soccer club after strike over chips",
    "Zendaya skateboards at the Olympics",
]

INTRO = """
<h1>What is this headline about?</h1>
<p>Type a news headline. A small convolutional network says how likely it is {classes}, and shows which words fired
which of its filters.</p>
"""

Updates = dict[Any, Any]  # component to its new value


class Page:
    """The page: its components, and what happens when a visitor does something.

    Handlers return the components that change. Nothing here changes after it is built: what a visitor asked and kept
    travels with their requests.
    """

    def __init__(self, models: Models, drawing: Drawing) -> None:
        self.models = models
        with gr.Blocks(title="Headline classifier", analytics_enabled=False, delete_cache=(300, 900)) as self.blocks:
            *first, last = models[models.names[0]].classifier.classes
            gr.HTML(INTRO.format(classes=html.escape(f"{', '.join(first)} or {last}")), elem_id="intro")
            # Not gr.State: what stays in the browser takes no memory here, and is not lost with the server's.
            self.asked = gr.Textbox(EXAMPLES[0], visible=False)  # the headline that was answered last
            self.kept = gr.Textbox("", visible=False)  # the one that is shown beside it
            with gr.Tab("Headline", id="one"):
                self._headline_tab()
            with gr.Tab("Many", id="many"):
                batch.build(models)
            with gr.Tab("Model", id="about"):
                self.model, self.about = about.build(models)
            with gr.Tab("Code", id="code"):
                api.build(models, drawing, self.blocks)
            self._wire()
        # On a Space opened outside its frame, Gradio would add a bar that fetches fonts and counts likes elsewhere.
        self.blocks.space_id = None
        self.blocks.queue(max_size=64)

    def _headline_tab(self) -> None:
        with gr.Row(elem_id="ask"):
            self.headline = gr.Textbox(
                label="Headline",
                show_label=False,
                container=False,
                placeholder="Type a news headline",
                max_lines=1,
                max_length=MAX_CHARACTERS,
                min_width=220,
                elem_id="headline",
            )
            self.go = gr.Button("Classify", variant="primary", scale=0, min_width=120)
        with gr.Column(elem_id="chips", min_width=0):
            self.examples = gr.Examples(
                EXAMPLES, self.headline, cache_examples=False, label="Or try one of these", api_visibility="private"
            )
        self.said = gr.HTML("", elem_id="said")
        # The page opens with an answer: nothing is empty and nothing jumps.
        first = Query(EXAMPLES[0], None, self.models.names[0])
        with gr.Row(elem_id="tools"):
            classes = self.models[first.model].classifier.classes
            self.target = gr.Radio(
                classes,
                value=self._explained(first),
                label="Explain the class",
                scale=3,
                min_width=280,
                elem_id="target",
            )
            self.keep = gr.Button("Keep it beside the next one", size="sm", scale=1, min_width=200, elem_id="keep")
            self.release = gr.Button(
                "Stop comparing", size="sm", scale=1, min_width=200, elem_id="release", visible=False
            )
        self.shown = gr.HTML(answer(self.models, first, "page"), elem_id="shown")

    def _wire(self) -> None:
        """Connect the events."""
        answered = [self.said, self.target, self.shown, self.asked]
        compared = [self.kept, self.keep, self.release]
        question = [self.asked, self.target, self.model, self.kept]
        quiet: dict[str, Any] = {
            "api_visibility": "private",
            "concurrency_id": "answer",
            "concurrency_limit": 4,
            "show_progress": "minimal",
            "show_progress_on": [self.go],
        }
        typed = [self.headline, self.model, self.kept]
        # Not run_on_click: its overlay would blank the whole answer for a moment.
        self.examples.load_input_event.then(self.ask, typed, answered, **quiet)
        gr.on([self.headline.submit, self.go.click], self.ask, typed, answered, **quiet)
        self.target.input(self.retarget, question, answered, **quiet)
        self.keep.click(self.hold, self.asked, [self.said, *compared], **quiet)
        self.release.click(self.let_go, question[:3], [*answered, *compared], **quiet)
        self.model.input(self.switch, [self.asked, self.model, self.kept], [*answered, *self.about], **quiet)
        everything = [*answered, *compared, self.headline, self.model, *self.about]
        self.blocks.load(self.open, None, everything, **quiet | {"show_progress": "hidden"})

    def ask(self, headline: str, model: str, kept: str) -> Updates:
        """Answer a headline, beside the one that was kept."""
        return self._answered(Query(headline, None, model, kept or None))

    def retarget(self, asked: str, target: str, model: str, kept: str) -> Updates:
        """Explain another class of the headline that was answered last."""
        return self._answered(Query(asked, target, model, kept or None))

    def hold(self, asked: str) -> Updates:
        """Keep the headline that was answered last, to show it beside the next one."""
        said = f"Kept: “{html.escape(shorten(asked, 60))}”. The next headline is shown beside it."
        return {self.said: f'<p role="status">{said}</p>'} | self._comparing(asked)

    def let_go(self, asked: str, target: str, model: str) -> Updates:
        """Show the last headline alone again."""
        return self._answered(Query(asked, target, model)) | self._comparing("")

    def switch(self, asked: str, model: str, kept: str) -> Updates:
        """Answer the last headline with another model, and describe that one."""
        return self._answered(Query(asked, None, model, kept or None)) | self._described(model)

    def open(self, request: gr.Request) -> Updates:
        """Answer what the address asks, if it asks anything."""
        parameters = dict(request.query_params)
        if not parameters.get("headline"):
            return {self.said: gr.skip()}
        try:
            query = Query.from_parameters(parameters, self.models)
        except DataError as error:
            return {self.said: _mistake(error)}
        updates = self._answered(query, "link") | {self.headline: query.headline}
        if query.versus:
            updates |= self._comparing(query.versus)
        if query.model != self.models.names[0]:
            updates |= {self.model: query.model} | self._described(query.model)
        return updates

    def _answered(self, query: Query, source: str = "visitor") -> Updates:
        """The new answer; after a mistake the last one stays."""
        try:
            checked(query.headline)
            if query.versus is not None:
                checked(query.versus)
            shown = answer(self.models, query, source)
        except DataError as error:
            return {self.said: _mistake(error)}
        return {
            self.said: "",
            self.target: self._explained(query),
            self.shown: shown,
            self.asked: query.headline,
        }

    def _explained(self, query: Query) -> str:
        """The class whose case is shown."""
        return query.target or self.models[query.model].classifier.predict(query.headline).label

    def _comparing(self, kept: str) -> Updates:
        return {self.kept: kept, self.keep: gr.update(visible=not kept), self.release: gr.update(visible=bool(kept))}

    def _described(self, model: str) -> Updates:
        return dict(zip(self.about, about.content(self.models[model]), strict=True))


def _mistake(error: Exception) -> str:
    return f'<p class="mistake" role="alert">{html.escape(str(error))}</p>'
