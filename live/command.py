"""`make live` and `make live-sweep`."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import date
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

import signer
from local.interrupts import exit_on_signals
from signer import Credentials, SignerError
from signer.cli.credentials import CONFIG, load_credentials
from signer.endpoint import is_loopback, parse_origin

from signer.sts import ROLE_ARN

from . import bucket, plan, report
from .answers import Answer, check
from .cases import Case, load
from .side import LiveError, Side, local_side, make_side

DEFAULT_REGION = "cn-hongkong"  # open to new accounts
LEFT = 2  # the status if a bucket is left
FOLDER = Path(__file__).parent  # of `.runs`, `recorded`, `expected.toml` and the report
_FAKE = Credentials("LTAI5tEXAMPLEEXAMPLE", "secretEXAMPLEsecretEXAMPLE")
_MAX_SILENT = 3  # cases in a row without an answer, after which the run ends


class Patience(NamedTuple):
    """Seconds: before further tries of a request, to connect and to wait, and before each try to clean up."""

    pauses: tuple[float, ...] = (1, 2, 4)
    timeout: tuple[float, float] = (5, 15)
    cleanup: tuple[float, ...] = (0, 1, 5, 15)


class Run(NamedTuple):
    """Where a run takes place; `origins` are addresses in place of OSS and STS, and `role` is "" without sessions."""

    region: str
    role: str
    folder: Path
    origins: Mapping[str, str]
    patience: Patience

    def compare(self, credentials: Credentials, cases: Sequence[Case]) -> int:
        """Makes the bucket, sends every case to both, deletes the bucket, and writes what they answered."""
        name = f"fcp-live-{secrets.token_hex(8)}"
        live = self._side(name, self.region, credentials)
        with local_side(self.region, name, credentials, self.role or plan.EXAMPLE_ROLE) as here:
            try:
                print(f"Bucket {name} in {self.region}.", flush=True)
                bucket.make(live, self.folder / ".runs")
                answers = {case.name: answer for case, answer in ask_both(cases, here, live)}
            finally:
                if not self._is_clean(live):
                    raise SystemExit(LEFT)
            results = [report.compare(case, *answers[case.name]) for case in cases]
            hidden = here.secrets | live.secrets
        title = f"The local OSS {signer.__version__} and OSS in {self.region}, {date.today()}"
        markdown = check(report.render(results, title), hidden)
        given = {name: answer for name, (_, answer) in answers.items()}
        recorded = self.folder / ("recorded-local" if self.origins else "recorded") / f"{self.region}.json"
        recorded.parent.mkdir(exist_ok=True)
        recorded.write_text(check(report.recording(self.region, given), hidden), encoding="utf-8")
        (self.folder / "report.md").write_text(markdown, encoding="utf-8")
        print(f"{markdown}\n{live.sent} requests, {live.bytes} bytes. The bucket is deleted.")
        print(f"Paste {self.folder / 'report.md'} into an issue, or send {recorded} as a pull request.")
        return 0

    def sweep(self, credentials: Credentials, *, account: bool) -> int:
        """Deletes the buckets of runs that ended before they could."""
        buckets = {path.name: path.read_text() for path in (self.folder / ".runs").glob("fcp-live-*")}
        if account:
            print("Listing the account's buckets needs one right more: oss:ListBuckets on acs:oss:*:*:*.")
            buckets |= dict(bucket.list_account(self._side("", self.region, credentials)))
        clean = [self._is_clean(self._side(name, region, credentials)) for name, region in sorted(buckets.items())]
        print(f"Deleted {sum(clean)} of {len(clean)} buckets.")
        return 0 if all(clean) else LEFT

    def _side(self, name: str, region: str, credentials: Credentials) -> Side:
        patience = {"pauses": self.patience.pauses, "timeout": self.patience.timeout}
        return make_side(region, name, credentials, self.role, origins=self.origins, **patience)

    def _is_clean(self, live: Side) -> bool:
        name, region = live.requests.values["bucket"], live.requests.region
        runs = self.folder / ".runs"
        if not (runs / name).exists() or bucket.clean(live, runs, self.patience.cleanup):
            return True
        print(
            f"Bucket {name} in {region} is left. Delete it: make live-sweep. Otherwise its lifecycle rule deletes all that "
            "is in it after a day, and the empty bucket, which costs nothing, stays.",
            file=sys.stderr,
        )
        return False


def ask_both(
    cases: Sequence[Case], here: Side, live: Side
) -> Iterator[tuple[Case, tuple[Answer | None, Answer | None]]]:
    """The answers of both. Raises `LiveError` if OSS is silent."""
    silent, is_protected = 0, False
    for case in cases:
        if not is_protected and not case.name.startswith("bucket/"):
            bucket.protect(live)  # its own cases have changed the rules
            is_protected = True
        answers = here.answer(case), live.answer(case)
        silent = 0 if answers[1] else silent + 1
        if silent == _MAX_SILENT:
            raise LiveError("OSS does not answer.")
        yield case, answers


def replay(folder: Path) -> Iterator[tuple[dict[str, Any], list[report.Result]]]:
    """Each recording, with how the local OSS compares; without any, one of a second local OSS."""
    cases, role, name = load("sts", "kms"), plan.EXAMPLE_ROLE, f"fcp-live-{'0' * 15}1"
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("recorded/*.json"))]
    for document in documents or [{"region": DEFAULT_REGION, "date": "", "version": ""}]:
        with ExitStack() as stack:
            here, other = (stack.enter_context(local_side(document["region"], name, _FAKE, role)) for _ in range(2))
            recorded = document.get("answers") or {case.name: other.answer(case) for case in cases}
            yield document, [report.compare(case, here.answer(case), recorded.get(case.name)) for case in cases]


def _print_replay(folder: Path) -> int:
    results = []
    for document, compared in replay(folder):
        print(
            report.render(compared, f"{document['region']}, recorded {document['date'] or 'from a second local OSS'}")
        )
        results += compared
    faults = report.unexpected(results, folder / "expected.toml")
    print(*faults, sep="\n", file=sys.stderr)
    return 1 if faults else 0


def _origins(environ: Mapping[str, str]) -> dict[str, str]:
    """The addresses in place of OSS and STS, for tests. Raises `LiveError` unless they are of this machine."""
    variables = {name: environ.get(f"LIVE_{name.upper()}_ENDPOINT") for name in ("oss", "sts")}
    origins = {name: url for name, url in variables.items() if url}
    if not all(is_loopback(parse_origin(url)[1]) for url in origins.values()):
        raise LiveError("LIVE_OSS_ENDPOINT and LIVE_STS_ENDPOINT must be addresses of this machine.")
    return origins


def main(arguments: Sequence[str] | None = None, patience: Patience = Patience()) -> int:
    parser = argparse.ArgumentParser(prog="make live", description="Compare the local OSS with OSS: docs/live.md.")
    for name in ("yes", "sts", "kms", "replay", "sweep", "account"):
        parser.add_argument(f"--{name}", action="store_true")
    for name, default in (("region", DEFAULT_REGION), ("role-arn", ""), ("folder", FOLDER)):
        parser.add_argument(f"--{name}", default=default, type=type(default))
    options = parser.parse_args(arguments)
    try:
        if options.replay:
            return _print_replay(options.folder)
        if options.sts and not ROLE_ARN.fullmatch(options.role_arn):
            raise LiveError(
                f"STS=1 requires ROLE_ARN={plan.EXAMPLE_ROLE}, of a role that exists, with these policies:\n"
                f"{json.dumps(plan.role_policy())}\n{json.dumps(plan.trust_policy(plan.EXAMPLE_ROLE))}"
            )
        cases = load(*(part for part in ("sts", "kms") if getattr(options, part)))
        role = options.role_arn if options.sts else ""
        if not options.yes and not options.sweep:
            print(plan.text(cases, options.region, role, kms=options.kms))
            return 0
        if os.environ.get("CI") and os.environ.get("LIVE_IN_CI") != "1":
            raise LiveError("CI is set. To run there, set LIVE_IN_CI=1 too.")
        run = Run(options.region, role, options.folder, _origins(os.environ), patience)
        credentials = load_credentials(None, CONFIG).credentials
        exit_on_signals()
        return run.sweep(credentials, account=options.account) if options.sweep else run.compare(credentials, cases)
    except (LiveError, SignerError, ValueError, OSError, HTTPException) as error:
        print(f"make live: {error or type(error).__name__}", file=sys.stderr)
        return 1
