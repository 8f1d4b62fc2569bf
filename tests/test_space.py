"""The folder of a Space: what is in it, what Spaces read, and that it starts in an empty environment."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import yaml
from huggingface_hub import constants

from demo import space
from tests.conftest import ROOT, STOCKS
from tests.hub_client import quick_client
from tests.hub_server import serve_hub
from tests.pages import ready, start, stop

REPO, REVISION = "owner/headlines", "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return space.assemble(tmp_path_factory.mktemp("space") / "space", REPO, REVISION)


def front_matter(path: Path) -> dict[str, object]:
    return yaml.safe_load(path.read_text(encoding="utf-8").split("---\n")[1])


@pytest.mark.parametrize("where", ["the project's", "the Space's"])
def test_the_front_matter_is_what_spaces_read(folder: Path, where: str) -> None:
    matter = front_matter((ROOT if where == "the project's" else folder) / "README.md")
    pinned = re.search(r"^gradio==([\d.]+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert matter["sdk"] == "gradio"
    assert matter["sdk_version"] == pinned[1]
    assert matter["python_version"] == "3.11"
    assert (ROOT / str(matter["app_file"])).is_file()
    assert 0 < len(str(matter["short_description"])) <= 60
    assert matter["tags"]
    assert matter["license"] == "mit"
    assert matter.get("models") == (None if where == "the project's" else [REPO])


def test_exactly_the_files_that_a_space_needs_are_there(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {*space.FILES, "README.md", "space.json"}
    tracked = subprocess.run(
        ["git", "ls-files", "demo", "textcnn", "artifacts"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()  # fmt: skip
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert set(tracked) <= found or not tracked
    assert not [name for name in found if name.endswith(".pyc") or "test" in name]
    assert json.loads((folder / "space.json").read_text()) == {"repo": REPO, "revision": REVISION}


def test_its_readme_names_the_model_and_has_no_link_to_what_is_not_there(folder: Path) -> None:
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert f"[{REPO}](https://huggingface.co/{REPO}) at `{REVISION}`" in text
    for target in re.findall(r"\]\(((?!http)[^)]+)\)", text):
        assert (folder / target).exists()


def test_it_may_be_assembled_again_and_nothing_else_is_replaced(folder: Path, tmp_path: Path, capsys) -> None:
    space.assemble(folder, REPO, REVISION)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    assert space.main(["--repo", REPO, "--revision", "v1", "--out", str(tmp_path / "mine")]) == 2
    assert "is there already and is not of a Space" in capsys.readouterr().err
    assert (tmp_path / "mine" / "file").read_text() == "mine"
    assert space.main(["--repo", "no id", "--revision", "v1", "--out", str(tmp_path / "new")]) == 2
    assert "'no id' is not a Hub id: give owner/name." in capsys.readouterr().err


def test_it_goes_up_as_a_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    quick_client(monkeypatch)
    with serve_hub(token="hf_owner") as site:
        monkeypatch.setattr(constants, "ENDPOINT", site.url)
        monkeypatch.setenv("HF_TOKEN", "hf_owner")
        out = tmp_path / "space"
        arguments = ["--repo", REPO, "--revision", REVISION, "--out", str(out), "--push-to-space", "owner/page"]
        assert space.main(arguments) == 0
        assert f"Published: {site.url}/spaces/owner/page" in capsys.readouterr().out
        sent = site.repos["spaces/owner/page"].files
        assert sent["app.py"] == (ROOT / "app.py").read_bytes()
        assert b"pip install git+https://huggingface.co/spaces/owner/page" in sent["README.md"]


@pytest.mark.long
@pytest.mark.timeout(1500)
@pytest.mark.enable_socket
def test_it_starts_in_an_empty_environment_as_spaces_start_it(folder: Path, tmp_path: Path) -> None:
    """Their image holds pydantic back, and starts app.py with SPACE_ID set. The Hub is out of reach here."""
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    (tmp_path / "constraints.txt").write_text("pydantic<=2.12.5\n")
    subprocess.run(
        [python, "-m", "pip", "install", "-q", "-r", folder / "requirements.txt", "-c", tmp_path / "constraints.txt"],
        check=True, timeout=1200,
    )  # fmt: skip
    process, url, log = start(
        tmp_path, python=python, where=folder, SYSTEM="spaces", SPACE_ID="owner/page",
        HF_ENDPOINT="http://127.0.0.1:9", HF_HOME=str(tmp_path / "home"),
    )  # fmt: skip
    try:
        ready(process, url, log)
        with urllib.request.urlopen(f"{url}health", timeout=10) as answer:
            assert json.load(answer)["status"] == "ok"
        with urllib.request.urlopen(f"{url}explanation.json?headline=Oil", timeout=10) as answer:
            assert json.load(answer)["label"] == "Business"
        assert "Serving the bundled model" in log.read_text()
    finally:
        stop(process)
    # A stranger installs the library from the Space's repository and runs the card's snippet.
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", folder], check=True, timeout=600)
    model = str(folder / "artifacts" / "default")
    code = (
        "from textcnn import HeadlineClassifier; "
        f"print(HeadlineClassifier.from_pretrained({model!r}).predict({STOCKS!r}).label)"
    )
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([python, "-c", code], cwd=tmp_path, env=clean, capture_output=True, text=True, timeout=120)
    assert done.stdout == "Business\n", done.stderr
