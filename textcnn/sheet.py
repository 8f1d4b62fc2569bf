"""A sheet to draw on, in inches, faster than matplotlib's axes; its colours; and figures as files.

Figures are built without pyplot, which keeps global state and is not safe in threads. Text is never parsed as math, so
that a headline may say $5 and x_1.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.collections import PolyCollection, QuadMesh
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.textpath import text_to_path
from matplotlib.transforms import Affine2D
from PIL import Image
from PIL.PngImagePlugin import PngInfo

__all__ = ["STYLES", "Pair", "Sheet", "Style", "shape", "to_png", "to_svg"]

_CAPITALS = 0.73 / 72  # inches of a capital's height for a point of the font's size

Pair = tuple[float, float]


@dataclass(frozen=True)
class Style:
    """Colours of a picture.

    Each palette diverges around zero and can be told apart without red-green vision. There are two, because how
    strongly a filter fired and what a word pushed are two things.
    """

    paper: str
    ink: str
    muted: str
    fired: Colormap
    pushed: Colormap


def _palette(*colours: str) -> Colormap:
    return LinearSegmentedColormap.from_list("diverging", colours)


STYLES = {
    "light": Style(
        paper="#ffffff",
        ink="#27272a",
        muted="#63636b",
        fired=_palette("#4c1d95", "#a78bfa", "#f7f7f8", "#f5a34a", "#8a3b06"),
        pushed=_palette("#1e5fa8", "#f4f4f5", "#b3202c"),
    ),
    "dark": Style(
        paper="#18181b",
        ink="#e8e8ea",
        muted="#a8a8b0",
        fired=_palette("#c4b5fd", "#6d4fd0", "#222226", "#b4620f", "#ffc47a"),
        pushed=_palette("#6cb2f5", "#26262b", "#ff7a70"),
    ),
}


class Sheet:
    """An empty figure, measured in inches from its upper left corner.

    It has no axes: their layout, ticks and limits take longer than all the drawing.
    """

    def __init__(self, width: float, height: float, look: Style) -> None:
        self.figure = Figure(figsize=(width, height), facecolor=look.paper)
        self.width = width
        self.place = Affine2D().scale(1, -1).translate(0, height) + self.figure.dpi_scale_trans

    def write(
        self, x: float, y: float, text: str, size: float, colour: str, align: str = "left", *, rising: bool = False,
        bold: bool = False, slanted: bool = False,
    ) -> None:  # fmt: skip
        """Write a line of `size` points, its capitals centred on y; or `rising` from y, its capitals centred on x.

        The letters are shapes, which are kept: matplotlib's own texts are laid out anew for each picture.
        """
        letters = shape(text, size, bold=bold, slanted=slanted)
        right, up = letters.points[:, 0], letters.points[:, 1] - _CAPITALS * size / 2
        if rising:
            points = np.column_stack([x - up, y - right])
        else:
            start = x - {"left": 0.0, "center": letters.width / 2, "right": letters.width}[align]
            points = np.column_stack([start + right, y - up])
        path = Path(points, letters.codes)
        self.figure.add_artist(PathPatch(path, facecolor=colour, linewidth=0, transform=self.place, label=text))

    def cells(self, name: str, values: np.ndarray, colours: Colormap, reach: float, corner: Pair, cell: Pair) -> None:
        """Colour a grid of cells of `cell` inches (width, height) whose upper left corner is at `corner`."""
        rows, columns = values.shape
        xs, ys = corner[0] + cell[0] * np.arange(columns + 1), corner[1] + cell[1] * np.arange(rows + 1)
        corners = np.stack(np.meshgrid(xs, ys), axis=2)
        norm = Normalize(-reach, reach)
        mesh = QuadMesh(corners, array=values, cmap=colours, norm=norm, transform=self.place, gid=name)
        self.figure.add_artist(mesh)

    def shapes(self, name: str, corners: Sequence[Sequence[Pair]], **settings: Any) -> None:
        """Draw polygons."""
        self.figure.add_artist(PolyCollection(corners, transform=self.place, gid=name, **settings))


class Letters(NamedTuple):
    """The shape of a line of text."""

    points: np.ndarray  # (points, 2) inches to the right of its start and up from its base line
    codes: np.ndarray  # (points,) what matplotlib's Path makes of them
    width: float  # inches


@lru_cache(maxsize=1024)  # some 10 MB
def shape(text: str, size: float, *, bold: bool = False, slanted: bool = False) -> Letters:
    """Return the shape of a line of text; a character that the font does not have is a box."""
    font = FontProperties(  # it ships with matplotlib
        family="DejaVu Sans", weight="bold" if bold else "normal", style="oblique" if slanted else "normal"
    )
    has = get_font(findfont(font)).get_char_index
    # not TextPath, which would read dollar signs as math
    points, codes = text_to_path.get_text_path(font, "".join(c if has(ord(c)) else "□" for c in text))
    inches = np.array(points, dtype=float).reshape(-1, 2) * (size / 72 / text_to_path.FONT_SCALE)
    return Letters(inches, np.array(codes, dtype=Path.code_type), float(inches[:, 0].max(initial=0)))


def to_png(figure: Figure, dpi: int = 160, description: str = "") -> bytes:
    """Return the figure as a PNG file; the description is kept in it."""
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")  # type: ignore[no-untyped-call]
    about = PngInfo()
    if description:
        about.add_itxt("Description", _printable(description))
    buffer = io.BytesIO()
    picture.save(buffer, "png", compress_level=3, dpi=(dpi, dpi), pnginfo=about)
    return buffer.getvalue()


def to_svg(figure: Figure, description: str = "") -> bytes:
    """Return the figure as an SVG file, its letters drawn as shapes; the description is kept in it."""
    buffer = io.BytesIO()
    FigureCanvasSVG(figure)
    about = {"Date": None, "Description": _printable(description)}
    figure.savefig(buffer, format="svg", facecolor=figure.get_facecolor(), metadata=about)
    return buffer.getvalue()


def _printable(text: str) -> str:
    """Without the characters that XML forbids."""
    return "".join(c for c in text if c.isprintable())
