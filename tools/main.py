"""`tapescan`: the command line; one module a command, loaded when it is named."""

# ruff: noqa: E402 - nothing may import numpy or numba before the environment is prepared
from tools import runtime

runtime.prepare()

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import click

from engine.errors import EngineError
from ipc.errors import IpcError
from ipc.policy import EXIT_BAD_CONFIG, EXIT_FAILED, EXIT_OK
from shm.errors import ShmError

EXIT_USAGE = 2

# Command -> where it is; in the order of the help text.
COMMANDS = {
    "run": "tools.cli_run:run",
    "status": "tools.cli_status:status",
    "check-config": "tools.cli_check:check_config",
    "config": "tools.cli_config:config",
    "reload": "tools.cli_reload:reload",
    "rules": "tools.cli_rules:rules",
    "users": "tools.cli_users:users",
    "symbols": "tools.cli_symbols:symbols",
    "history": "tools.cli_history:history",
    "backtest": "tools.cli_backtest:backtest",
    "tape": "tools.cli_tape:tape",
    "bench": "tools.cli_bench:bench",
    "version": "tools.cli_version:version",
}
# Refusals of what the user wrote, by class name: their classes are too heavy to import here.
REFUSALS = {"ConfigError", "RuleError"}


class Commands(click.Group):
    """Imports a command's module when the command is named, not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of the help text."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, None when there is none."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, name = entry.partition(":")
        found = getattr(importlib.import_module(module), name)
        assert isinstance(found, click.Command)
        return found


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Tapescan: a real-time stock scanner. It reads the tape and tells what happens.

    Exit codes: 0 ok, 1 failed, 2 wrong usage, 3 bad configuration or rules.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave with its exit code; an error is one sentence on standard error."""
    sys.exit(call(list(sys.argv[1:] if arguments is None else arguments)))


def call(arguments: list[str]) -> int:
    """Run a command; returns the exit code."""
    try:
        result: Any = cli.main(arguments, prog_name="tapescan", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else EXIT_OK
    except click.exceptions.NoArgsIsHelpError as asked:
        click.echo(asked.format_message(), err=True)
        return EXIT_USAGE
    except click.ClickException as error:
        return _complain(error.format_message(), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return _complain("interrupted.", EXIT_FAILED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return EXIT_FAILED
    except (EngineError, IpcError, ShmError, OSError) as error:
        return _complain(str(error), exit_code(error))
    except Exception as error:  # noqa: BLE001 - the user is not shown a traceback unasked
        if os.environ.get("TAPESCAN_TRACE") == "1":
            traceback.print_exc()
        told = f"{type(error).__name__}: {error}".rstrip(".")
        return _complain(f"internal error, {told}; TAPESCAN_TRACE=1 shows where.", EXIT_FAILED)


def exit_code(error: BaseException) -> int:
    """3 for what the user wrote and we refuse, the error's own code if it has one, else 1."""
    if REFUSALS & {base.__name__ for base in type(error).__mro__}:
        return EXIT_BAD_CONFIG
    return int(getattr(error, "exit_code", EXIT_FAILED))


def _complain(sentence: str, code: int) -> int:
    one_line = " ".join(sentence.split())
    click.echo(f"tapescan: {one_line}", err=True)
    return code


if __name__ == "__main__":
    main()
