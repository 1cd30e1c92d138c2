"""The catalogue of metrics, a module a family of them."""
