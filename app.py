"""The demo: type a headline, see how likely each class is, and which words fired which filters.

    python app.py

serves the page on http://127.0.0.1:7860, or where GRADIO_SERVER_NAME and GRADIO_SERVER_PORT say. It needs no network.
`--mcp` also serves its endpoints as tools of the Model Context Protocol; that needs `pip install "gradio[mcp]"`.
"""

import argparse
import gc
from collections.abc import Sequence
from typing import Any

import torch
from starlette.middleware import Middleware

from demo import batch
from demo.drawing import Drawing
from demo.look import CSS, HEAD, THEME, OwnHostOnly
from demo.models import Models, bundled
from demo.page import Page
from demo.pictures import routes


def settings(models: Models, drawing: Drawing) -> dict[str, Any]:
    """Return what `launch` needs to know."""
    return {
        "theme": THEME,
        "css": CSS + batch.CSS,
        "head": HEAD,
        "footer_links": [],
        "run_history": False,
        "show_error": True,
        "share": False,
        "ssr_mode": False,
        "pwa": False,
        "enable_monitoring": False,
        # Gradio keeps a session for each caller, 80 kB of it a copy of the page. Nothing of a visitor's is in it.
        "state_session_capacity": 64,
        "max_file_size": batch.MAX_BYTES,
        "app_kwargs": {"middleware": [Middleware(OwnHostOnly)], "routes": routes(models, drawing)},
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the page until it is stopped."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mcp", action="store_true", help="serve the endpoints as MCP tools too")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # one headline gains nothing from more, and requests would wait for each other's threads
    models = bundled()
    drawing = Drawing(models)
    page = Page(models, drawing)
    gc.freeze()  # what is loaded stays: the collector need not look at it again during a request
    page.blocks.launch(mcp_server=options.mcp, **settings(models, drawing))


if __name__ == "__main__":
    main()
