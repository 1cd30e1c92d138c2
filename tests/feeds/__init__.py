"""Feeds: parsing, conditions, providers, pacing."""
