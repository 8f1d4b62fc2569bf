"""The endpoints for programs: as functions, through a page that is served, and by the snippets that the page shows."""

import io
import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
from gradio_client import Client
from PIL import Image

import app
from demo.api import MAX_HEADLINES, SNIPPETS, endpoints, snippet
from demo.drawing import Drawing
from demo.models import Models, bundled
from demo.page import Page
from tests.conftest import AWKWARD, STOCKS
from tests.servers import free_port
from textcnn.plots import alternative_text

ANSWERED = [headline for headline in AWKWARD if headline.strip() and len(headline) <= 1000]


@pytest.fixture(scope="module")
def models() -> Models:
    return bundled()


@pytest.fixture
def api(models, tmp_path, monkeypatch):
    """The three functions by name."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return SimpleNamespace(**{function.__name__: function for function in endpoints(models, Drawing(models))})


def answered(prediction):
    """What a program gets for a prediction."""
    return {
        "headline": prediction.title,
        "label": prediction.label,
        "probabilities": prediction.distribution,
        "unknown": [prediction.title[token.start : token.end] for token in prediction.unknown],
        "doubt": prediction.doubt,
    }


# --- as functions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["default", "lesson"])
@pytest.mark.parametrize("headline", [STOCKS, "Zorblax shares rise in 北京", *ANSWERED], ids=lambda t: ascii(t)[:20])
def test_classify_gives_what_the_library_says(api, models, headline, model):
    found = api.classify(headline, model)
    assert found == answered(models[model].classifier.predict(headline))
    assert json.loads(json.dumps(found)) == found


def test_the_default_model_answers_unless_another_is_asked_for(api):
    assert api.classify(STOCKS) == api.classify(STOCKS, "default") != api.classify(STOCKS, "lesson")
    assert api.batch([STOCKS]) == [api.classify(STOCKS)]
    assert api.explain(STOCKS)[0]["label"] == api.classify(STOCKS)["label"]


def test_unknown_words_are_given_as_typed_and_doubt_is_said(api):
    assert api.classify("Zorblax shares rise in 北京")["unknown"] == ["Zorblax", "北京"]
    assert api.classify("oil prices rise")["unknown"] == []
    assert api.classify("oil prices rise")["doubt"] is None
    assert "guess" in api.classify("Zorblax quuxed")["doubt"]


@pytest.mark.parametrize("target", [None, "", "World"])
def test_explain_gives_the_explanation_and_its_picture(api, models, target):
    found, file = api.explain(STOCKS, target, "lesson", "dark")
    explanation = models["lesson"].classifier.explain(STOCKS, left_out=True)
    assert found == explanation.to_dict()
    picture = Image.open(file.path)
    picture.load()
    assert max(picture.getpixel((0, 0))) < 60
    assert picture.text["Description"] == alternative_text(explanation, target=target or None)


def test_equal_pictures_never_share_a_file(api, tmp_path):
    """Gradio has served cut pictures where two equal requests wrote one path at once."""
    paths = [Path(api.explain("oil", None, "lesson")[1].path) for _ in range(2)]
    assert len(set(paths)) == 2
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert all(path.is_relative_to(tmp_path) for path in paths)  # where Gradio removes old files


def test_batch_gives_for_each_headline_what_classify_gives(api):
    headlines = [STOCKS, "Zorblax quuxed", STOCKS, "?!"]
    found = api.batch(headlines, "lesson")
    alone = [api.classify(headline, "lesson") for headline in headlines]
    for one, other in zip(found, alone, strict=True):
        assert one.pop("probabilities") == pytest.approx(other.pop("probabilities"), abs=1e-6)
        assert one == other
    assert "no word" in api.batch([""])[0]["doubt"]
    assert api.batch([]) == []
    assert len(api.batch(["oil"] * MAX_HEADLINES)) == MAX_HEADLINES


MODELS, CLASSES = "this page has default, lesson.", "this model has Business, Sci/Tech, Sports, World."
MISTAKES = [
    ("classify", [""], "Type a headline first."),
    ("classify", [" \n"], "Type a headline first."),
    ("classify", [None], "Type a headline first."),
    ("classify", [5], "Got int: a headline is a text."),
    ("classify", [["oil"]], "Got list: a headline is a text."),
    ("classify", ["x" * 10_000], "This is 10,000 characters long; a headline may have 1,000."),
    ("classify", ["oil", "bert"], f"Got the model 'bert': {MODELS}"),
    ("classify", ["oil", "b" * 500], f"Got the model '{'b' * 40}': {MODELS}"),
    ("classify", ["oil", None], f"Got the model 'None': {MODELS}"),
    ("classify", ["oil", 5], f"Got the model '5': {MODELS}"),
    ("classify", ["oil", {"a": 1}], f"Got the model \"{{'a': 1}}\": {MODELS}"),
    ("explain", [""], "Type a headline first."),
    ("explain", ["oil", "weather"], f"Got the class 'weather': {CLASSES}"),
    ("explain", ["oil", 5], f"Got the class 5: {CLASSES}"),
    ("explain", ["oil", None, "bert"], f"Got the model 'bert': {MODELS}"),
    ("explain", ["oil", None, "default", "blue"], "Got style='blue': give light or dark."),
    ("explain", ["oil", None, "default", None], "Got style='None': give light or dark."),
    ("batch", ["oil"], "Got str: give a list of headlines."),
    ("batch", [None], "Got NoneType: give a list of headlines."),
    ("batch", [{"oil": 1}], "Got dict: give a list of headlines."),
    ("batch", [["oil", 5]], "Headline 1 is 5 (int): a string is expected."),
    ("batch", [["oil", None]], "Headline 1 is None (NoneType): a string is expected."),
    ("batch", [["oil", "x" * 1001]], "Headline 1 is 1,001 characters long; a headline may have 1,000."),
    ("batch", [["oil"] * 1001], "Got 1,001 headlines: give 1,000 or fewer at a time."),
    ("batch", [["oil"], "bert"], f"Got the model 'bert': {MODELS}"),
]


@pytest.mark.parametrize(("name", "arguments", "said"), MISTAKES)
def test_a_mistake_is_an_error_that_says_what_may_be_and_stays_out_of_the_log(api, tmp_path, name, arguments, said):
    with pytest.raises(gr.Error) as caught:
        getattr(api, name)(*arguments)
    assert caught.value.message == said
    assert caught.value.print_exception is False
    assert not list(tmp_path.iterdir())


def test_a_fault_of_ours_is_not_taken_for_a_mistake(models):
    broken = SimpleNamespace(predict=lambda headline: 1 / 0)
    broken_models = {"default": SimpleNamespace(classifier=broken)}
    classify, *_ = endpoints(broken_models, Drawing(broken_models))
    with pytest.raises(ZeroDivisionError):
        classify("oil")


def test_every_endpoint_says_what_it_takes_and_gives(api):
    for name, parameters in {
        "classify": ["headline", "model"],
        "explain": ["headline", "target", "model", "style"],
        "batch": ["headlines", "model"],
    }.items():
        about = getattr(api, name).__doc__
        assert "Returns:" in about
        assert all(f"{parameter}: " in about for parameter in parameters)


# --- through a page that is served ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def url(models, tmp_path_factory):
    """The page as `python app.py` serves it, on a free port, with a folder of its own for files."""
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith(("GRADIO_", "SPACE"))]:
            environment.delenv(name)
        environment.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        environment.setenv("NO_PROXY", "127.0.0.1,localhost")
        drawing = Drawing(models)
        page = Page(models, drawing)
        options = app.settings(models, drawing) | {
            "server_name": "127.0.0.1",
            "server_port": free_port(),
            "quiet": True,
        }
        _, url, _ = page.blocks.launch(prevent_thread_lock=True, **options)
        yield url
        page.blocks.close(verbose=False)


@pytest.fixture(scope="module")
def client(url, tmp_path_factory):
    return Client(url, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))


def test_a_program_gets_the_librarys_numbers(client, models):
    classifier = models["default"].classifier
    assert client.predict(STOCKS, api_name="/classify") == answered(classifier.predict(STOCKS))
    assert client.predict("oil", model="lesson", api_name="/classify") == answered(
        models["lesson"].classifier.predict("oil")
    )
    found, picture = client.predict("Zorblax 北京", "World", "default", "dark", api_name="/explain")
    assert found == json.loads(classifier.explain("Zorblax 北京", left_out=True).to_json())
    drawn = Image.open(picture)
    drawn.load()
    assert drawn.format == "PNG"
    headlines = ["oil", "", "late goal"]
    assert client.predict(headlines, api_name="/batch") == [answered(one) for one in classifier.predict(headlines)]


@pytest.mark.parametrize(("name", "arguments", "said"), MISTAKES[::3])
def test_a_program_hears_of_its_mistake_and_the_log_has_no_traceback(client, capfd, name, arguments, said):
    with pytest.raises(Exception) as caught:  # noqa: PT011  # its type is the client's own affair
        client.predict(*arguments, api_name=f"/{name}")
    assert str(caught.value) == said
    assert "Traceback" not in "".join(capfd.readouterr())


def test_only_the_three_endpoints_are_public(client):
    found = client.view_api(return_format="dict", print_info=False)
    assert found["unnamed_endpoints"] == {}
    parameters = {
        name: {one["parameter_name"]: one["parameter_default"] for one in about["parameters"]}
        for name, about in found["named_endpoints"].items()
    }
    assert parameters == {
        "/classify": {"headline": None, "model": "default"},
        "/explain": {"headline": None, "target": None, "model": "default", "style": "light"},
        "/batch": {"headlines": None, "model": "default"},
    }
    assert all(about["description"] for about in found["named_endpoints"].values())


def test_pictures_figures_and_health_are_served_beside_the_page(url, models):
    def get(path):
        with urllib.request.urlopen(url + path, timeout=30) as response:
            return response.headers, response.read()

    headers, content = get("")
    assert "default-src 'self'" in headers["content-security-policy"]
    assert b"og:title" in content
    for path in ("picture.png?headline=oil", "figures/lesson/reliability.png"):
        headers, content = get(path)
        assert headers["content-security-policy"] is None
        Image.open(io.BytesIO(content)).load()
    assert json.loads(get("health")[1])["models"] == models.hashes
    with pytest.raises(urllib.error.HTTPError, match="400"):
        get("picture.png?headline=")


def run(command, folder, **options):
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environment |= {"NO_PROXY": "*", "GRADIO_TEMP_DIR": str(folder), "HF_HUB_OFFLINE": "1", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


GOAL = "Late goal wins the cup final"


def test_the_snippet_in_python_runs(url, models, tmp_path):
    (tmp_path / "snippet.py").write_text(snippet("Python", url))
    said = run([sys.executable, "snippet.py"], tmp_path)
    assert said.endswith(f"Sports {models['default'].classifier.predict(GOAL).distribution}\n")


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("bash")), reason="no curl or no bash")
def test_the_snippet_for_curl_runs(url, models, tmp_path):
    said = run(["bash", "-c", snippet("curl", url)], tmp_path)
    event, data = said.strip().split("\n")
    assert event == "event: complete"
    assert json.loads(data.removeprefix("data: ")) == [answered(models["default"].classifier.predict(GOAL))]


@pytest.mark.skipif(not shutil.which("node"), reason="no node")
def test_the_snippet_in_javascript_runs(url, tmp_path):
    (tmp_path / "snippet.mjs").write_text(snippet("JavaScript", url))
    said = run(["node", "snippet.mjs"], tmp_path)
    assert said.startswith("Sports {")
    assert all(name in said for name in ("Business", "Sci/Tech", "Sports", "World"))


@pytest.mark.parametrize("name", SNIPPETS)
def test_a_snippet_calls_the_address_that_the_browser_shows(name):
    for address in ("http://127.0.0.1:7860/", "https://someone-textcnn.hf.space/", "https://example.org/~me/a-b_c/"):
        code = snippet(name, address)
        assert address in code
        assert "ADDRESS" not in code


@pytest.mark.parametrize("name", SNIPPETS)
@pytest.mark.parametrize(
    "address",
    [
        "",
        "javascript:alert(1)",
        'http://a/");import os;("',
        "http://a/$(reboot)",
        "http://a/`reboot`",
        "http://a/ b",
        "http://a/\nreboot",
        "http://a/\n",
        "http://a/${x}",
        "http://a/'",
        "file:///etc/passwd",
        "http://a/?x=1&y",
    ],
)
def test_an_odd_address_is_not_written_into_code_that_somebody_runs(name, address):
    assert snippet(name, address) == snippet(name, "http://127.0.0.1:7860/")
