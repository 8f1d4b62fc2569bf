"""The endpoints for programs: /classify, /explain and /batch, and how to call them."""

import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from demo.drawing import Drawing, Full
from demo.links import MAX_CHARACTERS, Query, checked
from demo.models import Models
from textcnn import DataError, Prediction

__all__ = ["MAX_HEADLINES", "SNIPPETS", "build", "snippet"]

MAX_HEADLINES = 1_000  # in one call of /batch

SNIPPETS = {
    "Python": (
        "python",
        """# pip install gradio_client
from gradio_client import Client

client = Client("ADDRESS")
answer = client.predict("Late goal wins the cup final", api_name="/classify")
print(answer["label"], answer["probabilities"])
""",
    ),
    "curl": (
        "shell",
        """EVENT=$(curl -s ADDRESSgradio_api/call/classify \\
  -H "Content-Type: application/json" \\
  -d '{"data": ["Late goal wins the cup final", "default"]}' | cut -d'"' -f4)
curl -sN ADDRESSgradio_api/call/classify/$EVENT
""",
    ),
    "JavaScript": (
        "javascript",
        """// in a browser or in Node, without a package
const address = "ADDRESSgradio_api/call/classify";
const body = JSON.stringify({ data: ["Late goal wins the cup final", "default"] });
const headers = { "Content-Type": "application/json" };
const { event_id } = await (await fetch(address, { method: "POST", headers, body })).json();
const events = await (await fetch(`${address}/${event_id}`)).text();
const [answer] = JSON.parse(events.split("data: ").pop());
console.log(answer.label, answer.probabilities);
""",
    ),
}


def build(models: Models, drawing: Drawing, blocks: gr.Blocks) -> None:
    """Lay out the tab, and give the page its endpoints."""
    gr.Markdown(
        "The page has three endpoints. `/classify` gives all probabilities, `/explain` also what each word pushed, "
        "what each filter saw and the picture, `/batch` classifies a list of up to 1,000 headlines. `python app.py "
        "--mcp` serves the same three as tools of the Model Context Protocol."
    )
    here = gr.Textbox("http://127.0.0.1:7860/", visible=False)  # the browser knows the page's address
    codes = [
        gr.Code(snippet(name, here.value), language=language, label=name, interactive=False)  # type: ignore[arg-type]
        for name, (language, _) in SNIPPETS.items()
    ]
    gr.Markdown(
        "Pictures have addresses of their own: `picture.png` and `picture.svg` with `?headline=…`, and, if you like, "
        "`&class=Sports`, `&model=lesson`, `&style=dark`; `explanation.json` has what is behind them."
    )
    blocks.load(
        lambda address: [snippet(name, address) for name in SNIPPETS],
        here,
        codes,
        js="() => [location.origin + location.pathname]",
        api_visibility="private",
        show_progress="hidden",
    )
    limit: dict[str, Any] = {"concurrency_id": "api", "concurrency_limit": 2}
    for function in endpoints(models, drawing):
        gr.api(function, api_name=function.__name__, **limit)  # type: ignore[attr-defined]


def snippet(name: str, address: str) -> str:
    """Return how to call the page from a language; only what looks like an address is written into it."""
    if not re.fullmatch(r"https?://[\w.:/~-]+", address):
        address = "http://127.0.0.1:7860/"
    return SNIPPETS[name][1].replace("ADDRESS", address)


def endpoints(models: Models, drawing: Drawing) -> list[Callable[..., Any]]:
    """Return the three functions, which answer with `models`."""

    def classify(headline: str, model: str = "default") -> dict[str, Any]:
        """Say how likely a news headline is Business, Sci/Tech, Sports or World.

        Args:
            headline: a news headline in English, at most 1,000 characters.
            model: "default", or "lesson" for the small model of the lesson.

        Returns:
            The most probable class as label, the probabilities of all classes, the words that the model does not know,
            and a sentence of doubt where it had next to nothing to read.
        """
        with _mistakes_are_said():
            return _plain(models[model].classifier.predict(checked(headline)))

    def explain(
        headline: str, target: str | None = None, model: str = "default", style: str = "light"
    ) -> tuple[dict[str, Any], gr.FileData]:
        """Explain how a news headline was classified: what each word and each filter added to each class.

        Args:
            headline: a news headline in English, at most 1,000 characters.
            target: the class that the picture explains; the predicted one by default.
            model: "default", or "lesson" for the small model of the lesson.
            style: "light" or "dark", of the picture.

        Returns:
            The explanation, whose contributions and bias sum to the logits, and the heat map of words and filters as a
            PNG file.
        """
        with _mistakes_are_said():
            query = Query(checked(headline), target or None, model)
            explanation = models[model].classifier.explain(query.headline, left_out=True)
            explanation.class_index(query.target)
            picture = drawing.submit("png", query, style).result()
        # Each request writes a file of its own: Gradio would give equal pictures one path, and write it twice at once.
        folder = Path(get_upload_folder()) / "heat-maps"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{uuid.uuid4().hex}.png"
        path.write_bytes(picture)
        return explanation.to_dict(), gr.FileData(path=str(path))

    def batch(headlines: list[str], model: str = "default") -> list[dict[str, Any]]:
        """Classify a list of news headlines, in order.

        Args:
            headlines: at most 1,000 news headlines in English, of at most 1,000 characters each; an empty one gets an
                answer too, with a sentence of doubt.
            model: "default", or "lesson" for the small model of the lesson.

        Returns:
            For each headline what classify returns.
        """
        with _mistakes_are_said():
            if not isinstance(headlines, list):  # Gradio hands on what a program sends
                raise DataError(f"Got {type(headlines).__name__}: give a list of headlines.")
            if len(headlines) > MAX_HEADLINES:
                raise DataError(f"Got {len(headlines):,} headlines: give {MAX_HEADLINES:,} or fewer at a time.")
            for place, headline in enumerate(headlines):
                if isinstance(headline, str) and len(headline) > MAX_CHARACTERS:
                    size = f"{len(headline):,} characters long; a headline may have {MAX_CHARACTERS:,}"
                    raise DataError(f"Headline {place} is {size}.")
            return [_plain(prediction) for prediction in models[model].classifier.predict(headlines)]

    return [classify, explain, batch]


def _plain(prediction: Prediction) -> dict[str, Any]:
    return {
        "headline": prediction.title,
        "label": prediction.label,
        "probabilities": prediction.distribution,
        "unknown": [prediction.title[token.start : token.end] for token in prediction.unknown],
        "doubt": prediction.doubt,
    }


class _mistakes_are_said:
    """Turn a caller's mistake into Gradio's error, without a traceback in the log."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, DataError | Full):
            raise gr.Error(str(error), print_exception=False) from None
