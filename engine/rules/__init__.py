"""Rules: model, validation, compilation, evaluation."""
