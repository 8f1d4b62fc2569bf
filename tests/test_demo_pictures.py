"""The addresses beside the page: pictures, explanations, figures, and a monitor's question."""

import io
import json
import threading
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from demo import drawing as drawing_module
from demo import pictures
from demo.drawing import Drawing
from demo.links import Query
from demo.models import Models, bundled
from tests.conftest import AWKWARD, STOCKS
from textcnn import __version__
from textcnn.plots import alternative_text

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def models() -> Models:
    return bundled()


@pytest.fixture(scope="module")
def site(models):
    with TestClient(Starlette(routes=pictures.routes(models, Drawing(models)))) as client:
        yield client


@pytest.fixture
def fresh(models):
    """A site of its own, for tests that change its limits before it starts."""
    with TestClient(Starlette(routes=pictures.routes(models, Drawing(models)))) as client:
        yield client


def address(path, headline=STOCKS, **parameters):
    return f"/{path}?{urlencode({'headline': headline} | parameters)}"


def decoded(response):
    """The pixels of a PNG; a cut one does not decode."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/png"
    picture = Image.open(io.BytesIO(response.content))
    picture.load()
    return picture


# --- pictures -------------------------------------------------------------------------------------------------------


def test_a_picture_is_a_png_that_says_what_it_shows(site, models):
    picture = decoded(site.get(address("picture.png")))
    assert picture.width > 500
    assert picture.text["Description"] == alternative_text(models["default"].classifier.explain(STOCKS))


def test_a_picture_is_an_svg_too_that_says_what_it_shows_and_runs_nothing(site, models):
    response = site.get(address("picture.svg", "<script>alert(1)</script> oil & gas", **{"class": "Sports"}))
    assert response.headers["content-type"].startswith("image/svg+xml")
    root = ElementTree.fromstring(response.content)
    assert root.tag == f"{SVG}svg"
    assert not list(root.iter(f"{SVG}script"))
    explanation = models["default"].classifier.explain("<script>alert(1)</script> oil & gas")
    assert alternative_text(explanation, target="Sports") in "".join(root.itertext())


@pytest.mark.parametrize("path", ["picture.png", "picture.svg"])
def test_theme_scale_class_and_model_change_the_picture(site, path):
    asked = [
        {},
        {"style": "dark"},
        {"reach": "40"},
        {"class": "World"},
        {"model": "lesson"},
        {"class": "World", "style": "dark"},
    ]
    found = [site.get(address(path, **parameters)) for parameters in asked]
    assert [response.status_code for response in found] == [200] * len(asked)
    assert len({response.content for response in found}) == len(asked)


def test_what_is_asked_by_default_can_be_asked_by_name(site, models):
    explanation = models["default"].classifier.explain(STOCKS)
    plain = decoded(site.get(address("picture.png")))
    named = {"class": explanation.label, "model": f"default-{models.hashes['default']}", "style": "light"}
    assert decoded(site.get(address("picture.png", **named))) == plain
    scale = f"{explanation.push_scale():.9f}"
    assert decoded(site.get(address("picture.png", reach=scale))) == plain
    corner = plain.getpixel((0, 0)), decoded(site.get(address("picture.png", style="dark"))).getpixel((0, 0))
    assert min(corner[0]) > 200
    assert max(corner[1]) < 60


@pytest.mark.parametrize("headline", [t for t in AWKWARD if t.strip() and len(t) <= 1000], ids=lambda t: ascii(t)[:20])
def test_awkward_headlines_are_drawn_and_explained(site, headline):
    decoded(site.get(address("picture.png", headline, model="lesson", style="dark")))
    ElementTree.fromstring(site.get(address("picture.svg", headline)).content)
    assert site.get(address("explanation.json", headline)).json()["title"] == headline


@pytest.mark.parametrize("model", ["default", "lesson"])
def test_the_explanation_is_the_librarys_with_the_model_that_gave_it(site, models, model):
    response = site.get(address("explanation.json", "Zorblax shares rise — 北京", model=model))
    assert response.headers["content-type"] == "application/json"
    explanation = models[model].classifier.explain("Zorblax shares rise — 北京", left_out=True)
    about = {"model": model, "hash": models.hashes[model]}
    assert response.json() == about | json.loads(json.dumps(explanation.to_dict()))
    assert response.json()["left_out"] is not None
    assert "北京" in response.content.decode()


# --- mistakes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["picture.png", "picture.svg", "explanation.json"])
@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ("", "Type a headline first."),
        ("headline=", "Type a headline first."),
        ("headline=+%0A", "Type a headline first."),
        ("headline=" + "x" * 1001, "This is 1,001 characters long; a headline may have 1,000."),
        ("headline=a&versus=" + "x" * 1001, "This is 1,001 characters long; a headline may have 1,000."),
        ("headline=a&class=%3Cb%3E", "Got the class '<b>': this model has Business, Sci/Tech, Sports, World."),
        ("headline=a&model=bert", "Got the model 'bert': this page has default, lesson."),
        ("headline=a&style=blue", "Got style='blue': give light or dark."),
        ("headline=a&style=", "Got style='': give light or dark."),
        ("headline=a&style=" + "x" * 500, f"Got style='{'x' * 20}': give light or dark."),
        ("headline=a&reach=", "Got reach='': give a number from 1 to 1,000."),
        ("headline=a&reach=0.99", "Got reach='0.99': give a number from 1 to 1,000."),
        ("headline=a&reach=1000.1", "Got reach='1000.1': give a number from 1 to 1,000."),
        ("headline=a&reach=nan", "Got reach='nan': give a number from 1 to 1,000."),
        ("headline=a&reach=-inf", "Got reach='-inf': give a number from 1 to 1,000."),
        ("headline=a&reach=" + "9" * 500, f"Got reach='{'9' * 20}': give a number from 1 to 1,000."),
    ],
)
def test_a_mistake_is_answered_with_what_was_got_and_what_may_be(site, path, parameters, said):
    response = site.get(f"/{path}?{parameters}")
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {"error": said}
    assert "cache-control" not in response.headers


def test_odd_addresses_never_break_the_server(site):
    assert site.get("/picture.png?headline=a&headline=oil").status_code == 200
    assert site.get("/explanation.json?headline=a&headline=oil").json()["title"] == "oil"
    assert site.get("/explanation.json?headline=%ED%A0%80+oil").status_code == 200  # half of a character, badly coded
    assert site.get("/explanation.json?headline=%FF%00+oil").status_code == 200
    assert site.get("/explanation.json?&&==&headline=oil&unknown=1").status_code == 200
    assert site.post("/picture.png?headline=oil").status_code == 405


# --- figures and health ---------------------------------------------------------------------------------------------


def test_the_figures_of_each_model_are_served(site, models):
    for model in models:
        names = [path.name for path in (model.folder / "figures").glob("*.png")]
        assert names
        for name in names:
            response = site.get(f"/figures/{model.name}/{name}")
            decoded(response)
            assert response.content == (model.folder / "figures" / name).read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "/figures/default/nothing.png",
        "/figures/default/",
        "/figures/default",
        "/figures/bert/reliability.png",
        "/figures/../default/reliability.png",
        "/figures/default/../config.json",
        "/figures/default/../../lesson/figures/reliability.png",
        "/figures/default/..",
        "/figures/./reliability.png",
        "/figures/../artifacts/default/README.md",
        "/figures/default//etc/passwd",
        "/figures/default/../figures/reliability.png",
        "/figures/default/reliability.png\x00",
        "/figures/default/RELIABILITY.PNG",
        "/figures/default/..\\config.json",
    ],
)
def test_nothing_but_the_figures_is_served(site, path):
    """The path as the server sees it, so that no client tidies it up on the way."""

    async def ask():
        scope = {
            "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "root_path": "", "headers": [],
            "query_string": b"", "scheme": "http", "server": ("127.0.0.1", 80), "http_version": "1.1",
        }  # fmt: skip
        sent = []

        async def receive():
            return {"type": "http.request", "body": b""}

        async def send(message):
            sent.append(message)

        await site.app(scope, receive, send)
        return sent

    start, *rest = site.portal.call(ask)
    body = b"".join(part.get("body", b"") for part in rest)
    if start["status"] == 307:  # a slash at the end is taken away, and then nothing is there
        assert path.endswith("/")
    else:
        assert start["status"] == 404
    assert b"PNG" not in body
    assert b"root:" not in body


@pytest.mark.parametrize(
    "name", ["%2e%2e%2fconfig.json", "..%2fconfig.json", "%2e%2e", "%2fetc%2fpasswd", "..%5cx.png"]
)
def test_coded_paths_reach_no_other_file(site, name):
    assert site.get(f"/figures/default/{name}").status_code == 404


def test_a_monitor_hears_that_it_lives_its_version_and_its_models(site, models):
    assert site.get("/health").json() == {"status": "ok", "version": __version__, "models": models.hashes}


# --- many at once ---------------------------------------------------------------------------------------------------


def test_equal_and_different_pictures_asked_at_once_are_all_whole(fresh):
    headlines = [f"{STOCKS} {number}" for number in range(8)]
    asked = [address("picture.png", headline, model="lesson") for headline in headlines + [headlines[0]] * 8]
    with ThreadPoolExecutor(16) as pool:
        found = [decoded(response) for response in pool.map(fresh.get, asked)]
    alone = decoded(fresh.get(asked[0]))
    assert all(picture == alone for picture in [found[0], *found[8:]])
    assert len({picture.tobytes() for picture in found}) == 8


@pytest.fixture
def held(monkeypatch):
    """Drawing waits until it is let go."""
    go, drawing = threading.Event(), threading.Semaphore(0)
    draw = drawing_module.heatmap

    def slow(*arguments, **options):
        drawing.release()
        assert go.wait(30)
        return draw(*arguments, **options)

    monkeypatch.setattr(drawing_module, "heatmap", slow)
    yield go, drawing
    go.set()


def test_too_many_at_once_are_turned_away_at_once_and_the_others_are_answered(fresh, held, monkeypatch):
    go, drawing = held
    monkeypatch.setattr(drawing_module, "_WAITING", 2)
    asked = [address("picture.png", f"{STOCKS} {number}", model="lesson") for number in range(2)]
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(fresh.get, one) for one in asked]
        for _ in waiting:
            assert drawing.acquire(timeout=30)
        for path in ("picture.png", "picture.svg", "explanation.json"):
            refused = fresh.get(address(path, "oil"))
            assert refused.status_code == 503
            assert "try again" in refused.json()["error"]
            assert int(refused.headers["retry-after"]) > 0
        assert fresh.get("/health").status_code == 200  # a monitor is answered all the same
        go.set()
        for one in waiting:
            decoded(one.result())
    decoded(fresh.get(address("picture.png", "oil")))


def test_no_more_than_two_are_drawn_at_the_same_time(fresh, held):
    go, drawing = held
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(fresh.get, address("picture.svg", f"oil {n}", model="lesson")) for n in range(4)]
        assert drawing.acquire(timeout=30)
        assert drawing.acquire(timeout=30)
        assert not drawing.acquire(timeout=0.3)
        go.set()
        assert [one.result().status_code for one in waiting] == [200] * 4


def test_mistakes_do_not_use_the_places_up(fresh, monkeypatch):
    monkeypatch.setattr(drawing_module, "_WAITING", 1)
    for _ in range(3):
        assert fresh.get("/picture.png?headline=").status_code == 400
    assert fresh.get(address("explanation.json", "oil")).status_code == 200


def test_a_fault_while_drawing_uses_no_place_up(models, monkeypatch):
    monkeypatch.setattr(drawing_module, "_WAITING", 1)
    with TestClient(
        Starlette(routes=pictures.routes(models, Drawing(models))), raise_server_exceptions=False
    ) as client:
        with monkeypatch.context() as broken:
            broken.setattr(drawing_module, "heatmap", lambda *_, **__: 1 / 0)
            assert client.get(address("picture.png", "oil")).status_code == 500
        decoded(client.get(address("picture.png", "oil")))


def test_the_last_pictures_are_kept_and_no_more(models, monkeypatch):
    drawn = []
    draw = drawing_module.heatmap
    monkeypatch.setattr(drawing_module, "_KEPT", 2)
    monkeypatch.setattr(
        drawing_module,
        "heatmap",
        lambda explanation, *a, **o: drawn.append(explanation.title) or draw(explanation, *a, **o),
    )
    with TestClient(Starlette(routes=pictures.routes(models, Drawing(models)))) as client:
        for headline in ("one", "one", "two", "one", "three", "one", "two"):
            decoded(client.get(address("picture.png", headline, model="lesson")))
        assert drawn == ["one", "two", "three", "two"]
        client.get(address("picture.svg", "one", model="lesson"))
        client.get(address("picture.svg", "one", model="lesson"))
    assert drawn[4:] == ["one", "one"]  # files that are downloaded once are not


def test_pictures_may_be_kept_by_the_browser(site, models):
    query = Query(STOCKS, None, "lesson")
    response = site.get(f"/picture.png{query.link(models)}")
    assert "max-age" in response.headers["cache-control"]
