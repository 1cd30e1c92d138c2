"""Parameterised indicators: values, schedule, repetition."""
