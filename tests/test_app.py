"""The demo's start: what it serves with, what a browser may load for it, and that importing it does nothing."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import gradio as gr
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient

import app
from demo import batch
from demo.drawing import Drawing
from demo.look import CSS, HEAD, THEME, OwnHostOnly
from demo.models import Models, bundled
from demo.page import EXAMPLES
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def models() -> Models:
    return bundled()


# --- starting -------------------------------------------------------------------------------------------------------


def test_the_page_is_served_with_its_look_its_limit_and_its_addresses(models):
    options = app.settings(models, Drawing(models))
    assert options["theme"] is THEME
    assert CSS in options["css"]
    assert options["head"] == HEAD
    assert options["max_file_size"] == batch.MAX_BYTES
    kwargs = options["app_kwargs"]
    assert [middleware.cls for middleware in kwargs["middleware"]] == [OwnHostOnly]
    paths = {route.path for route in kwargs["routes"]}
    assert paths >= {"/picture.png", "/picture.svg", "/explanation.json", "/figures/{model}/{name}", "/health"}


def test_the_page_is_shared_with_nobody_and_has_no_footer(models):
    options = app.settings(models, Drawing(models))
    assert options["share"] is False
    assert options["footer_links"] == []
    assert options["enable_monitoring"] is False
    assert options["pwa"] is False
    assert options["ssr_mode"] is False
    assert options["show_error"] is True  # a mistake is said to who made it


@pytest.mark.parametrize("arguments", [[], ["--mcp"]])
def test_starting_it_serves_the_page_with_these_settings(monkeypatch, arguments):
    started = []
    monkeypatch.setattr(gr.Blocks, "launch", lambda blocks, **options: started.append((blocks, options)))
    monkeypatch.setattr(app.gc, "freeze", lambda: None)  # the other tests go on
    monkeypatch.setattr(app, "find_spec", lambda name: name)  # as if the package was there
    app.main(arguments)
    ((blocks, options),) = started
    assert blocks.analytics_enabled is False
    assert blocks.title == "Headline classifier"
    assert options.pop("mcp_server") is bool(arguments)
    assert set(options) == set(app.settings(bundled(), Drawing(bundled())))


def test_the_package_that_mcp_needs_is_named_where_it_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(app, "find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        app.main(["--mcp"])
    assert capsys.readouterr().err.endswith('--mcp needs one more package: pip install "gradio[mcp]"\n')


PINNED = {"repo": "c/d", "revision": "v2"}


@pytest.mark.parametrize(
    ("flags", "environment", "pinned", "expected"),
    [
        ((None, None), {}, None, (None, None)),
        (
            (None, None),
            {"TEXTCNN_REPO": "a/b", "TEXTCNN_REVISION": "v1"},
            {"repo": "c/d", "revision": "v2"},
            ("a/b", "v1"),
        ),
        ((None, None), {}, PINNED, ("c/d", "v2")),
        (("e/f", "v3"), {"TEXTCNN_REPO": "a/b"}, PINNED, ("e/f", "v3")),
        ((None, None), {"TEXTCNN_REPO": ""}, PINNED, (None, None)),  # "no Hub, please"
    ],
)
def test_which_model_is_served_is_said_by_flags_then_environment_then_the_spaces_file(
    monkeypatch, tmp_path, flags, environment, pinned, expected
):
    for name in ("TEXTCNN_REPO", "TEXTCNN_REVISION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(app, "PINNED", tmp_path / "space.json")
    if pinned:
        (tmp_path / "space.json").write_text(json.dumps(pinned))
    assert app.which(*flags) == expected


def test_importing_the_app_starts_nothing_and_help_says_how_to_start_it():
    """One new process: the import, then `python app.py --help`."""
    code = (
        "import socket, threading, runpy, sys\n"
        "def refuse(*_): raise AssertionError('a socket was opened')\n"
        "socket.socket.bind = socket.socket.connect = refuse\n"
        "import app, gradio as gr, textcnn\n"
        "textcnn.HeadlineClassifier.from_pretrained = refuse\n"
        "assert not [name for name, value in vars(app).items() if isinstance(value, gr.Blocks)]\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
        "print('imported', flush=True)\n"
        "sys.argv = ['app.py', '--help']\n"
        "runpy.run_path('app.py', run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    first, said = done.stdout.split("\n", 1)
    assert first == "imported"
    assert said.startswith("usage: app.py")
    assert "--mcp" in said
    assert "http://127.0.0.1:7860" in said
    assert "GRADIO_SERVER_PORT" in said


def test_an_unknown_option_is_refused(capsys):
    with pytest.raises(SystemExit) as caught:
        app.main(["--port", "80"])
    assert caught.value.code == 2
    assert "--port" in capsys.readouterr().err


def test_the_examples_are_of_all_four_classes_and_right(models):
    found = [models["default"].classifier.predict(example).label for example in EXAMPLES]
    assert found[:4] == ["Business", "Sci/Tech", "Sports", "World"]
    assert len(set(EXAMPLES)) == len(EXAMPLES)


# --- what a browser loads -------------------------------------------------------------------------------------------


def directives(policy):
    return {name: values for name, *values in (part.split() for part in policy.split(";"))}


@pytest.fixture(scope="module")
def site():
    async def socket(websocket):
        await websocket.accept()
        await websocket.send_text("hello")
        await websocket.close()

    async def stream(request):
        async def parts():
            yield b"data: 1\n\n"
            yield b"data: 2\n\n"

        return StreamingResponse(parts(), media_type="text/event-stream")

    return TestClient(
        Starlette(
            routes=[
                Route("/", lambda request: HTMLResponse("<p>page</p>", headers={"x-own": "1"})),
                Route("/missing", lambda request: HTMLResponse("<p>no</p>", status_code=404)),
                Route("/json", lambda request: JSONResponse({"a": 1})),
                Route("/picture", lambda request: Response(b"\x89PNG", media_type="image/png")),
                Route("/stream", stream),
                Route("/bare", lambda request: Response(b"")),
                WebSocketRoute("/socket", socket),
            ],
            middleware=[Middleware(OwnHostOnly)],
        )
    )


def test_pages_come_with_a_policy_and_are_otherwise_as_they_were(site):
    for path, status in {"/": 200, "/missing": 404}.items():
        response = site.get(path)
        assert response.status_code == status
        assert "default-src 'self'" in response.headers["content-security-policy"]
    assert site.get("/").text == "<p>page</p>"
    assert site.get("/").headers["x-own"] == "1"
    assert site.get("/").headers["content-type"] == "text/html; charset=utf-8"


def test_what_is_no_page_passes_untouched(site):
    for path, content in {
        "/json": b'{"a":1}',
        "/picture": b"\x89PNG",
        "/stream": b"data: 1\n\ndata: 2\n\n",
        "/bare": b"",
    }.items():
        response = site.get(path)
        assert response.content == content
        assert "content-security-policy" not in response.headers
    with site.websocket_connect("/socket") as websocket:
        assert websocket.receive_text() == "hello"


def test_the_policy_names_no_other_host(site):
    policy = site.get("/").headers["content-security-policy"]
    allowed = {value for values in directives(policy).values() for value in values}
    assert allowed <= {"'self'", "'none'", "'unsafe-inline'", "'unsafe-eval'", "data:", "blob:"}
    assert {"default-src", "script-src", "connect-src", "object-src", "base-uri", "form-action"} <= set(
        directives(policy)
    )
    assert "'none'" in directives(policy)["object-src"]
    assert "data:" not in directives(policy)["script-src"]


def test_the_page_may_be_shown_in_a_frame(site):
    """Spaces does."""
    assert "frame-ancestors" not in site.get("/").headers["content-security-policy"]
    assert "x-frame-options" not in site.get("/").headers


class Head(HTMLParser):
    """The tags of the page's head."""

    def __init__(self):
        super().__init__()
        self.metas, self.scripts, self.inside = {}, [], False

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "meta":
            self.metas[attributes.get("name") or attributes["property"]] = attributes["content"]
        if tag == "script":
            assert "src" not in attributes
            self.scripts.append("")

    def handle_data(self, data):
        if self.scripts:
            self.scripts[-1] += data


@pytest.fixture
def head():
    parser = Head()
    parser.feed(HEAD)
    return parser


def test_the_head_describes_the_page_for_search_and_shared_links(head):
    assert "Business, Sci/Tech, Sports or World" in head.metas["description"]
    assert head.metas["og:title"]
    assert head.metas["og:description"] == head.metas["description"]
    assert head.metas["og:type"] == "website"
    assert head.metas["twitter:card"]


def test_the_head_has_the_script_whole(head):
    script = (ROOT / "demo" / "page.js").read_text(encoding="utf-8")
    assert head.scripts[0].strip() == script.strip()
    assert "</script" not in script


def test_style_script_and_theme_fetch_nothing_from_elsewhere(models):
    options = app.settings(models, Drawing(models))
    for text in (options["css"], options["head"], THEME._get_theme_css()):
        assert not re.search(r"@import|url\((?!['\"]?data:)", text)
    assert not re.search("https?:", options["css"] + options["head"])
    assert not THEME._stylesheets
