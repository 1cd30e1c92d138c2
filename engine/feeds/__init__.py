"""Feeds: decode, normalise and sequence the tape."""
