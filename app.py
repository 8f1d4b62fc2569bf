"""The demo: type a headline, see how likely each class is, and which words fired which filters.

    python app.py

serves the page on http://127.0.0.1:7860, or where GRADIO_SERVER_NAME and GRADIO_SERVER_PORT say. It needs no network:
without --repo or TEXTCNN_REPO it serves the models that ship with it, and with them too where the Hub is out of reach.
`--mcp` also serves its endpoints as tools of the Model Context Protocol; that needs `pip install "gradio[mcp]"`.
"""

import argparse
import gc
import json
import logging
import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from starlette.middleware import Middleware

from demo import batch
from demo.drawing import Drawing
from demo.look import CSS, HEAD, THEME, OwnHostOnly
from demo.models import HUB_SECONDS, Models, chosen
from demo.page import Page
from demo.pictures import routes

PINNED = Path(__file__).parent / "space.json"  # the repo and the revision of a Space


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
        # Gradio keeps a session for each caller, 80 kB of it a copy of the page. What a visitor asked and kept is not
        # in it.
        "state_session_capacity": 64,
        "max_file_size": batch.MAX_BYTES,
        "app_kwargs": {"middleware": [Middleware(OwnHostOnly)], "routes": routes(models, drawing)},
    }


def which(repo: str | None, revision: str | None) -> tuple[str | None, str | None]:
    """Return the Hub model to serve: as the flags say, or the environment, or the file that `make space` writes."""
    if repo is None and (repo := os.environ.get("TEXTCNN_REPO")) is not None:
        return repo or None, revision or os.environ.get("TEXTCNN_REVISION") or None
    if repo is None and PINNED.is_file():
        pinned = json.loads(PINNED.read_text(encoding="utf-8"))
        return pinned["repo"], revision or os.environ.get("TEXTCNN_REVISION") or pinned["revision"]
    return repo, revision or os.environ.get("TEXTCNN_REVISION") or None


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the page until it is stopped."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mcp", action="store_true", help="serve the endpoints as MCP tools too")
    parser.add_argument("--repo", metavar="OWNER/NAME", help="serve this model of the Hub (or set TEXTCNN_REPO)")
    parser.add_argument("--revision", help="its branch, tag or commit (or set TEXTCNN_REVISION)")
    parser.add_argument("--hub-seconds", type=float, help=f"that the Hub may take (default: {HUB_SECONDS:g})")
    options = parser.parse_args(arguments)
    if options.mcp and find_spec("mcp") is None:
        parser.error('--mcp needs one more package: pip install "gradio[mcp]"')
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    torch.set_num_threads(1)  # one headline gains nothing from more, and requests would wait for each other's threads
    repo, revision = which(options.repo, options.revision)
    if options.revision and not repo:
        parser.error("--revision is of a model of the Hub: give --repo OWNER/NAME too")
    models = chosen(repo, revision, options.hub_seconds or HUB_SECONDS)
    drawing = Drawing(models)
    page = Page(models, drawing)
    gc.freeze()  # what is loaded stays: the collector need not look at it again during a request
    page.blocks.launch(mcp_server=options.mcp, **settings(models, drawing))


if __name__ == "__main__":
    main()
