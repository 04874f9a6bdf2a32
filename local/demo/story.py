"""Prints each request of steps.yaml as a line for a shell, sends it, and prints what came back, without secrets."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from signer import redact
from signer.common.listing import listing_query, read_page
from signer.common.printing import Parser, show
from signer.emulator import client
from signer.emulator.interrupts import exit_on_signals

from .. import samples
from ..errors import LocalError
from ..fc.s_yaml import read_yaml
from ..stack import Stack


class Step(NamedTuple):
    """A request. `status` has redirects too, `shows` is a pattern of what is printed, and the body of a PUT is a file.

    Address and headers have variables of the shell, which `keep` sets to members of a response. oss:// is presigned,
    and all objects below it if it ends with a slash.
    """

    why: str
    address: str
    status: Sequence[int]
    shows: str = ""
    method: str = "GET"
    headers: Mapping[str, str] = {}
    body: str = ""
    keep: Mapping[str, str] = {}

    def commands(self) -> list[str]:
        """What a person types."""
        address = self.address
        if address.endswith("/"):
            return [f"fc-presign bulk {address} --format jsonl | jq -r .url | xargs -n 1 curl"]
        if address.startswith("oss://"):
            address = f"$(fc-presign sign {address} --method {self.method})"
        data = "\\\n    " * bool(self.body) + f"-d '{self.body}'"
        words = ["-L"] * (len(self.status) > 1) + [
            f'-H "{name}: {value}"' for name, value in self.headers.items()
        ]
        words += {"PUT": [f"-T {self.body}"], "POST": [data], "DELETE": ["-X DELETE"]}.get(
            self.method, []
        )
        request = " ".join([*words, f'"{address}"'])
        if not self.keep:
            return [f"curl {request}"]
        kept = " ".join(
            f'{name}=$(echo "$JSON" | jq -r .{member})' for name, member in self.keep.items()
        )
        return [f'JSON=$(curl -s {request}); echo "$JSON"', kept]

    def send(self, stack: Stack, variables: dict[str, str | None]) -> str:
        """What is printed of the response. Raises `LocalError` if it is not the expected one."""
        url = Template(self.address).substitute(variables)
        headers = {
            name: Template(value).substitute(variables) for name, value in self.headers.items()
        }
        data = Path(self.body).read_bytes() if self.method == "PUT" else self.body.encode()
        if url.startswith("oss://"):
            bucket, _, key = url.removeprefix("oss://").partition("/")
            if key.endswith("/"):
                listed = client.request(stack, "GET", bucket, None, query=listing_query(key))
                key = max((each.key for each in read_page(listed.body).objects), default=key)
            response = client.request(stack, self.method, bucket, key, data, headers)
        else:
            response = client.send(self.method, url, data, headers)
        status = [response.status]
        if len(self.status) > 1 and "location" in response.headers:
            response = client.send("GET", response.headers["location"])
            status.append(response.status)
        text = response.body.decode()
        match = re.search(self.shows, text)
        if status != self.status or match is None:
            raise LocalError(
                f"{self.status} {self.shows} was expected, not {status} {text[:300]!r}"
            )
        variables.update({name: json.loads(text)[member] for name, member in self.keep.items()})
        return redact(f"{' '.join(map(str, status))} {match[0]}".rstrip())


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 if every step has the expected result, else 1; ends with 130 after Ctrl-C."""
    Parser(prog="python -m local.demo", description="Shows the service work, once.").parse_args(
        arguments
    )
    exit_on_signals()
    steps: Any = read_yaml(Path(__file__).with_name("steps.yaml"))
    show("Starting the functions of s.yaml and a private OSS on this machine.")
    try:
        with tempfile.TemporaryFile("w+", encoding="utf-8") as log, Stack.start(log=log) as stack:
            variables = samples.variables(stack, samples.api_key(stack))
            for step in (Step(**entry) for entry in steps):
                stack.dispatcher.wait(30)  # seconds
                show(
                    f"# {step.why}",
                    *"\n".join(f"$ {command}" for command in step.commands()).split("\n"),
                )
                show(f"  {step.send(stack, variables)}")
            log.seek(0)
            show("# The function's log line for the person who opened the address")
            show(next(line.strip() for line in log if '"status":302' in line))
    except (LocalError, OSError, HTTPException, ValueError) as error:
        show(f"make demo: {redact(str(error))}", file=sys.stderr)
        return 1
    show("Every step succeeded. Type the lines yourself beside make run, after: . samples/env.sh")
    return 0
