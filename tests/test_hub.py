"""The Hub through its real client, against a stand-in on this machine: what goes up comes down, and faults are said."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants

from demo import about
from demo.drawing import Drawing
from demo.models import chosen
from demo.page import Page
from tests.conftest import STOCKS
from tests.hub_client import quick_client
from tests.hub_server import Hub, serve_hub
from textcnn import PRESETS, ArtifactError, DataError, HeadlineClassifier, HubError, hub
from textcnn.training import fit

REPO = "owner/headlines"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A Hub of our own, an empty cache, and an owner who is logged in."""
    quick_client(monkeypatch)
    with serve_hub(token="hf_owner") as served:
        monkeypatch.setattr(constants, "ENDPOINT", served.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", served.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setenv("HF_TOKEN", "hf_owner")
        yield served


@pytest.fixture(scope="session")
def folder(small_lesson: HeadlineClassifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Artifacts, with a card and a figure."""
    return small_lesson.save_pretrained(
        tmp_path_factory.mktemp("hub") / "headlines",
        card="---\ntags:\n- news\n---\nA card.\n",
        figures={"reliability.png": b"\x89PNG one", "old.png": b"\x89PNG two"},
    )


@pytest.fixture
def published(site: Hub, folder: Path) -> Hub:
    hub.publish(folder, REPO)
    return site


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# Up.


def test_a_folder_goes_up_in_one_commit(site: Hub, folder: Path) -> None:
    assert hub.publish(folder, REPO) == f"{site.url}/{REPO}"
    repo = site.repos[REPO]
    assert repo.files == files(folder)
    assert len(repo.history) == 2  # the Hub's own first one, and this
    assert not repo.private


def test_the_same_content_again_is_no_commit(published: Hub, folder: Path) -> None:
    head = published.repos[REPO].head.sha
    hub.publish(folder, REPO)
    assert published.repos[REPO].head.sha == head


def test_files_that_are_not_ours_stay_and_old_figures_go(published: Hub, folder: Path, tmp_path: Path) -> None:
    published.commit(REPO, {"notes.txt": b"theirs"})
    shutil.copytree(folder, tmp_path / "new")
    (tmp_path / "new" / "figures" / "old.png").unlink()
    hub.publish(tmp_path / "new", REPO)
    assert "figures/old.png" in published.repos[REPO].files  # they may be somebody's
    hub.publish(tmp_path / "new", REPO, old_figures=True)
    found = published.repos[REPO].files
    assert found["notes.txt"] == b"theirs"
    assert "figures/reliability.png" in found
    assert "figures/old.png" not in found


def test_a_tag_names_the_state_and_is_never_moved(site: Hub, folder: Path, tmp_path: Path) -> None:
    hub.publish(folder, REPO, tag="v1")
    repo = site.repos[REPO]
    assert repo.tags["v1"] == repo.head.sha
    shutil.copytree(folder, tmp_path / "new")
    (tmp_path / "new" / "README.md").write_text("changed")
    with pytest.raises(HubError, match="has the tag v1 already: give another"):
        hub.publish(tmp_path / "new", REPO, tag="v1")
    assert repo.tags["v1"] == repo.head.sha  # nothing went up


def test_private_is_private_and_never_public_by_mistake(site: Hub, folder: Path) -> None:
    hub.publish(folder, "owner/secret", private=True)
    assert site.repos["owner/secret"].private
    site.create("owner/open")
    with pytest.raises(HubError, match="is there already and public: make it private"):
        hub.publish(folder, "owner/open", private=True)
    assert site.repos["owner/open"].files == {}


def test_somebody_elses_commit_in_between_is_not_written_over(published: Hub, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "new")
    (tmp_path / "new" / "README.md").write_text("ours")
    published.fault("POST */commit/*", lambda: published.commit(REPO, {"README.md": b"theirs"}))
    with pytest.raises(HubError, match=r"Somebody else changed .* \(412\): try again"):
        hub.publish(tmp_path / "new", REPO)
    assert published.repos[REPO].files["README.md"] == b"theirs"


@pytest.mark.parametrize(
    ("pattern", "kind", "said"),
    [
        ("POST /api/repos/create", 401, r"refused \(401\).*log in with `hf auth login`"),
        ("POST /api/repos/create", 403, r"refused \(403\).*a token that has the right"),
        ("POST */preupload/*", 500, "answered 500 .* try again later"),
        ("POST */commit/*", 429, r"asks to wait.*\(429\)"),
        ("POST */commit/*", "refuse", "cannot be reached .*check the network"),
        ("POST /api/repos/create", "hang", "cannot be reached .*check the network"),
        ("*", 200, "is not the Hub .*login page"),
    ],
)
def test_a_push_that_fails_says_what_to_do_and_where_the_files_are(
    site: Hub, folder: Path, pattern: str, kind: object, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textcnn.transport._ANSWER_SECONDS", 0.5)
    site.fault(pattern, kind)
    before = files(folder)
    with pytest.raises(HubError, match=said) as caught:
        hub.publish(folder, REPO, after=" The files are in out.")
    assert str(caught.value).endswith(" The files are in out.")
    assert files(folder) == before


def test_nobody_logged_in_is_said(site: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(HubError, match="log in with `hf auth login`"):
        hub.publish(folder, REPO)


# Down.


def test_from_the_hub_comes_the_model_of_the_disk_and_only_what_is_needed(
    published: Hub, folder: Path, small_lesson: HeadlineClassifier, sample
) -> None:
    published.requests.clear()
    model = HeadlineClassifier.from_pretrained(REPO)
    np.testing.assert_allclose(model.predict_proba(sample.titles), small_lesson.predict_proba(sample.titles), atol=1e-6)
    fetched = {
        path.rpartition("/")[2] for method, path in published.requests if method == "GET" and "/resolve/" in path
    }
    assert fetched <= {"config.json", "tokenizer.json", "label_encoder.json", "model.safetensors", "filters.json"}
    assert "README.md" not in fetched


def test_a_commit_in_the_cache_needs_no_request_and_a_branch_no_network(published: Hub) -> None:
    head = published.repos[REPO].head.sha
    HeadlineClassifier.from_pretrained(REPO, revision=head)
    published.requests.clear()
    HeadlineClassifier.from_pretrained(REPO, revision=head)
    assert published.requests == []
    HeadlineClassifier.from_pretrained(REPO)  # main is known to the cache from now on
    published.fault("*", "refuse")
    assert HeadlineClassifier.from_pretrained(REPO).predict(STOCKS).label


def test_the_page_gets_card_and_figures_also_where_the_library_fetched_the_model_before(published: Hub) -> None:
    head = published.repos[REPO].head.sha
    HeadlineClassifier.from_pretrained(REPO, revision=head)
    served = chosen(REPO, head)["default"]
    assert (served.folder / "README.md").is_file()
    assert (served.folder / "figures" / "reliability.png").is_file()
    published.requests.clear()
    chosen(REPO, head)
    assert published.requests == []


def test_tags_and_branches_are_revisions(published: Hub) -> None:
    published.tag(REPO, "v1", "main")
    assert HeadlineClassifier.from_pretrained(REPO, revision="v1").predict(STOCKS).label


def test_push_to_hub_writes_the_card_that_says_how_to_load_it(site: Hub, bundled: HeadlineClassifier) -> None:
    assert bundled.push_to_hub(REPO, tag="v1") == f"{site.url}/{REPO}"
    card = site.repos[REPO].files["README.md"].decode()
    assert f'from_pretrained("{REPO}")' in card
    assert f"pip install git+https://huggingface.co/spaces/{REPO}" in card
    assert site.repos[REPO].tags["v1"] == site.repos[REPO].head.sha
    np.testing.assert_allclose(
        HeadlineClassifier.from_pretrained(REPO, revision="v1").predict_proba([STOCKS]),
        bundled.predict_proba([STOCKS]),
        atol=1e-6,
    )


def test_a_model_of_the_hub_may_go_up_again_and_keeps_its_terms(
    site: Hub, bundled: HeadlineClassifier, tmp_path: Path
) -> None:
    """Its card says the same of data and terms, whose pictures it did not fetch stay."""
    bundled.push_to_hub(REPO)
    site.commit(REPO, {"figures/reliability.png": b"picture"})
    HeadlineClassifier.from_pretrained(REPO).push_to_hub(REPO)
    card = site.repos[REPO].files["README.md"].decode()
    assert "license_name: ag-news-research-non-commercial" in card
    assert "research and other non-commercial use" in card
    assert site.repos[REPO].files["figures/reliability.png"] == b"picture"


def test_a_push_of_a_model_that_fails_names_no_folder_that_is_gone(site: Hub, bundled: HeadlineClassifier) -> None:
    site.fault("POST */commit/*", 403)
    with pytest.raises(HubError) as caught:
        bundled.push_to_hub(REPO)
    assert "/" not in str(caught.value).replace(REPO, "")


def test_a_changed_setting_in_config_json_is_noticed(published: Hub) -> None:
    """The other files' hashes stand in it; its own is the one that git has of it."""
    content = published.repos[REPO].files["config.json"]
    changed = content.replace(b'"temperature": 1.0', b'"temperature": 3.0')
    assert changed != content
    head = published.repos[REPO].head.sha
    published.fault("GET *config.json", "content", content=changed)
    for _ in range(2):  # nor does the cache keep it
        with pytest.raises(HubError, match=r"config\.json of owner/headlines is not what the Hub says it is"):
            HeadlineClassifier.from_pretrained(REPO, revision=head)
    published.faults.clear()
    assert HeadlineClassifier.from_pretrained(REPO, revision=head).temperature == 1


def test_a_hub_that_hangs_is_replaced_by_a_complete_cache(
    published: Hub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = HeadlineClassifier.from_pretrained(REPO).predict_proba([STOCKS])
    published.fault("/api/models/*", "hang")
    models = chosen(REPO, seconds=1.0)
    np.testing.assert_array_equal(models["default"].classifier.predict_proba([STOCKS]), expected)
    assert "is taken from the cache" in caplog.text


def test_a_card_that_is_no_text_keeps_no_page_from_starting(published: Hub) -> None:
    published.commit(REPO, {"README.md": b"caf\xe9"})
    models = chosen(REPO)
    assert models.note.startswith(f"This page serves {REPO} from the Hub")
    Page(models, Drawing(models))
    assert "caf" in about.content(models["default"])[0]


def test_what_a_crash_left_of_a_folder_goes_before_the_hub(
    site: Hub, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder, tmp_path / "owner" / ".headlines.old-1")
    monkeypatch.chdir(tmp_path)
    assert HeadlineClassifier.from_pretrained(REPO).predict(STOCKS).label
    assert site.requests == []


def test_a_model_of_other_classes_stands_alone_on_the_page(site: Hub, tmp_path: Path) -> None:
    config = PRESETS["lesson"].replace(epochs=1)
    two = HeadlineClassifier.from_fit(fit(["oil up", "coach wins"] * 8, ["money", "games"] * 8, config), config)
    hub.publish(two.save_pretrained(tmp_path / "two"), REPO)
    models = chosen(REPO)
    assert models.names == ["default"]
    page = Page(models, Drawing(models))
    assert "games or money" in str(page.blocks.config)
    shown = page.ask("oil up", "default", "")[page.shown]
    assert "one of its two classes" in shown
    assert "2004" not in shown


def test_a_model_without_performance_has_no_card_to_push(site: Hub, small_lesson: HeadlineClassifier) -> None:
    with pytest.raises(DataError, match="no performance to speak of"):
        small_lesson.push_to_hub(REPO)


def test_a_folder_goes_before_the_hub_and_has_no_revisions(
    site: Hub, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder, tmp_path / "owner" / "headlines")
    monkeypatch.chdir(tmp_path)
    assert HeadlineClassifier.from_pretrained(REPO).predict(STOCKS).label
    assert site.requests == []
    with pytest.raises(DataError, match="revisions are of Hub models"):
        HeadlineClassifier.from_pretrained(folder, revision="v1")


def test_what_train_pushes_is_what_the_page_serves(site: Hub, tmp_path: Path, sample) -> None:
    """The whole way: train on the sample, push, pull, and the probabilities are those of the disk."""
    import train

    out = tmp_path / "out"
    arguments = [
        "--sample",
        "--preset",
        "lesson",
        "--epochs",
        "2",
        "--out",
        str(out),
        "--push-to-hub",
        REPO,
        "--tag",
        "v1",
    ]
    assert train.main(arguments) == 0
    assert site.repos[REPO].files == files(out)
    served = chosen(REPO, "v1")
    assert served.note.startswith(f"This page serves {REPO} from the Hub, commit ")
    np.testing.assert_allclose(
        served["default"].classifier.predict_proba(sample.titles),
        HeadlineClassifier.from_pretrained(out).predict_proba(sample.titles),
        atol=1e-6,
    )


# Faults on the way down: what a library says, and what the page serves in its place.

FAULTS = [
    ("*", "refuse", "cannot be reached"),
    ("*", "reset", "cannot be reached"),
    ("/api/models/*", "hang", "within|cannot be reached"),
    ("/api/models/*", "hang-body", "within|cannot be reached"),
    ("GET */model.safetensors", "hang", "within|cannot be reached|time is over"),
    ("GET *model.safetensors", "hang-body", "within|cannot be reached|time is over"),
    ("GET *model.safetensors", "drip", "within|time is over"),
    ("*", 401, "401|private"),
    ("*", 403, "403"),
    ("*", 404, "has no|not there|private"),
    ("*", 429, "429"),
    ("*", 500, "500"),
    ("GET *model.safetensors", 503, "503"),
    ("*", 200, "is not the Hub"),
    ("GET *model.safetensors", "truncate", "come whole|cannot be reached"),
    ("GET *model.safetensors", "flip", "model.safetensors .* is not the file"),
    ("GET *config.json", "flip", "config.json"),
]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr("textcnn.transport._ANSWER_SECONDS", 0.4)
    return 1.5


@pytest.mark.parametrize(("pattern", "kind", "said"), FAULTS, ids=lambda value: str(value)[:20])
def test_a_fault_is_an_error_within_the_time_and_the_page_serves_the_bundled_model(
    published: Hub, impatient: float, pattern: str, kind: object, said: str
) -> None:
    published.fault(pattern, kind)
    start = time.monotonic()
    with pytest.raises((HubError, ArtifactError), match=said):
        HeadlineClassifier.from_pretrained(REPO, seconds=impatient)
    models = chosen(REPO, seconds=impatient)
    assert time.monotonic() - start < 2 * impatient + 2
    _is_the_bundled(models, REPO)


def _is_the_bundled(models, repo: str) -> None:
    bundled = chosen(None)
    assert models.hashes == bundled.hashes
    assert models.note.startswith(
        f"This page was to serve {repo} from the Hub, and serves the model that ships with it: "
    )
    assert len(models.note) > 100  # and why


def test_the_page_serves_the_hubs_model_where_it_can(published: Hub) -> None:
    models = chosen(REPO)
    head = published.repos[REPO].head.sha
    assert models.note == f"This page serves {REPO} from the Hub, commit {head}."
    assert models.hashes["default"] != chosen(None).hashes["default"]
    mine, theirs = (one["default"].classifier.predict_proba([STOCKS]) for one in (models, chosen(None)))
    assert np.abs(mine - theirs).max() > 1e-3


def test_a_revision_that_does_not_exist_is_said(published: Hub) -> None:
    with pytest.raises(HubError, match="has no revision v9: give a branch, a tag or a commit"):
        HeadlineClassifier.from_pretrained(REPO, revision="v9")
    _is_the_bundled(chosen(REPO, "v9"), REPO)


def test_a_file_that_is_missing_is_named(published: Hub) -> None:
    published.commit(REPO, {"tokenizer.json": None})
    with pytest.raises(HubError, match=r"has no tokenizer\.json: it is not a complete textcnn model"):
        HeadlineClassifier.from_pretrained(REPO)


def test_a_pickle_is_never_read_whatever_the_repo_holds(site: Hub) -> None:
    site.create("owner/pickles")
    site.commit("owner/pickles", {"pytorch_model.bin": b"\x80\x04.", "config.json": b"{}"})
    site.requests.clear()
    with pytest.raises(HubError, match=r"It holds pytorch_model\.bin: textcnn never reads a pickle"):
        HeadlineClassifier.from_pretrained("owner/pickles")
    assert not [path for _, path in site.requests if "pytorch_model" in path]
    _is_the_bundled(chosen("owner/pickles"), "owner/pickles")


def test_a_model_too_large_to_be_one_is_not_fetched(published: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "_MAX_BYTES", 1_000)
    published.requests.clear()
    with pytest.raises(HubError, match="MB is no textcnn model"):
        HeadlineClassifier.from_pretrained(REPO)
    assert not [path for _, path in published.requests if "/resolve/" in path]


def test_a_body_without_an_end_is_cut(published: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "_MAX_BYTES", 2_000_000)
    published.fault("GET *model.safetensors", "endless")
    with pytest.raises(HubError, match=r"more came than was announced|come whole"):
        HeadlineClassifier.from_pretrained(REPO, seconds=20)


def test_an_altered_file_in_the_cache_is_refused_by_name(published: Hub, tmp_path: Path) -> None:
    HeadlineClassifier.from_pretrained(REPO)
    (cached,) = (tmp_path / "cache").glob("models--*/snapshots/*/model.safetensors")
    content = bytearray(cached.read_bytes())
    content[-1] ^= 1
    cached.resolve().write_bytes(content)
    with pytest.raises(ArtifactError, match=r"model\.safetensors .* is not the file that config\.json names"):
        HeadlineClassifier.from_pretrained(REPO)


def test_a_part_of_a_model_in_the_cache_is_not_enough_without_a_network(published: Hub, tmp_path: Path) -> None:
    head = published.repos[REPO].head.sha
    HeadlineClassifier.from_pretrained(REPO, revision=head)
    (cached,) = (tmp_path / "cache").glob("models--*/snapshots/*/tokenizer.json")
    cached.unlink()
    published.fault("*", "refuse")
    with pytest.raises(HubError, match="cannot be reached"):
        HeadlineClassifier.from_pretrained(REPO, revision=head)


def test_a_cache_that_cannot_be_written_is_said(published: Hub, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file"))
    with pytest.raises(HubError, match=r"cache cannot be written .*set HF_HOME to another folder"):
        HeadlineClassifier.from_pretrained(REPO)
    _is_the_bundled(chosen(REPO), REPO)


def test_no_such_repo_and_no_id(site: Hub) -> None:
    with pytest.raises(HubError, match="The Hub has no owner/nothing, or it is private"):
        HeadlineClassifier.from_pretrained("owner/nothing")
    _is_the_bundled(chosen("not an id"), "not an id")


def test_without_a_repo_no_network_is_touched(site: Hub) -> None:
    assert chosen(None).note == "This page serves the model that ships with it."
    assert site.requests == []
