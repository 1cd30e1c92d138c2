"""Parameterised indicators and windows, computed while rules name them."""
