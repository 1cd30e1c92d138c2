"""The scanner itself: markets, bars, indicators, rules, alerts.

Knows nothing of the web server in front of it.
"""
