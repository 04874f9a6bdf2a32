"""The program: its commands, and the exit status of each failure."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence

import click

from .. import __version__
from ..common.display import printable, redact_pieces
from ..errors import SignerError
from . import create, oss, shares
from .bulk import bulk
from .explain import explain
from .options import NAME, Group
from .sending.receive import receive
from .sending.share import share
from .terminal import echo

MODULE = f"python -m {(__package__ or '').partition('.')[0]}"
COMPLETION = "_FC_PRESIGN_COMPLETE"


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs a command. The exit status is 0, 1 (a link is not valid), 2 (the command failed) or 130 (Ctrl-C)."""
    try:
        with warnings.catch_warnings():
            # The commands say it of every unknown region, in one sentence.
            warnings.filterwarnings("ignore", "Unknown region")
            status = commands.main(
                arguments,
                # A completion script is for the installed name.
                prog_name=NAME
                if COMPLETION in os.environ or not sys.argv[0].endswith("__main__.py")
                else MODULE,
                complete_var=COMPLETION,
                standalone_mode=False,
            )
    except click.Abort:
        echo("Interrupted.", err=True)
        return 130
    except click.exceptions.NoArgsIsHelpError as error:
        # The message is the help, which begins with the usage.
        echo(error.format_message(), err=True)
        return 2
    except click.ClickException as error:
        if isinstance(error, click.UsageError) and error.ctx is not None:
            echo(error.ctx.get_usage(), err=True)
        return _print_error(error.format_message())
    except SignerError as error:
        return _print_error(str(error))
    except OSError as error:
        try:
            sys.stdout.flush()
        except OSError:  # Python would write what is left again at its exit, and fail again
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return _print_error(f"Standard output cannot be written ({error.strerror}).")
        name = f"{error.filename}: " if error.filename else ""
        return _print_error(f"{name}{error.strerror}.")
    return status if isinstance(status, int) else 0


def _print_error(message: str) -> int:
    # An argument in the wrong place may be a link.
    echo(f"Error: {printable(redact_pieces(message))}", err=True)
    return 2


@click.group(
    cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(
    __version__, prog_name=NAME, message="%(prog)s %(version)s", help="Print the version."
)
def commands() -> None:
    """Create, check and troubleshoot links to private objects of Alibaba Cloud OSS.

    Credentials come from OSS_ACCESS_KEY_ID, OSS_ACCESS_KEY_SECRET and OSS_SESSION_TOKEN, from
    ALIBABA_CLOUD_ACCESS_KEY_ID, ALIBABA_CLOUD_ACCESS_KEY_SECRET and ALIBABA_CLOUD_SECURITY_TOKEN, from a --profile (or
    the current one) of the aliyun CLI, from ~/.alibabacloud/credentials.ini, from ALIBABA_CLOUD_CREDENTIALS_URI, or,
    with ALIBABA_CLOUD_ECS_METADATA set, from the ECS instance; never from arguments.
    The exit status is 0, 1 (a link is not valid), 2 (the command failed) or 130 (Ctrl-C).

    \b
    Examples:
      fc-presign sign oss://examplebucket/report.pdf --region cn-hangzhou --expires 15m
      fc-presign explain -                    # paste the link: it stays out of the history
      fc-presign curl oss://examplebucket/in.csv --method PUT --header 'Content-Type: text/csv'
      fc-presign bulk oss://examplebucket/2026/ --output index.html

    \b
    Completion of fc-presign (bash; zsh and fish likewise), for ~/.bashrc:
      eval "$(_FC_PRESIGN_COMPLETE=bash_source fc-presign)"
    """


for _command in (
    create.sign,
    create.curl,
    explain,
    bulk,
    share,
    receive,
    shares.list_shares,
    shares.revoke,
    shares.extend,
    shares.list_folder,
    oss.oss,
):
    commands.add_command(_command)
