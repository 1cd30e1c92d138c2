"""Tests of toplists."""
