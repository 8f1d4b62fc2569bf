"""How the page looks, and what a browser may load for it."""

from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import gradio as gr

__all__ = ["CSS", "HEAD", "THEME", "OwnHostOnly"]

_HERE = Path(__file__).parent
_FONTS = [
    "system-ui",
    "-apple-system",
    "Segoe UI",
    "Roboto",
    "Helvetica Neue",
    "Arial",
    "sans-serif",
]  # none is fetched
_MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]

THEME = gr.themes.Base(primary_hue="indigo", neutral_hue="zinc", radius_size="md", font=_FONTS, font_mono=_MONO).set(
    body_background_fill="*neutral_50",
    body_background_fill_dark="*neutral_950",
    block_background_fill="white",
    block_background_fill_dark="*neutral_900",
    body_text_color_subdued="*neutral_600",
    body_text_color_subdued_dark="*neutral_400",
    input_background_fill="white",
    input_background_fill_dark="*neutral_900",
    input_border_width="1px",
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

CSS = (_HERE / "page.css").read_text(encoding="utf-8")

_ABOUT = "Type a headline: how likely it is Business, Sci/Tech, Sports or World, and which words say so, exactly."
HEAD = f"""
<meta name="description" content="{_ABOUT}">
<meta property="og:type" content="website">
<meta property="og:title" content="What is this headline about?">
<meta property="og:description" content="{_ABOUT}">
<meta name="twitter:card" content="summary">
<script>{(_HERE / "page.js").read_text(encoding="utf-8")}</script>
"""

_POLICY = "; ".join(
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
                    headers.append((b"content-security-policy", _POLICY.encode()))
                    message = {**message, "headers": headers}
            await send(message)

        await self.app(scope, receive, send_with_policy if scope["type"] == "http" else send)
