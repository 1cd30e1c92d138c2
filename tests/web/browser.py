"""A headless Chromium for tests and screenshots: found on the machine, never downloaded."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator

from playwright.async_api import BrowserContext, Page, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
)  # fmt: skip
WATCH_CSP = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""


def find_chromium() -> str | None:
    """Path of a Chromium: TAPESCAN_CHROMIUM, else the first known name on PATH."""
    asked = os.environ.get("TAPESCAN_CHROMIUM")
    if asked:
        return asked
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Tab:
    """A page whose console errors, failed requests and CSP violations are kept."""

    def __init__(self, page: Page, context: BrowserContext) -> None:
        self.page, self.context = page, context
        self.complaints: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _on_console(self, message: object) -> None:
        kind, text = message.type, message.text  # type: ignore[attr-defined]
        if kind in {"error", "warning"}:
            self.complaints.append(text)

    async def violations(self) -> list[str]:
        """What the content security policy blocked."""
        found: list[str] = await self.page.evaluate("window.violations")
        return found


@contextlib.asynccontextmanager
async def tab(
    url: str, width: int = 1280, height: int = 720, scheme: str = "dark"
) -> AsyncIterator[Tab]:
    """Open the url in a fresh headless browser."""
    path = find_chromium()
    assert path is not None
    with tempfile.TemporaryDirectory() as profile:
        async with async_playwright() as playwright:
            context = await playwright.chromium.launch_persistent_context(
                profile, executable_path=path, args=list(ARGUMENTS), headless=True,
                viewport={"width": width, "height": height},
                color_scheme=scheme,  # type: ignore[arg-type]
            )  # fmt: skip
            await context.add_init_script(WATCH_CSP)
            opened = Tab(await context.new_page(), context)
            await opened.page.goto(url)
            try:
                yield opened
            finally:
                await context.close()
