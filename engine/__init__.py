"""The scanner itself: markets, bars, indicators, rules, alerts; knows nothing of aiohttp's server."""
