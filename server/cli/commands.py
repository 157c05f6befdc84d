"""The commands: each module adds its parser, whose `run` does the work and gives the exit code.

0  done
1  done in part: single objects were refused (they are listed)
2  the command line, the input file or the request is wrong
3  the database is away, held by another process or broken
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from weftdb.client import errors as client_errors
from weftdb.core.errors import RequestError, WeftError
from weftdb.server.cli import (
    cluster_command,
    estimate_command,
    import_command,
    search_command,
    stats_command,
)
from weftdb.server.cli.records import BadRecord

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

EXIT_DONE = 0
EXIT_PARTLY = 1
EXIT_REFUSED = 2
EXIT_UNAVAILABLE = 3

EXIT_CODES = (
    "exit codes: 0 done, 1 single objects were refused, 2 wrong command line, input or request, "
    "3 database away, held by another process or broken"
)


def add_commands(commands: Commands) -> None:
    """Add every command. `arguments.run(arguments)` is the exit code."""
    for module in (
        import_command,
        search_command,
        stats_command,
        estimate_command,
        cluster_command,
    ):
        parser = module.add_parser(commands)
        parser.set_defaults(run=partial(run_command, module.run))
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.epilog = f"{module.EXAMPLES}\n\n{EXIT_CODES}"


def run_command(run: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    """Run a command; errors become one line on stderr and an exit code."""
    try:
        return run(arguments)
    except (client_errors.RequestRefused, RequestError, BadRecord, ValueError, TypeError) as error:
        return _fail(error, EXIT_REFUSED)
    except (client_errors.ClientError, WeftError) as error:
        return _fail(error, EXIT_UNAVAILABLE)
    except OSError as error:
        return _fail(error, EXIT_REFUSED)


def _fail(error: Exception, code: int) -> int:
    print(f"weftdb: {error}", file=sys.stderr)
    return code
