"""Tests of the scan worker."""
