"""The page in a real, headless Chromium against a front on a hand-made market."""

import asyncio
import errno
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import expect

from tests.web.browser import Tab, find_chromium, tab
from tests.web.front import RunningFront, running, warm_market
from tests.web.market import Market, limits
from web.app import make_app
from web.static_files import ROOT

pytestmark = pytest.mark.skipif(
    find_chromium() is None,
    reason="no Chromium on this machine: install chromium or set TAPESCAN_CHROMIUM",
)
LIMITS = limits(movers_interval_ms=150, status_interval_ms=150, send_timeout_ms=5000)
Scenario = Callable[[RunningFront, Tab], Awaitable[None]]


def browse(
    market: Market, scenario: Scenario, width: int = 1280, height: int = 720, scheme: str = "dark"
) -> None:
    """Run a scenario in a browser; afterwards the console is clean and the policy unbroken."""

    async def whole() -> None:
        async with (
            running(market, limits=LIMITS) as front,
            tab(front.url + "/", width, height, scheme) as opened,
        ):
            await scenario(front, opened)
            assert await opened.violations() == []
            assert opened.complaints == []

    asyncio.run(whole())


def test_the_page_shows_the_market_and_why_an_alert_fired() -> None:
    market = warm_market()

    async def scenario(front: RunningFront, opened: Tab) -> None:
        page = opened.page
        rows = page.locator("[data-testid=movers] tr")
        await expect(rows).to_have_count(4)
        await expect(page.get_by_test_id("connection")).to_have_text("Connected")
        await expect(page.get_by_text("REPLAY")).to_be_visible()
        await expect(page.get_by_test_id("clock")).to_contain_text("09:28:0")
        ibm = page.locator("tr[data-symbol=IBM] td")
        await expect(ibm.nth(0)).to_have_text(f"{market.last[2]:,.2f}")
        await expect(ibm.nth(5)).to_have_text("–")
        await expect(page.get_by_test_id("roles").locator("li.good")).to_have_count(8)
        await expect(page.get_by_test_id("health")).to_have_text("all well")

        market.alert("SPY")
        front.hub.alerts_stored()
        line = page.locator("[data-testid=alerts] .line")
        await expect(line).to_have_count(1)
        await expect(line.first).to_contain_text("SPY")
        await line.first.click()
        why = page.get_by_test_id("why")
        await expect(why).to_contain_text("chg_1m_pct > 0.3")
        await expect(why).to_contain_text("was 0.42")
        await expect(page.locator(".candles canvas").first).to_be_visible()

        market.alert("BAC")
        front.hub.alerts_stored()
        await page.get_by_test_id("waiting").click()
        await expect(line.first).to_contain_text("BAC")
        await expect(why).to_have_count(0)

        market.step()
        await expect(ibm.nth(0)).to_have_text(f"{market.last[2]:,.2f}")

    browse(market, scenario)


@pytest.mark.parametrize("width", [1280, 390])
def test_a_condition_whose_window_reaches_into_a_gap_says_so_on_the_page(width: int) -> None:
    market = warm_market()
    market.alert("SPY", gap=True)
    market.alert("BAC")

    async def scenario(_front: RunningFront, opened: Tab) -> None:
        lines = opened.page.locator("[data-testid=alerts] .line")
        conditions = opened.page.get_by_test_id("why").locator("tr")
        await lines.nth(1).click()
        await expect(conditions).to_have_count(2)
        told = conditions.nth(0).locator(".gap")
        await expect(told).to_have_text("gap in its window")
        title = await told.get_attribute("title")
        assert title is not None and "trades may be missing" in title
        await expect(conditions.nth(1).locator(".gap")).to_have_count(0)
        why = opened.page.get_by_test_id("why")
        inner, outer = await why.evaluate("e => [e.scrollWidth, e.clientWidth]")
        assert inner <= outer
        await lines.nth(0).click()
        await expect(conditions).to_have_count(2)
        await expect(opened.page.locator(".why .gap")).to_have_count(0)

    browse(market, scenario, width, 844)


def test_the_theme_follows_the_system_until_one_is_chosen() -> None:
    async def scenario(_front: RunningFront, opened: Tab) -> None:
        page = opened.page
        await expect(page.locator("html")).to_have_attribute("data-theme", "light")
        await page.get_by_test_id("theme").click()
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        await page.reload()
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        await page.keyboard.press("t")
        await expect(page.locator("html")).to_have_attribute("data-theme", "light")

    browse(warm_market(), scenario, scheme="light")


