"""The README's picture of the demo, and each of its tabs at three widths in both themes, to look at.

    python benchmarks/screenshots.py [--out FOLDER]

It needs what the tests of the page need: Debian's chromium and requirements-dev.txt. The README's picture goes to
docs/demo.png, all others to FOLDER.
"""

import argparse
import tempfile
from pathlib import Path

import common  # noqa: F401  # the library and the tests can be imported after it
from playwright.sync_api import sync_playwright

from tests.pages import CHROMIUM, FLAGS, ROOT, TABS, Visit, served

COMPARED = "?headline=Late+goal+wins+the+cup+final&versus=Rebels+and+government+sign+a+peace+accord"


def main() -> None:
    """Start the demo, and photograph it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="a folder for pictures of all tabs; without it only docs/demo.png")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as (url, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with Visit(browser, url, height=875) as visit:
            visit.drawn()
            visit.page.evaluate("window.scrollTo(0, 0)")
            visit.page.screenshot(path=ROOT / "docs" / "demo.png")
        if options.out:
            for theme in ("light", "dark"):
                for width in (360, 768, 1440):
                    with Visit(browser, url, theme=theme, width=width) as visit:
                        photograph(visit, options.out, f"{theme}_{width}")
        browser.close()


def photograph(visit: Visit, out: Path, name: str) -> None:
    """Photograph every tab, and two headlines side by side."""
    visit.drawn()
    for tab in TABS:
        visit.tab(tab)
        visit.page.wait_for_timeout(500)  # for what is drawn after the tab is shown
        visit.shoot(out / f"{tab}_{name}.png")
    visit.open(COMPARED)
    visit.answered("Late goal wins the cup final")
    visit.drawn()
    visit.shoot(out / f"Compared_{name}.png")


if __name__ == "__main__":
    main()
