"""A scan worker: metrics, rules, cooldown, commit."""
