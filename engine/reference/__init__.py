"""Reference data: files that are imported, levels and baselines made of them, the book of a day."""
