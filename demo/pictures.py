"""The addresses beside the page: the heat map as PNG and SVG, the explanation as JSON, and a monitor's question.

Everything is in the address, so that a picture can be linked, and nothing is kept on the disk.
"""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from demo.drawing import KINDS, Drawing, Full
from demo.links import Query
from demo.models import Models
from textcnn import DataError, __version__

__all__ = ["routes"]

_LASTS = {"Cache-Control": "public, max-age=3600"}  # for an address that names the hash of the model that is served


def routes(models: Models, drawing: Drawing) -> list[Route]:
    """Return the addresses, which read from `models`."""
    return [
        Route("/picture.png", _answer(models, drawing, "png")),
        Route("/picture.svg", _answer(models, drawing, "svg")),
        Route("/explanation.json", _answer(models, drawing, "json")),
        Route("/figures/{model}/{name}", _figures(models)),
        Route("/health", _health(models)),
    ]


def _answer(models: Models, drawing: Drawing, kind: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            query = Query.from_parameters(request.query_params, models)
            style, reach = request.query_params.get("style", "light"), _number(request.query_params.get("reach"))
            content = await asyncio.wrap_future(drawing.submit(kind, query, style, reach))
        except DataError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        except Full as error:
            return JSONResponse({"error": str(error)}, status_code=503, headers={"Retry-After": "3"})
        lasts = query.seen_hash == models.hashes[query.model]
        return Response(content, media_type=KINDS[kind], headers=_LASTS if lasts else {})

    return answer


def _figures(models: Models) -> Callable[[Request], Response]:
    folders = {model.name: model.folder / "figures" for model in models}

    def figure(request: Request) -> Response:
        folder, name = folders.get(request.path_params["model"]), request.path_params["name"]
        if folder is None or name not in {path.name for path in folder.glob("*.png")}:
            return JSONResponse({"error": "There is no such figure."}, status_code=404)
        return FileResponse(folder / name)

    return figure


def _health(models: Models) -> Callable[[Request], Response]:
    def health(request: Request) -> Response:
        return JSONResponse({"status": "ok", "version": __version__, "models": models.hashes})

    return health


def _number(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1 <= value <= 1_000:
        raise DataError(f"Got reach={text[:20]!r}: give a number from 1 to 1,000.")
    return value