def test_the_keyboard_reaches_everything() -> None:
    async def scenario(front: RunningFront, opened: Tab) -> None:
        page = opened.page
        await expect(page.locator("tr.chosen")).to_have_count(1)
        order = await page.locator("[data-testid=movers] tr").evaluate_all(
            "rows => rows.map(row => row.dataset.symbol)"
        )
        await page.keyboard.press("j")
        await expect(page.locator("tr.chosen")).to_have_attribute("data-symbol", order[1])
        await page.keyboard.press("k")
        await expect(page.locator("tr.chosen")).to_have_attribute("data-symbol", order[0])
        await page.keyboard.press("Enter")
        drawer = page.get_by_test_id("drawer")
        await expect(drawer.get_by_test_id("metrics")).to_contain_text("rsi(14)")
        await page.keyboard.press("Escape")
        await expect(drawer).to_have_count(0)
        await page.keyboard.press("/")
        await page.keyboard.type("sp")
        await expect(page.get_by_role("option")).to_contain_text("SPY")
        await page.keyboard.press("Enter")
        await expect(drawer.get_by_role("heading")).to_have_text("SPY")
        await drawer.get_by_label("Filter metrics").fill("vwap_dist")
        await expect(drawer).to_contain_text("No metric has")
        await page.keyboard.press("Escape")
        await page.keyboard.press("?")
        await expect(page.get_by_test_id("help")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.get_by_test_id("help")).to_have_count(0)
        front.market.alert("BAC")
        front.hub.alerts_stored()
        await expect(page.locator("[data-testid=alerts] .line")).to_have_count(1)
        await page.keyboard.press("a")
        await expect(page.get_by_test_id("why")).to_be_visible()

    browse(warm_market(), scenario)


def test_a_click_on_a_column_ranks_by_it_and_again_turns_it_round() -> None:
    market = warm_market()

    async def scenario(_front: RunningFront, opened: Tab) -> None:
        page = opened.page
        symbols = page.locator("[data-testid=movers] tr th")
        await page.get_by_role("button", name="Symbol", exact=True).first.click()
        await expect(symbols).to_have_text(["AIG", "BAC", "IBM", "SPY"])
        await page.get_by_role("columnheader", name="Symbol").get_by_role("button").click()
        await expect(symbols).to_have_text(["SPY", "IBM", "BAC", "AIG"])
        header = page.get_by_role("columnheader", name="Symbol")
        await expect(header).to_have_attribute("aria-sort", "descending")

    browse(market, scenario)


def test_a_simulated_market_is_marked_and_the_switch_asks_once() -> None:
    market = warm_market()
    market.simulated = True

    async def scenario(_front: RunningFront, opened: Tab) -> None:
        page = opened.page
        await expect(page.locator(".badge.simulated")).to_contain_text("SIMULATED")
        await page.get_by_test_id("market-replay").click()
        await expect(page.get_by_test_id("banner")).to_contain_text("the recorded market")
        assert market.switched == ["replay"]

    browse(market, scenario)


def test_the_page_reconnects_and_misses_and_repeats_no_alert() -> None:
    market = warm_market()

    async def whole() -> None:
        async with running(market, limits=LIMITS) as front:
            market.alert()
            async with tab(front.url + "/") as opened:
                page = opened.page
                lines = page.locator("[data-testid=alerts] > li[data-seq]")
                await expect(lines).to_have_count(1)
                second = await _restart(front, market)
                await expect(page.get_by_test_id("connection")).to_have_text("Reconnecting")
                await expect(page.get_by_test_id("banner")).to_contain_text("does not answer")
                for _ in range(5):
                    market.alert("BAC")
                runner = web.AppRunner(second, access_log=None, shutdown_timeout=0.2)
                await runner.setup()
                await web.TCPSite(runner, "127.0.0.1", front.port).start()
                await expect(page.get_by_test_id("connection")).to_have_text("Connected")
                await expect(lines).to_have_count(6)
                seqs = await lines.evaluate_all("items => items.map(item => item.dataset.seq)")
                assert seqs == ["6", "5", "4", "3", "2", "1"]
                await expect(page.get_by_test_id("banner")).to_have_count(0)
                await runner.cleanup()

    asyncio.run(whole())


def test_another_market_brings_its_own_symbols_and_one_without_a_switch_shows_none() -> None:
    recorded, simulated = warm_market(), warm_market()
    simulated.simulated = True

    async def whole() -> None:
        async with running(recorded, limits=LIMITS) as front, tab(front.url + "/") as opened:
            page = opened.page
            rows = page.locator("[data-testid=movers] tr")
            await rows.nth(1).click()
            await expect(rows.nth(1)).to_have_class("chosen")
            await expect(page.get_by_test_id("market-simulator")).to_have_count(1)
            second = await _restart(front, simulated, no_switch="There is no recording.")
            runner = web.AppRunner(second, access_log=None, shutdown_timeout=0.2)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", front.port).start()
            await expect(page.locator(".badge.simulated")).to_have_count(1)
            await expect(rows.nth(0)).to_have_class("chosen")
            await expect(page.get_by_test_id("market-simulator")).to_have_count(0)
            await runner.cleanup()

    asyncio.run(whole())


