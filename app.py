"""The demo: type a headline, see how likely each class is, and which words fired which filters.

    python app.py

serves the page on http://127.0.0.1:7860, or where GRADIO_SERVER_NAME and GRADIO_SERVER_PORT say. It needs no network.
"""

import html
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware

from textcnn import DataError, Explanation, HeadlineClassifier
from textcnn.plots import heatmap
from textcnn.sheet import to_png
from textcnn.text import doubt

ROOT = Path(__file__).parent
MAX_CHARACTERS = 1_000  # of a headline; the browser stops there, and the server refuses more
EXAMPLES = [
    "Oil prices hit a record high as stocks slide on Wall Street",
    "Scientists find new planet beyond the solar system",
    "Late goal sends the champions into the cup final",
    "Rebels and government sign a peace accord at U.N. talks",
    "What a day for the new york stock market to go bust!",
]

MODEL = HeadlineClassifier.from_pretrained(ROOT / "artifacts" / "default")

Answer = tuple[dict[str, float], str, str, str]


# --- what happens when a headline comes in -------------------------------------------------------------------------


def checked(headline: str) -> str:
    """Return a headline that can be answered.

    Raises:
        DataError: nothing was typed, or too much.
    """
    headline = headline or ""
    if not headline.strip():
        raise DataError("Type a headline first.")
    if len(headline) > MAX_CHARACTERS:
        raise DataError(f"This is {len(headline):,} characters long; a headline may have {MAX_CHARACTERS:,}.")
    return headline


def show(headline: str) -> Answer | tuple[Any, ...]:
    """Answer on the page: the distribution, a line in words, the heat map for each theme."""
    try:
        explanation = MODEL.explain(checked(headline))
    except DataError as error:  # said where the answer stands; the last one stays
        return gr.skip(), f'<p role="status">{html.escape(str(error))}</p>', gr.skip(), gr.skip()
    light, dark = (picture(explanation, style) for style in ("light", "dark"))
    return explanation.distribution, in_words(explanation), light, dark


def classify(headline: str) -> tuple[dict[str, float], str]:
    """Say how likely a news headline is Business, Sci/Tech, Sports or World.

    Args:
        headline: a news headline in English, at most 1,000 characters.

    Returns:
        The probabilities of all classes, and a PNG of the token-by-filter heat map.
    """
    try:
        explanation = MODEL.explain(checked(headline))
    except DataError as error:
        raise gr.Error(html.escape(str(error)), print_exception=False) from None
    return explanation.distribution, picture(explanation, "light")


def in_words(explanation: Explanation) -> str:
    """Return the answer as a line of HTML, with the words that the model does not know."""
    likely = f"<strong>{html.escape(explanation.label)}</strong>, {explanation.distribution[explanation.label]:.0%}"
    unknown = list(
        dict.fromkeys(explanation.title[token.start : token.end] for token in explanation.tokens if not token.known)
    )
    if len(unknown) > 8:
        note = f"The model does not know {len(unknown)} of these words, among them {listed(unknown[:8])}."
    elif unknown:
        note = f"The model does not know {listed(unknown)}."
    else:
        note = "The model knows all of these words." if explanation.tokens else ""
    return f'<p role="status">{likely}. {doubt(explanation.tokens) or ""} {note}</p>'


def listed(words: list[str]) -> str:
    """Return words as HTML, each cut to a length that fits a line."""
    return ", ".join(f"<em>{html.escape(word if len(word) <= 30 else word[:29] + '…')}</em>" for word in words)


def picture(explanation: Explanation, style: str) -> str:
    """Draw the heat map and return its path.

    Each request writes a file of its own in Gradio's cache: Gradio serves it as it is and `delete_cache` removes it.
    A picture handed over as an array would be written to a path that equal requests share.
    """
    folder = Path(get_upload_folder()) / "heat-maps"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{uuid.uuid4().hex}.png"
    path.write_bytes(to_png(heatmap(explanation, style)))
    return str(path)


# --- the page ------------------------------------------------------------------------------------------------------

FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]  # none is fetched

THEME = gr.themes.Base(primary_hue="indigo", neutral_hue="zinc", radius_size="md", font=FONTS, font_mono=FONTS).set(
    body_background_fill="*neutral_50",
    body_background_fill_dark="*neutral_950",
    block_background_fill="white",
    block_background_fill_dark="*neutral_900",
    body_text_color_subdued="*neutral_600",
    body_text_color_subdued_dark="*neutral_400",
    input_background_fill="white",
    input_background_fill_dark="*neutral_900",
    input_border_width="1px",
    stat_background_fill="*primary_600",
    stat_background_fill_dark="*primary_400",
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_dark="*primary_600",
    button_primary_background_fill_hover_dark="*primary_700",
    button_primary_text_color="white",
    block_border_width="1px",
    block_shadow="none",
    block_label_background_fill="transparent",
    block_label_background_fill_dark="transparent",
    block_label_border_width="0px",
    block_label_text_color="*neutral_600",
    block_label_text_color_dark="*neutral_400",
)

