"""The configuration: good, bad and hostile."""