async def _restart(front: RunningFront, market: Market, **changes: Any) -> web.Application:
    """Stop the front that runs; a second one for the same port."""
    assert front.runner is not None
    await front.runner.cleanup()
    await asyncio.sleep(1.2)
    return make_app(market.deps(front.port, limits=LIMITS, **changes))


@pytest.mark.parametrize("width", [1280, 390])
def test_a_role_that_is_held_up_for_long_names_whom_it_waits_for(width: int) -> None:
    market = warm_market()
    market.waits("scan0", "indicators", 12_000)
    market.waits("alerts", "recorder", 12_000)
    market.waits("bars", "scan0", 20)

    async def scenario(_front: RunningFront, opened: Tab) -> None:
        roles = opened.page.get_by_test_id("roles")
        await expect(roles.locator("li", has_text="alerts")).to_have_text("alerts→ recorder")
        await expect(roles.locator("li", has_text="bars")).not_to_contain_text("→")
        title = await roles.locator("li", has_text="alerts").get_attribute("title")
        assert title is not None and "waiting for recorder for 12" in title
        cut = await roles.locator("li").evaluate_all(
            "items => items.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent)"
        )
        assert cut == []

    browse(market, scenario, width, 844)


def test_the_banner_tells_of_a_disk_that_refuses_the_alerts_and_goes_when_it_takes_them() -> None:
    market = warm_market()

    async def scenario(_front: RunningFront, opened: Tab) -> None:
        banner = opened.page.get_by_test_id("banner")
        await expect(banner).to_have_count(0)
        market.refuse("alerts", errno.ENOSPC)
        await expect(banner).to_contain_text("The disk of alerts refuses")
        await expect(banner).to_contain_text("No space left on device")
        await expect(opened.page.get_by_test_id("health")).to_have_text("degraded")
        market.refuse("alerts", 0)
        await expect(banner).to_have_count(0)

    browse(market, scenario)


def test_empty_states_say_what_to_do() -> None:
    market = Market()

    async def scenario(_front: RunningFront, opened: Tab) -> None:
        page = opened.page
        await expect(page.get_by_test_id("banner")).to_contain_text("The engine is starting.")
        await expect(page.get_by_text("No rule is in force")).to_be_visible()
        market.history()
        market.step()
        market.step()
        await expect(page.locator("[data-testid=movers] tr")).to_have_count(4)
        await expect(page.get_by_test_id("banner")).to_have_count(0)

    async def tolerant(front: RunningFront, opened: Tab) -> None:
        await scenario(front, opened)
        opened.complaints.clear()  # the 503 answers before the first cycle

    browse(market, tolerant)


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (390, 844), (1920, 1080)])
def test_nothing_is_cut_off_at_common_sizes(width: int, height: int) -> None:
    market = warm_market()
    market.alert()

    async def scenario(_front: RunningFront, opened: Tab) -> None:
        page = opened.page
        await expect(page.locator("[data-testid=movers] tr")).to_have_count(4)
        wide = await page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width
        engine = page.locator(".engine")
        inner, outer = await engine.evaluate("e => [e.scrollHeight, e.clientHeight]")
        assert inner <= outer + 1
        clipped = await page.evaluate(
            """() => [...document.querySelectorAll(".topbar *, .numbers dd, .roles li")]
                .filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0
                    && getComputedStyle(e).display !== "inline")
                .map(e => e.className + e.textContent)"""
        )
        assert clipped == []

    browse(market, scenario, width, height)


def _tokens(theme: str) -> dict[str, tuple[int, int, int]]:
    css = (ROOT / "css" / "tokens.css").read_text()
    blocks = re.findall(r"(:root[^{]*)\{(.*?)\n\}", css, re.DOTALL)
    found: dict[str, tuple[int, int, int]] = {}
    for selector, body in blocks:
        if "light" in selector and theme != "light":
            continue
        for name, value in re.findall(r"--([\w-]+): #([0-9a-f]{6});", body):
            red, green, blue = (int(value[at : at + 2], 16) for at in (0, 2, 4))
            found[name] = (red, green, blue)
    return found


def _luminance(colour: tuple[int, int, int]) -> float:
    parts = [value / 255 for value in colour]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("ground", ["bg", "panel", "raised", "hover", "chosen"])
@pytest.mark.parametrize("ink", ["text", "dim", "faint", "accent", "up", "down"])
def test_every_text_colour_has_wcag_aa_contrast_on_every_ground(
    theme: str, ground: str, ink: str
) -> None:
    tokens = _tokens(theme)
    light, dark = sorted((_luminance(tokens[ink]), _luminance(tokens[ground])), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5