CSS = """
.gradio-container { max-width: 1040px !important; margin-inline: auto !important; }
.gradio-container > .main { padding: 24px clamp(14px, 4vw, 32px) 40px !important; }
#intro .html-container, #said .html-container, #about .html-container { padding: 0 !important; }
#intro h1 { margin: 0 0 .35rem; font-size: clamp(1.5rem, 1.1rem + 1.8vw, 2.1rem); line-height: 1.2; }
#intro p, #about p { margin: 0; max-width: 72ch; color: var(--body-text-color-subdued); line-height: 1.5; }
#ask { align-items: stretch; }
#chips .gallery-item, #chips .gallery-item div { text-align: left; }
#said p { margin: 0; min-height: 3.2em; line-height: 1.6; font-size: 1.05rem; overflow-wrap: anywhere; }
#label { font-variant-numeric: tabular-nums; }
#out { align-items: flex-start; }
.map img { max-width: 560px; margin: 2rem auto 0; }
.only-dark { display: none !important; }
.dark .only-light { display: none !important; }
.dark .only-dark { display: block !important; }
@media (max-width: 640px) {
  #ask button { flex-grow: 1 !important; }
}
"""

INTRO = """
<h1>What is this headline about?</h1>
<p>Type a news headline. A small convolutional network says how likely it is Business, Sci/Tech, Sports or World, and
shows which words fired which of its filters.</p>
"""

ABOUT = """
<p>Each column of the map is a word, each row a filter of the network. A colour says how strongly the filter fired
there; a frame marks the window that won, which alone counts. The strip above says how much each word pushed the answer
up or down. The model always answers with one of its four classes, and it learned its words from the news of 2004.</p>
"""

MAP: dict[str, Any] = {
    "label": "Which words fired which filters",
    "type": "filepath",
    "format": "png",
    "interactive": False,
    "buttons": ["download", "fullscreen"],
}


def build() -> Any:
    """Lay out the page and wire it to the model."""
    with gr.Blocks(title="Headline classifier", analytics_enabled=False, delete_cache=(600, 3600)) as page:
        gr.HTML(INTRO, elem_id="intro")
        with gr.Row(elem_id="ask"):
            headline = gr.Textbox(
                label="Headline",
                show_label=False,
                container=False,
                placeholder="Type a news headline",
                max_lines=1,
                max_length=MAX_CHARACTERS,
                min_width=220,
                elem_id="headline",
            )
            go = gr.Button("Classify", variant="primary", scale=0, min_width=120)
        chips = gr.Column(elem_id="chips", min_width=0)
        # The page opens with an answer: nothing is empty and nothing jumps.
        distribution, words, light, dark = show(EXAMPLES[0])
        said = gr.HTML(words, elem_id="said")
        with gr.Row(elem_id="out"):
            with gr.Column(scale=2, min_width=280):
                label = gr.Label(distribution, label="How likely", num_top_classes=len(MODEL.classes), elem_id="label")
                gr.HTML(ABOUT, elem_id="about")
            with gr.Column(scale=3, min_width=280):
                alternative = "Heat map of the headline's words and the network's filters"
                light_map = gr.Image(light, alt_text=alternative, elem_classes=["map", "only-light"], **MAP)
                dark_map = gr.Image(dark, alt_text=alternative, elem_classes=["map", "only-dark"], **MAP)
        shown = [label, said, light_map, dark_map]
        with chips:
            examples = gr.Examples(
                EXAMPLES, headline, cache_examples=False, label="Or try one of these", api_visibility="private"
            )
        wire(headline, go, examples, shown)
    # On a Space opened outside its frame, Gradio would add a bar that fetches fonts and counts likes elsewhere.
    page.space_id = None
    page.queue(max_size=64)
    return page


def wire(headline: gr.Textbox, go: gr.Button, examples: Any, shown: list[Any]) -> None:
    """Connect the events of the page, and the endpoint /classify, which has no button."""
    label, _, light_map, dark_map = shown
    limit: dict[str, Any] = {"concurrency_id": "answer", "concurrency_limit": 2}
    quiet = limit | {
        "api_visibility": "private",
        "show_progress": "minimal",
        "show_progress_on": [light_map, dark_map],
    }
    # Not run_on_click: its overlay would blank the whole answer for a moment.
    examples.load_input_event.then(show, headline, shown, **quiet)
    gr.on([headline.submit, go.click], show, headline, shown, **quiet)
    gr.Button(visible=False).click(classify, headline, [label, light_map], api_name="classify", **limit)


# --- nothing from another host --------------------------------------------------------------------------------------

POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",  # no frame-ancestors: Spaces shows the page in a frame
    ]
)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class OwnHostOnly:
    """ASGI middleware: a browser may load nothing for this page from another host."""

    def __init__(self, app: Callable[[Message, Receive, Send], Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Add the policy to every page; pictures and event streams pass untouched."""

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", []))
                if any(name.lower() == b"content-type" and value.startswith(b"text/html") for name, value in headers):
                    headers.append((b"content-security-policy", POLICY.encode()))
                    message = {**message, "headers": headers}
            await send(message)

        await self.app(scope, receive, send_with_policy if scope["type"] == "http" else send)


LAUNCH: dict[str, Any] = {
    "theme": THEME,
    "css": CSS,
    "footer_links": [],
    "run_history": False,
    "show_error": True,
    "share": False,
    "ssr_mode": False,
    "pwa": False,
    "enable_monitoring": False,
    "max_file_size": "1kb",  # nothing is uploaded, but Gradio's route for it is there
    "app_kwargs": {"middleware": [Middleware(OwnHostOnly)]},
}

if __name__ == "__main__":
    demo = build()
    demo.launch(**LAUNCH)
