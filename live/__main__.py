"""`make live` and `make live-sweep`. docs/live.md says what they do."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import date
from http.client import HTTPException
from pathlib import Path
from typing import Any

import signer
from local.interrupts import exit_on_signals
from signer import Credentials, SignerError
from signer.cli.credentials import CONFIG, load_credentials
from signer.endpoint import is_loopback, parse_origin
from signer.sts import ROLE_ARN

from . import answers, bucket, plan
from .cases import load
from .side import LiveError, Side, local_side, make_side

LEFT = 2  # the status if a bucket is left
FOLDER = Path(__file__).parent  # of `.runs`, `recorded`, `expected.toml` and the report
REGION = "cn-hongkong"  # open to new accounts
_FAKE = Credentials("LTAI5tEXAMPLEEXAMPLE", "secretEXAMPLEsecretEXAMPLE")


def run(options: argparse.Namespace, credentials: Credentials) -> int:
    """Makes the bucket, sends every case to both, deletes the bucket, and writes what they answered."""
    region, folder, role = options.region, options.folder, options.role_arn
    name, cases, origins = f"fcp-live-{secrets.token_hex(8)}", load(*options.parts), _origins()
    live, file = make_side(region, name, credentials, role, origins), folder / ".runs" / name
    here_answers, live_answers = {}, {}
    with local_side(region, name, credentials, role or plan.EXAMPLE_ROLE) as here:
        try:
            print(f"Bucket {name} in {region}.", flush=True)
            bucket.make(live, file)
            for case in cases:
                here_answers[case.name], live_answers[case.name] = here.answer(case), live.answer(case)
                if case == [case for case in cases if case.name.startswith("bucket/")][-1]:
                    bucket.protect(live)  # these cases have changed the rules
                if not any([*live_answers.values()][-3:]):
                    raise LiveError("OSS does not answer.")
        finally:
            if file.exists() and not _is_clean(live, file):
                raise SystemExit(LEFT)
    hidden = here.secrets | live.secrets
    results = [answers.compare(case, here_answers[case.name], live_answers[case.name]) for case in cases]
    markdown = answers.render(results, f"fc-presign {signer.__version__} and OSS in {region}, {date.today()}")
    document = {"region": region, "date": f"{date.today()}", "version": signer.__version__}
    document["answers"] = {name: answer for name, answer in live_answers.items() if answer is not None}
    recorded = folder / ("recorded-local" if origins else "recorded") / f"{region}.json"
    recorded.parent.mkdir(exist_ok=True)
    for path, content in ((recorded, json.dumps(document, indent=1)), (folder / "report.md", markdown)):
        path.write_text(f"{answers.check(content, hidden)}\n", encoding="utf-8")
    print(f"{markdown}\n{live.sent} requests, {live.bytes} bytes. The bucket is deleted.")
    print(f"Paste {folder / 'report.md'} into an issue, or send {recorded} as a pull request.")
    return 0


def sweep(options: argparse.Namespace, credentials: Credentials) -> int:
    """Deletes the buckets of runs that ended before they could."""
    runs, origins = options.folder / ".runs", _origins()
    buckets = {path.name: path.read_text() for path in runs.glob("fcp-live-*")}
    if options.account:
        print("To list the account's buckets needs one right more: oss:ListBuckets on acs:oss:*:*:*.")
        buckets |= dict(bucket.list_account(make_side(options.region, "", credentials, "", origins)))
    sides = {name: make_side(region, name, credentials, "", origins) for name, region in buckets.items()}
    cleaned = [_is_clean(side, runs / name) for name, side in sides.items()]
    print(f"Deleted {sum(cleaned)} of {len(cleaned)} buckets.")
    return 0 if all(cleaned) else LEFT


def replay(folder: Path) -> Iterator[tuple[dict[str, Any], list[answers.Result]]]:
    """Each recording, with how the local OSS compares; without any, one of a second local OSS."""
    cases, name = load("sts", "kms"), f"fcp-live-{'0' * 15}1"
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("recorded/*.json"))]
    for document in documents or [{"region": REGION, "date": "from a second local OSS"}]:
        with ExitStack() as stack:
            sides = [local_side(document["region"], name, _FAKE, plan.EXAMPLE_ROLE) for _ in range(2)]
            here, other = map(stack.enter_context, sides)
            known = document.get("answers") or {case.name: other.answer(case) for case in cases}
            yield document, [answers.compare(case, here.answer(case), known.get(case.name)) for case in cases]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make live", description="Compare the local OSS with OSS: docs/live.md.")
    for name in ("yes", "sts", "kms", "replay", "sweep", "account"):
        parser.add_argument(f"--{name}", action="store_true")
    for name, default in (("region", REGION), ("role-arn", ""), ("folder", FOLDER)):
        parser.add_argument(f"--{name}", default=default, type=type(default))
    options = parser.parse_args(arguments)
    options.parts = [part for part in ("sts", "kms") if getattr(options, part)]
    try:
        if options.replay:
            return _print_replay(options.folder)
        if options.sts and options.yes and not ROLE_ARN.fullmatch(options.role_arn):
            raise LiveError(f"STS=1 needs ROLE_ARN={plan.EXAMPLE_ROLE}, with the policies that the dry run prints.")
        if not options.yes and not options.sweep:
            role = options.sts and (options.role_arn or plan.EXAMPLE_ROLE)
            print(plan.text(load(*options.parts), options.region, role, kms=options.kms))
            return 0
        if os.environ.get("CI") and os.environ.get("LIVE_IN_CI") != "1":
            raise LiveError("CI is set. To run there, set LIVE_IN_CI=1 too.")
        _origins()
        credentials = load_credentials(None, CONFIG).credentials
        exit_on_signals()
        return (sweep if options.sweep else run)(options, credentials)
    except (LiveError, SignerError, ValueError, OSError, HTTPException) as error:
        print(f"make live: {error or type(error).__name__}", file=sys.stderr)
        return 1


def _print_replay(folder: Path) -> int:
    results = []
    for document, compared in replay(folder):
        print(answers.render(compared, f"OSS in {document['region']}, recorded {document['date']}"))
        results += compared
    faults = answers.unexpected(results, folder / "expected.toml")
    sys.stderr.writelines(f"{fault}\n" for fault in faults)
    return 1 if faults else 0


def _origins() -> dict[str, str]:
    """The addresses in place of OSS and STS, for tests. Raises `LiveError` unless they are of this machine."""
    variables = {name: os.environ.get(f"LIVE_{name.upper()}_ENDPOINT") for name in ("oss", "sts")}
    origins = {name: url for name, url in variables.items() if url}
    if not all(is_loopback(parse_origin(url)[1]) for url in origins.values()):
        raise LiveError("LIVE_OSS_ENDPOINT and LIVE_STS_ENDPOINT must be addresses of this machine.")
    return origins


def _is_clean(live: Side, file: Path) -> bool:
    is_clean = bucket.clean(live, file)
    if not is_clean:
        print(
            f"Bucket {file.name} in {live.requests.values['region']} may be left. Delete it with: make live-sweep. If",
            file=sys.stderr,
        )
        print(
            "you do not, OSS deletes what is in it after a day, and the empty bucket stays: it costs nothing.",
            file=sys.stderr,
        )
    return is_clean


if __name__ == "__main__":
    sys.exit(main())
