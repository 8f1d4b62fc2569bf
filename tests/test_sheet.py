"""The sheet: inches from the upper left corner, letters as shapes, and files that say what they show."""

import io
import re
import warnings
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.collections import PolyCollection, QuadMesh
from matplotlib.colors import to_hex
from matplotlib.patches import PathPatch
from PIL import Image

from textcnn.sheet import STYLES, Sheet, shape, to_png, to_svg

LIGHT = STYLES["light"]
MATH = "$ \\frac{1 $ ^x_"  # an error as math; fine as text
DESCRIPTION = 'Oil & <b>"gas"</b> ]]> 北京 🎉'
DUBLIN = "{http://purl.org/dc/elements/1.1/}"


@pytest.fixture(autouse=True)
def _no_warnings():
    """A warning of matplotlib's on a user's terminal is a fault."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def _written(**how):
    """The box around the ink of an H that is written at (2, 1) on a sheet of 4 x 3 inches."""
    sheet = Sheet(4, 3, LIGHT)
    sheet.write(2, 1, "H", 72, LIGHT.ink, **how)
    (letters,) = (artist for artist in sheet.figure.get_children() if isinstance(artist, PathPatch))
    return letters.get_path().get_extents()


def _sheet() -> Sheet:
    """A sheet with something of each kind."""
    sheet = Sheet(3, 2, LIGHT)
    sheet.write(0.5, 0.5, "oil", 12, LIGHT.ink)
    sheet.cells("map", np.array([[-1.0, 0.0], [1.0, 3.0]]), LIGHT.fired, 2.0, (1, 1), (0.5, 0.25))
    sheet.shapes("bars", [[(0, 0), (1, 0), (1, 1)]], facecolors="red")
    return sheet


# What stands where.


def test_a_place_is_measured_in_inches_from_the_upper_left_corner():
    sheet = Sheet(3, 2, LIGHT)
    sheet.shapes("bars", [[(0.5, 0.25), (1.5, 0.25), (1.5, 0.5), (0.5, 0.5)]], facecolors="#ff0000", linewidths=0)
    pixels = np.asarray(Image.open(io.BytesIO(to_png(sheet.figure, dpi=40))))
    red = (pixels == [255, 0, 0]).all(2)
    rows, columns = np.nonzero(red)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (10, 20, 20, 60)
    assert red.sum() == 10 * 40


@pytest.mark.parametrize("style", ["light", "dark"])
def test_a_sheet_has_the_colour_of_its_paper(style):
    sheet = Sheet(1, 1, STYLES[style])
    picture = Image.open(io.BytesIO(to_png(sheet.figure, dpi=20)))
    assert to_hex(np.array(picture.getpixel((10, 10))) / 255) == STYLES[style].paper


def test_each_artist_bears_the_name_of_what_it_shows():
    artists = {type(artist): artist for artist in _sheet().figure.get_children()}
    assert artists[QuadMesh].get_gid() == "map"
    assert artists[PolyCollection].get_gid() == "bars"
    assert artists[PathPatch].get_label() == "oil"


def test_cells_have_their_size_and_colours_to_their_reach():
    (mesh,) = (artist for artist in _sheet().figure.get_children() if isinstance(artist, QuadMesh))
    np.testing.assert_array_equal(mesh.get_array(), [[-1, 0], [1, 3]])
    assert mesh.get_clim() == (-2, 2)
    np.testing.assert_allclose(mesh.get_coordinates()[0, :, 0], [1, 1.5, 2])
    np.testing.assert_allclose(mesh.get_coordinates()[:, 0, 1], [1, 1.25, 1.5])


@pytest.mark.parametrize(("align", "share"), [("left", 0), ("center", 0.5), ("right", 1)])
def test_text_stands_left_of_its_place_on_it_or_right_of_it(align, share):
    box = _written(align=align)
    assert box.x0 + share * box.width == pytest.approx(2, abs=0.11)  # but for the white beside an H


def test_capitals_are_centred_on_their_line():
    assert (_written().y0 + _written().y1) / 2 == pytest.approx(1, abs=0.005)


def test_rising_text_starts_at_its_place_and_is_centred_on_its_column():
    box = _written(rising=True)
    assert (box.x0 + box.x1) / 2 == pytest.approx(2, abs=0.005)
    assert box.y1 == pytest.approx(1, abs=0.11)
    assert box.y0 < box.y1 - 0.5
    assert (box.width, box.height) == pytest.approx((_written().height, _written().width))


# Letters.


def test_a_capital_is_as_high_as_its_points():
    """DejaVu's capitals are .729 of the font's size, and a point is 1/72 inch."""
    for size in (6.5, 72):
        points = shape("H", size).points
        assert np.ptp(points[:, 1]) == pytest.approx(0.729 * size / 72, rel=0.01)


def test_the_width_of_a_line_is_that_of_its_ink():
    letters = shape("oil prices", 9)
    assert letters.width == letters.points[:, 0].max() > shape("oil", 9).width > 0


@pytest.mark.parametrize("how", ["bold", "slanted"])
def test_bold_and_slanted_letters_have_shapes_of_their_own(how):
    plain, special = shape("oil", 9), shape("oil", 9, **{how: True})
    assert plain.points.shape != special.points.shape or not np.allclose(plain.points, special.points)


@pytest.mark.parametrize("text", ["北京", "🎉🏀", "\x00\n", "हि"])
def test_a_character_that_the_font_lacks_is_a_box(text):
    assert "□" not in text
    np.testing.assert_array_equal(shape(text, 9).points, shape("□" * len(text), 9).points)


@pytest.mark.parametrize("text", [MATH, "$x$", "\\$5", "$5 or $6", "x_1^2", "\\alpha"])
def test_text_is_never_read_as_math(text):
    """Each character is drawn: there are as many points as those of its characters."""
    assert len(shape(text, 9).points) == sum(len(shape(c, 9).points) for c in text)


@pytest.mark.parametrize("text", ["", " "])
def test_text_without_ink_is_an_empty_shape(text):
    letters = shape(text, 9)
    assert (letters.points.shape, letters.codes.shape, letters.width) == ((0, 2), (0,), 0)
    sheet = Sheet(1, 1, LIGHT)
    sheet.write(0.5, 0.5, text, 9, LIGHT.ink, "center")
    assert to_png(sheet.figure, dpi=20) == to_png(Sheet(1, 1, LIGHT).figure, dpi=20)
    assert ElementTree.fromstring(to_svg(sheet.figure)) is not None


# Files.


@pytest.mark.parametrize("dpi", [50, 100])
def test_png_has_the_figures_size_times_dots_an_inch(dpi):
    picture = Image.open(io.BytesIO(to_png(_sheet().figure, dpi=dpi)))
    assert (picture.format, picture.mode) == ("PNG", "RGB")
    assert picture.size == (3 * dpi, 2 * dpi)
    assert picture.info["dpi"] == pytest.approx((dpi, dpi), abs=0.1)


def test_png_keeps_its_description():
    assert Image.open(io.BytesIO(to_png(_sheet().figure, 30, DESCRIPTION))).text == {"Description": DESCRIPTION}
    assert Image.open(io.BytesIO(to_png(_sheet().figure, 30))).text == {}


def test_svg_keeps_its_description():
    document = ElementTree.fromstring(to_svg(_sheet().figure, DESCRIPTION))
    assert [element.text for element in document.iter(f"{DUBLIN}description")] == [DESCRIPTION]


def test_svg_has_the_figures_size_and_colour():
    document = ElementTree.fromstring(to_svg(_sheet().figure))
    assert (document.get("width"), document.get("height")) == ("216pt", "144pt")  # 72 points an inch
    assert LIGHT.paper in next(document.iter("{http://www.w3.org/2000/svg}path")).get("style")


def test_svg_draws_letters_as_shapes_and_refers_to_nothing_outside():
    """No font, picture, script or style from elsewhere: it can be shown on a page as it is."""
    source = to_svg(_sheet().figure, DESCRIPTION)
    document = ElementTree.fromstring(source)
    names = {element.tag.rpartition("}")[2] for element in document.iter()}
    assert not names & {"text", "image", "script", "foreignObject", "a", "iframe"}
    places = [value for element in document.iter() for name, value in element.items() if re.search("(href|src)$", name)]
    assert all(place.startswith("#") for place in places)
    assert not re.search(rb"url\((?!#)|@import|<\?xml-stylesheet", source)


def test_the_same_drawing_gives_the_same_bytes():
    assert to_png(_sheet().figure) == to_png(_sheet().figure)
    assert to_svg(_sheet().figure, "oil") == to_svg(_sheet().figure, "oil")
