"""What the pictures of the reports share."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg

INK, MUTED, OURS, THEIRS = "#27272a", "#63636b", "#b3202c", "#1e5fa8"  # of the pictures
SIDES = (
    *((8, 0, "left", "center"), (-8, 0, "right", "center"), (0, 9, "center", "bottom"), (0, -9, "center", "top")),
    *((0, 24, "center", "bottom"), (0, -24, "center", "top"), (0, 39, "center", "bottom"), (0, -39, "center", "top")),
)


def placed(axes: Axes, points: Sequence[tuple[float, float, str, str]]) -> None:
    """Write each label beside its point, at the first side where it meets no other label or point and no edge."""
    renderer = FigureCanvasAgg(axes.figure).get_renderer()
    inside = axes.get_window_extent(renderer)
    dots = [axes.transData.transform((x, y)) for x, y, _, _ in points]
    taken = []
    for x, y, label, colour in points:
        text = axes.annotate(label, (x, y), (0, 0), textcoords="offset points", fontsize=9, color=colour, zorder=4)
        text.set_bbox({"facecolor": "white", "alpha": 0.75, "pad": 0.5, "lw": 0})  # over the bars of others
        for dx, dy, side, base in SIDES:
            text.set(position=(dx, dy), ha=side, va=base)
            box = text.get_window_extent(renderer)
            free = inside.contains(box.x0, box.y0) and inside.contains(box.x1, box.y1)
            if free and not any(map(box.overlaps, taken)) and not any(box.contains(*dot) for dot in dots):
                break
        taken.append(box)


def framed(axes: Axes, x: str, y: str) -> None:
    """Name the axes and lighten the frame."""
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.grid(visible=True, which="major", color="#ececef", lw=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED)
    axes.spines[["top", "right"]].set_visible(False)
