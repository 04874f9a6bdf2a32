"""The OSS without the rest of a stack, until the end of a block."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from ..credentials import Credentials
from ..endpoint import Endpoint
from ..errors import InvalidEndpoint
from .errors import EmulatorError
from .folder import add_buckets, storage_folder
from .oss import Settings, create_app
from .page import StartPage, is_own_host
from .ram import Principals
from .server import HOST, listen, serve
from .sts import temporary_credentials

DEFAULT_BUCKET = "examplebucket"
# An ID of the real OSS has neither word, so nobody uses a real key here.
_TEST_ID = re.compile(r"[A-Za-z0-9._-]*(?:TEST|LOCAL)[A-Za-z0-9._-]*")
_SECRET = re.compile(r"[!-~]+")


class Options(NamedTuple):
    """What a running OSS may have besides its folder and port.

    `access_key` is ID and secret; without it, they are random. `settings` are those of the OSS. `port_option` and
    `root_option` are what messages advise to change.
    """

    access_key: tuple[str, str] | None = None
    settings: Settings = Settings()
    port_option: str = "--port"
    root_option: str = "--root"


class OssAlone(NamedTuple):
    """Both its permanent and its temporary credentials may do everything, and so may `principals` that are added."""

    oss_url: str
    region: str
    root: Path
    credentials: Credentials
    temporary: Credentials
    principals: Principals
    start_page: StartPage


@contextmanager
def oss_alone(
    buckets: Sequence[str],
    region: str,
    root: Path | None,
    port: int,
    host: str = HOST,
    options: Options = Options(),  # noqa: B008 - immutable
) -> Iterator[OssAlone]:
    """Runs one until the end of the block, which ends its connections, too. Raises `EmulatorError`."""
    key = _access_key(options.access_key)
    _check_region(region)
    temporary = temporary_credentials()
    principals = Principals.of_account([key, temporary])
    with ExitStack() as cleanup:
        listener = cleanup.enter_context(listen(port, options.port_option, host))
        folder = cleanup.enter_context(storage_folder(root, options.root_option))
        add_buckets(folder, buckets, options.root_option)
        app = create_app(folder, region=region, credentials=principals, settings=options.settings)
        address = options.settings.address
        start_page = StartPage(app, is_own=lambda host: is_own_host(host, address))
        server = serve(start_page, listener)
        cleanup.callback(server.end)
        yield OssAlone(
            oss_url=server.url,
            region=region,
            root=folder,
            credentials=key,
            temporary=temporary,
            principals=principals,
            start_page=start_page,
        )


def _access_key(pair: tuple[str, str] | None) -> Credentials:
    if pair is None:
        return Credentials("LTAI5tLOCALTEST", secrets.token_urlsafe(33))
    key_id, secret = pair
    if not _TEST_ID.fullmatch(key_id):
        raise EmulatorError(
            "Invalid access key ID: it must contain TEST or LOCAL, and only letters, digits and ._-, so that nobody "
            "uses a real key here.",
            code="invalid_access_key",
        )
    if not _SECRET.fullmatch(secret):
        raise EmulatorError(
            "Invalid access key secret: expected visible ASCII characters without blanks.",
            code="invalid_access_key",
        )
    return Credentials(key_id, secret)


def _check_region(region: str) -> None:
    try:
        Endpoint.public(region)
    except InvalidEndpoint as error:
        raise EmulatorError(str(error), code="invalid_region") from None
