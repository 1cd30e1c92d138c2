"""Windowed values over final bars, incrementally, for all symbols at once."""
