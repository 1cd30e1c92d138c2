"""`tapescan rules`: the stored rules and their versions."""

import click

from tools import rules_explain, rules_preview, rules_read, rules_templates, rules_write

COMMANDS: tuple[click.Command, ...] = (
    rules_read.list_,
    rules_read.show,
    rules_read.validate,
    rules_write.create,
    rules_write.update,
    rules_write.delete,
    rules_write.enable,
    rules_write.disable,
    rules_read.history,
    rules_read.diff,
    rules_write.rollback,
    rules_write.import_,
    rules_read.export,
    rules_read.flip,
    rules_explain.explain,
    rules_preview.preview,
    rules_templates.templates_,
)


@click.group()
def rules() -> None:
    """Look at the rules, change them, go back to earlier versions.

    A running engine takes every change into use at once; without one it is made in the store.
    Reading works either way. rules.path is taken into the store at a start and by `reload`.
    """


for command in COMMANDS:
    rules.add_command(command)
