"""Makes the pictures of the README from a running engine: the page, and `tapescan status`.

python -m tools.screenshots [--url http://127.0.0.1:8080/] [--config FILE] [--out docs/images]

Start the engine first (`make run`) and let it play a minute. Needs playwright and a Chromium
(on PATH, or named by TAPESCAN_CHROMIUM).
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import click
from playwright.sync_api import Browser, Page, sync_playwright
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI

from tools.options import config_option, load_config
from tools.status_read import StatusReader
from tools.status_view import render

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync", "--disable-quic",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip
STATUS_COLUMNS = 112
SETTLE_MS = 5000
# Pictures of the page: file, width, height, theme, scale.
VIEWS = (
    ("page.png", 1280, 720, "dark", 1.5),
    ("page-light.png", 1280, 720, "light", 1.5),
    ("page-phone.png", 390, 844, "dark", 2.0),
)


def find_browser() -> str:
    """Path of a Chromium. Raises ClickException when there is none."""
    asked = os.environ.get("TAPESCAN_CHROMIUM", "")
    found = asked or next((path for name in BROWSERS if (path := shutil.which(name))), "")
    if not found:
        raise click.ClickException("No Chromium was found: install it or set TAPESCAN_CHROMIUM.")
    return found


@contextmanager
def opened(
    browser: Browser, width: int, height: int, theme: str = "dark", scale: float = 1.5
) -> Iterator[Page]:
    """A fresh page of this size."""
    scheme: Literal["light", "dark"] = "light" if theme == "light" else "dark"
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, device_scale_factor=scale
    )  # fmt: skip
    try:
        yield context.new_page()
    finally:
        context.close()


def picture_page(browser: Browser, url: str, out: Path) -> None:
    """The page with its newest alert opened, so that its reason shows."""
    for name, width, height, theme, scale in VIEWS:
        with opened(browser, width, height, theme, scale) as page:
            page.goto(url)
            page.locator("[data-testid=movers] tr").first.wait_for()
            page.wait_for_timeout(SETTLE_MS)
            if page.locator("[data-testid=alerts] .line").count():
                page.keyboard.press("a")
            page.wait_for_timeout(SETTLE_MS // 4)
            page.screenshot(path=out / name)


def picture_status(browser: Browser, config_path: str | None, out: Path) -> None:
    """What `tapescan status` prints, in a terminal's clothes."""
    config = load_config(config_path, check_files=False).config
    status = StatusReader(Path(config.paths.data_dir), config.engine.name).read()
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=STATUS_COLUMNS, file=nowhere, force_terminal=True)
        console.print(render(status, STATUS_COLUMNS))
    form = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    form = form.replace("Fira Code", "DejaVu Sans Mono")
    svg = console.export_svg(title="tapescan status", theme=MONOKAI, code_format=form)
    with opened(browser, 1280, 720) as page:
        page.set_content(f"<body style='margin:0;background:transparent'>{svg}</body>")
        page.locator("svg").first.screenshot(path=out / "status.png", omit_background=True)


@click.command()
@click.option("--url", default="http://127.0.0.1:8080/", show_default=True, help="The page.")
@click.option("--out", default="docs/images", show_default=True, help="Folder for the pictures.")
@config_option
def main(url: str, out: str, config_path: str | None) -> None:
    """Make the pictures of the README from a running engine."""
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_browser(), args=list(ARGUMENTS)
        )  # fmt: skip
        picture_page(browser, url, folder)
        picture_status(browser, config_path, folder)
        browser.close()
    click.echo(f"wrote {', '.join(sorted(path.name for path in folder.glob('*.png')))} to {out}")


if __name__ == "__main__":
    main()
