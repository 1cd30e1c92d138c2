"""The house keeps its own bounds."""
