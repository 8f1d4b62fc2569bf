"""Assemble the folder of a Space, and upload it.

    python -m demo.space --repo owner/model --revision COMMIT --out build/space [--push-to-space owner/space]

The Space serves the model `repo` at `revision`, and the bundled models where the Hub is out of reach.
"""

import argparse
import json
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from textcnn import HubError, TextCNNError, hub

__all__ = ["FILES", "assemble", "main"]

ROOT = Path(__file__).parent.parent
# What a Space needs to run, and pip to install the library from its repository.
FILES = ["app.py", "demo", "textcnn", "artifacts", "requirements.txt", "pyproject.toml", "LICENSE"]

_ABOUT = """# What is this headline about?

Type a news headline and see how likely it is Business, Sci/Tech, Sports or World, with a heat map of the words that
fired the filters of a small convolutional network, and exactly how much each word pushed each class. It serves
[{repo}](https://huggingface.co/{repo}) at `{revision}`.

The weights were learned from AG News, which is offered for research and other non-commercial use, and start from word
vectors of all-MiniLM-L6-v2 (Apache-2.0); the code is under the MIT License.

The library behind it: `pip install git+https://huggingface.co/spaces/{space}`.
"""


def assemble(folder: Path, repo: str, revision: str, space: str | None = None) -> Path:
    """Write what a Space needs into a new folder and return it.

    Args:
        folder: new, or of an earlier call, which is replaced.
        repo: Hub id of the model to serve.
        revision: its commit or tag, not empty.
        space: Hub id of the Space, for its text; by default `repo`.

    Raises:
        HubError: an id that is none, or a folder that holds something else.
    """
    for name in (repo, space or repo):
        if not hub.is_repo_id(name):
            raise HubError(f"{name!r} is not a Hub id: give owner/name.")
    if not revision.strip():
        raise HubError("Got no revision: give a commit or a tag, so that the Space does not change by itself.")
    if folder.exists() and not (folder / "space.json").is_file():
        raise HubError(f"{folder} is there already and is not of a Space: give a new folder.")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in FILES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        else:
            shutil.copy2(source, folder / name)
    (folder / "space.json").write_text(json.dumps({"repo": repo, "revision": revision}) + "\n", encoding="utf-8")
    about = _ABOUT.format(repo=repo, revision=revision, space=space or repo)
    (folder / "README.md").write_text(f"{front_matter(repo)}\n{about}", encoding="utf-8")
    return folder


def front_matter(repo: str) -> str:
    """Return what Spaces read at the head of the README, with the model filled in."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.match(r"---\n.*?\n---\n", readme, flags=re.DOTALL)
    assert found is not None  # held by a test
    return found[0].removesuffix("---\n") + f"models:\n- {repo}\n---\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 2 for a mistake in the input."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repo", required=True, metavar="OWNER/NAME", help="the model to serve")
    parser.add_argument("--revision", required=True, help="its commit, or a tag")
    parser.add_argument("--out", type=Path, default=Path("build/space"), help="where to write (default: build/space)")
    parser.add_argument("--push-to-space", metavar="OWNER/NAME", help="upload the folder to this Space")
    parser.add_argument("--private", action="store_true", help="make a new Space private")
    options = parser.parse_args(arguments)
    try:
        folder = assemble(options.out, options.repo, options.revision, options.push_to_space)
        print(f"The Space: {folder}")
        if options.push_to_space is not None:
            print(f"Published: {hub.publish(folder, options.push_to_space, private=options.private, kind='space')}")
    except TextCNNError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
