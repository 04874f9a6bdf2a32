"""`make live` and `make live-sweep`. docs/live.md says what they do."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import signer
from signer import Credentials, SignerError
from signer.cli.credentials import CONFIG, load_credentials
from signer.common.sts import ROLE_ARN
from signer.emulator.interrupts import exit_on_signals
from signer.endpoint import is_loopback, parse_origin

from . import answers, plan, side
from .cases import load

FOLDER = Path(__file__).parent  # of `.runs`, `recorded`, `expected.toml` and the report
REGION = "cn-hongkong"  # open to new accounts
_FAILURES = (RuntimeError, SignerError, ValueError, OSError, ParseError)


def run(options: argparse.Namespace, credentials: Credentials) -> int:
    """Makes the bucket, sends every case to both, deletes the bucket, and writes what they answered."""
    region = options.region
    folder = options.folder
    cases = load(*options.parts)
    name = f"fcp-live-{secrets.token_hex(8)}"
    live = side.make_side(region, name, credentials, options.role_arn, options.origins)
    file = folder / ".runs" / name
    results = list[answers.Result]()
    given = dict[str, answers.Answer | None]()
    with side.local_side(region, name, credentials, options.role_arn or plan.EXAMPLE_ROLE) as here:
        try:
            print(f"Bucket {name} in {region}.", flush=True)
            side.make_bucket(live, file)
            for case in cases:
                if len(results) == sum(case.name.startswith("bucket/") for case in cases):
                    side.protect_bucket(live)  # these cases have changed the rules
                expected = here.answer(case)
                answer = live.answer(case)
                given[case.name] = answer
                results.append(answers.compare(case, expected, answer))
                if not any([*given.values()][-3:]):
                    raise RuntimeError("OSS does not answer.")
        except _FAILURES as error:
            # Before what the clean-up says.
            print(f"make live: {error}", file=sys.stderr, flush=True)
            return 1
        finally:
            if file.exists() and not _is_deleted(live, file):
                raise SystemExit(2)
    markdown = answers.render(
        results, f"fc-presign {signer.__version__} and OSS in {region}, {date.today()}"
    )
    document = {
        "region": region,
        "date": f"{date.today()}",
        "version": signer.__version__,
        "answers": given,
    }
    recorded = folder / ("recorded-local" if options.origins else "recorded") / f"{region}.json"
    recorded.parent.mkdir(exist_ok=True)
    for path, content in (
        (recorded, json.dumps(document, indent=1)),
        (folder / "report.md", markdown),
    ):
        path.write_text(
            f"{answers.check(content, here.secrets | live.secrets)}\n", encoding="utf-8"
        )
    print(f"{markdown}\nThe bucket is deleted, after {live.sent} requests and {live.bytes} bytes.")
    print(f"Paste {folder / 'report.md'} into an issue, or send {recorded} as a pull request.")
    return 0


def sweep(options: argparse.Namespace, credentials: Credentials) -> int:
    """Deletes the buckets of runs that ended before they could."""
    buckets = {path.name: path.read_text() for path in options.folder.glob(".runs/fcp-live-*")}
    if options.account:
        print(
            "To list the account's buckets needs one right more: oss:ListBuckets on acs:oss:*:*:*."
        )
        buckets |= dict(
            side.list_buckets(side.make_side(options.region, "", credentials, "", options.origins))
        )
    sides = {
        name: side.make_side(region, name, credentials, "", options.origins)
        for name, region in buckets.items()
    }
    deleted = [_is_deleted(live, options.folder / ".runs" / name) for name, live in sides.items()]
    print(f"Deleted {sum(deleted)} of {len(deleted)} buckets.")
    return 0 if all(deleted) else 2


def replay(folder: Path) -> Iterator[tuple[dict[str, Any], list[answers.Result]]]:
    """Each recording, with how the local OSS compares; without any, one of a second local OSS."""
    cases = load("sts", "kms")
    documents = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("recorded/*.json"))
    ]
    for document in documents or [{"region": REGION, "date": "from a second local OSS"}]:
        key = Credentials("LTAI5tEXAMPLE", "secretEXAMPLE")
        new = document["region"], f"fcp-live-{'0' * 15}1", key, plan.EXAMPLE_ROLE
        with side.local_side(*new) as here, side.local_side(*new) as other:
            known = document.get("answers") or {case.name: other.answer(case) for case in cases}
            yield (
                document,
                [answers.compare(case, here.answer(case), known.get(case.name)) for case in cases],
            )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="make live", description="Compare the local OSS with OSS: docs/live.md."
    )
    for name in ("yes", "sts", "kms", "replay", "sweep", "account"):
        parser.add_argument(f"--{name}", action="store_true")
    for name, default in (("region", REGION), ("role-arn", ""), ("folder", FOLDER)):
        parser.add_argument(f"--{name}", default=default, type=type(default))
    try:
        return _act(parser.parse_args(arguments))
    except _FAILURES as error:
        print(f"make live: {error}", file=sys.stderr)
        return 1


def _act(options: argparse.Namespace) -> int:
    options.parts = [part for part in ("sts", "kms") if getattr(options, part)]
    variables = {name: os.environ.get(f"LIVE_{name.upper()}_ENDPOINT") for name in ("oss", "sts")}
    options.origins = {name: url for name, url in variables.items() if url}
    if not all(is_loopback(parse_origin(url)[1]) for url in options.origins.values()):
        raise RuntimeError(
            "LIVE_OSS_ENDPOINT and LIVE_STS_ENDPOINT must be addresses of this machine."
        )
    if options.replay:
        compared = list(replay(options.folder))
        for document, results in compared:
            print(
                answers.render(results, f"OSS in {document['region']}, recorded {document['date']}")
            )
        every = [result for _, results in compared for result in results]
        faults = answers.unexpected(every, options.folder / "expected.toml")
        sys.stderr.writelines(f"{fault}\n" for fault in faults)
        return 1 if faults else 0
    if not options.yes and not options.sweep:
        role = options.sts and (options.role_arn or plan.EXAMPLE_ROLE)
        print(plan.text(load(*options.parts), options.region, role, kms=options.kms))
        return 0
    if options.sts and not ROLE_ARN.fullmatch(options.role_arn):
        raise RuntimeError(
            f"STS=1 needs ROLE_ARN={plan.EXAMPLE_ROLE}, with the policies that the dry run prints."
        )
    if os.environ.get("CI") and os.environ.get("LIVE_IN_CI") != "1":
        raise RuntimeError("CI is set. To run there, set LIVE_IN_CI=1 too.")
    credentials = load_credentials(None, CONFIG).credentials
    exit_on_signals()
    return (sweep if options.sweep else run)(options, credentials)


def _is_deleted(live: side.Side, file: Path) -> bool:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # Ctrl-C would leave what is not deleted yet
    if failure := side.delete_bucket(live, file):
        where = f"Bucket {file.name} in {live.values['region']} may be left: make live-sweep deletes it."
        after = "Otherwise OSS empties it after a day, and it stays, at no cost."
        print(f"The clean-up failed: {failure}\n{where}\n{after}", file=sys.stderr)
    return not failure


if __name__ == "__main__":
    sys.exit(main())
