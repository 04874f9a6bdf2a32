"""The client of a running service."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import click

from ..endpoint import is_loopback, parse_origin
from ..errors import InvalidEndpoint, SignerError
from . import options
from .network import AnswerRefused, failure_reason, send

URL = "FC_PRESIGN_URL"
KEY = "FC_PRESIGN_KEY"
TIMEOUT = (10, 60)  # seconds, to connect and to read
MAX_PAGES = 10_000  # of a list
_CREDENTIAL = re.compile(r"[\x21-\x7e]{1,8192}")

service_options = options.add(
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
    click.option(
        "--key",
        type=click.Choice(["-"]),
        help=f"- reads the API key or token from standard input, not {KEY}.",
    ),
)


class ServiceFailed(SignerError):
    """The service did not do what it was asked; the message says what it answered, `status` with which status.

    It is 0 where nothing was answered.
    """

    code = "service_failed"

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Service(NamedTuple):
    """A deployed service: `url` is its origin, `key` an API key or token, "" for none."""

    url: str
    key: str

    def __repr__(self) -> str:
        return f"Service(url={self.url!r}, key='***')"

    @classmethod
    def load(cls, key_from: str | None) -> Service:
        """From the environment; with "-", the key is standard input, which a terminal does not show."""
        url = os.environ.get(URL) or options.fail(
            f"Set {URL} to the service, such as https://links.example.com."
        )
        try:
            scheme, host = parse_origin(url.rstrip("/"))
        except InvalidEndpoint as error:
            options.fail(
                f"Invalid {URL} {error.value!r}: expected only scheme and host, such as "
                "https://links.example.com."
            )
        if scheme != "https" and not is_loopback(host):
            options.fail(
                f"{URL} must begin with https://, so that nobody reads the key on its way."
            )
        key = os.environ.get(KEY, "")
        if key_from:
            key = options.read_secret("API key")
        if key.strip() and not _CREDENTIAL.fullmatch(key.strip()):
            options.fail(
                "Invalid API key or token: expected printable ASCII characters without spaces."
            )
        return cls(url.rstrip("/"), key.strip())

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> dict[str, Any]:
        """The JSON of an answer, empty for a DELETE. Raises `ServiceFailed`."""
        headers = {"Accept": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        try:
            answer = send(method, self.url + path, TIMEOUT, headers=headers, query=query, body=body)
        except OSError as error:
            raise ServiceFailed(f"Cannot reach {self.url}: {failure_reason(error)}.") from None
        except AnswerRefused as error:
            raise ServiceFailed(str(error)) from None
        if (method, answer.status) == ("DELETE", 204):
            return {}
        try:
            document = answer.json()
        except (ValueError, RecursionError):
            document = None
        if answer.status in (200, 201) and isinstance(document, dict) and method != "DELETE":
            return document
        raise self.refusal(document, answer.status)

    def refusal(self, problem: object, status: int = 0) -> ServiceFailed:
        """What a problem document says. Of anything else, that it is not one, and the `status` of the answer."""
        code = problem.get("code") if isinstance(problem, dict) else None
        if not isinstance(problem, dict) or not isinstance(code, str):
            instead = f" (status {status})" if status else ""
            return ServiceFailed(f"{self.url} did not answer as fc-presign does{instead}.", status)
        hint = f" Set {KEY}, or pass --key -." if code == "unauthorized" else ""
        return ServiceFailed(
            f"{problem.get('detail')}{hint} ({code}, request {problem.get('request_id')})", status
        )

    def pages(self, path: str, query: Mapping[str, str], *lists: str) -> Iterator[dict[str, Any]]:
        """The JSON of every page, which has these lists; each is requested with the `next` of the one before."""
        after = ""
        seen = set[str]()
        for _ in range(MAX_PAGES):
            position = {"after": after} if after else {}
            page = self.ask("GET", path, {**query, **position})
            entries = [page.get(name) for name in lists]
            if not all(
                isinstance(each, list) and all(map(self._is_entry, each)) for each in entries
            ):
                raise self.refusal(page)
            yield page
            following = page.get("next")
            if following is None:
                return
            if not isinstance(following, str) or following in seen:
                raise ServiceFailed(f"The list of {self.url} does not end.")
            after = following
            seen.add(after)
        raise ServiceFailed(f"The list of {self.url} has more than {MAX_PAGES} pages.")

    @staticmethod
    def _is_entry(entry: Any) -> bool:
        """Whether it is a share, a folder or a file, as far as the commands read it."""
        if not isinstance(entry, dict):
            return False
        size = entry.get("size", 0)
        is_named = isinstance(entry.get("name", ""), str) and ("id" in entry or "name" in entry)
        return is_named and isinstance(size, int) and 0 <= size < 2**63
