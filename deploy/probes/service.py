"""What the doctor asks the deployed service: canary links, as visitors would."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from handler.config import Mount

from ..s_preview import serverless_devs
from .deployment import CANARY, Answer, Deployment
from .findings import Finding, fault, ok, unknown, warning
from .oss import public_endpoint_forbidden

ORIGIN = "https://another-site.example.com"
SECONDS = 120
PROJECT = Path(__file__).parents[2]


def health(deployment: Deployment, url: str) -> Iterator[Finding]:
    """That the service answers, and how it looks to a browser of another site."""
    answer = deployment.ask("GET", f"{url}/-/health", {"Origin": ORIGIN})
    if answer.status == 0:
        yield fault("service", f"{url} cannot be reached ({answer.code}): look at the address, or deploy.")
        return
    if answer.status != 200:
        yield fault("service", f"{url}/-/health answers {answer.status} {answer.code}: look at the function's log.")
        return
    yield ok("service", f"{url} answers.")
    yield _one_origin(answer)
    if answer.header("content-disposition").startswith("attachment"):
        yield warning("domain", f"{url} makes browsers download its pages: use a custom domain for shares and pages.")


def _one_origin(answer: Answer) -> Finding:
    """Function Compute echoes the Origin itself; a second value makes every browser refuse the answer."""
    values = [part for value in answer.headers.get("access-control-allow-origin", ()) for part in value.split(",")]
    if len(values) > 1:
        return fault(
            "cors",
            f"An answer carries {len(values)} Access-Control-Allow-Origin values, which browsers refuse: set "
            'cors_allow_origin = "platform" in links.toml.',
        )
    return ok("cors", "No answer carries two Access-Control-Allow-Origin values.")


def canaries(deployment: Deployment, url: str, environ: Mapping[str, str]) -> Iterator[Finding]:
    """A link through each mount: signed, fetched, refused when forged, and the same for HEAD."""
    for mount in deployment.policy.mounts:
        key = environ.get("LINK_API_KEY")
        if mount.access != "anonymous" and not key:
            yield unknown("canary", f"{mount.path}: set LINK_API_KEY to an API key that covers it, and ask again.")
            continue
        headers = {"Authorization": f"Bearer {key}"} if mount.access != "anonymous" else {}
        if "GET" in mount.methods:
            yield from _get(deployment, mount, url, headers)
        if "HEAD" in mount.methods:
            yield _head(deployment, mount, url, headers)


def _get(deployment: Deployment, mount: Mount, url: str, headers: Mapping[str, str]) -> Iterator[Finding]:
    address = f"{url}{quote(mount.path)}{CANARY}?format=json"
    answer = deployment.ask("GET", address, headers)
    link = _link(answer)
    if link is None:
        yield _no_link(mount, answer)
        return
    fetched = deployment.ask("GET", link)
    yield _fetched(deployment, mount, fetched)
    if fetched.status in (200, 404):
        forged = deployment.ask("GET", link[:-1] + ("0" if link[-1] != "0" else "1"))
        if forged.code == "SignatureDoesNotMatch":
            yield ok("forgery", f"{mount.path}: a forged link is refused.")
        else:
            yield fault("forgery", f"{mount.path}: a forged link is answered {forged.status}: make the bucket private.")


def _link(answer: Answer) -> str | None:
    try:
        found = json.loads(answer.body)["url"] if answer.status == 200 else None
    except (ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def _no_link(mount: Mount, answer: Answer) -> Finding:
    if answer.code == "no_credentials":
        return fault("role", f"{mount.path}: the function has no credentials: set role in s.yaml, and let it trust fc.")
    if answer.code in ("unauthorized", "keys_unavailable"):
        return fault(
            "canary", f"{mount.path}: {answer.status} {answer.code}: look at the keys document and LINK_API_KEY."
        )
    if answer.status == 404 and mount.check:
        return unknown("canary", f"{mount.path}: it looks before it links: put an object {mount.target}{CANARY}.")
    return fault("canary", f"{mount.path}: no link was given ({answer.status} {answer.code}): look at the log.")


def _fetched(deployment: Deployment, mount: Mount, answer: Answer) -> Finding:
    host = deployment.endpoint_of(mount).host(mount.target.bucket)
    if answer.status in (200, 404):
        there = "" if answer.status == 200 else f" (there is no {CANARY}, which OSS tells only to who may ask)"
        return ok("canary", f"{mount.path}: a link was signed and {host} took it{there}.")
    if answer.code == "PublicEndpointForbidden":
        return public_endpoint_forbidden(mount.path, host)
    if answer.code == "AccessDenied":
        return fault("canary", f"{mount.path}: the function's role may not read {mount.target}: run make policies.")
    if answer.status == 0:
        return fault(
            "canary", f"{mount.path}: {host} cannot be reached ({answer.code}): look at endpoint in links.toml."
        )
    return fault(
        "canary", f"{mount.path}: {host} refused the link ({answer.status} {answer.code}): see docs/explain.md."
    )


def _head(deployment: Deployment, mount: Mount, url: str, headers: Mapping[str, str]) -> Finding:
    answer = deployment.ask("HEAD", f"{url}{quote(mount.path)}{CANARY}?format=redirect", headers)
    if answer.status == 302:
        fetched = deployment.ask("HEAD", answer.header("location"))
        if fetched.status in (200, 404):
            return ok("head", f"{mount.path}: HEAD works as GET does.")
        return fault("head", f"{mount.path}: OSS answers a HEAD link {fetched.status}: look at methods in links.toml.")
    if answer.status == 403:
        return fault(
            "head", f"{mount.path}: HEAD never reaches the function: add it to the trigger's methods in s.yaml."
        )
    if answer.status == 404 and mount.check:
        return unknown("head", f"{mount.path}: it looks before it links: put an object {mount.target}{CANARY}.")
    return fault("head", f"{mount.path}: HEAD is answered {answer.status} {answer.code}: look at the log.")


def notices(deployment: Deployment, config: Path, environment: str | None) -> Iterator[Finding]:
    """That the function of events answers: it is called with no link to make."""
    if deployment.events is None:
        return
    resource, props = deployment.events
    with tempfile.TemporaryDirectory() as folder:
        event = Path(folder, "event.json")
        event.write_text('{"links": []}', encoding="utf-8")
        if deployment.policy.oss_endpoint is None:
            command = [
                str(serverless_devs()),
                resource,
                "invoke",
                "--event-file",
                str(event),
                "--template",
                str(config),
            ]
            command += ["--env", environment] if environment else []
        else:
            command = [sys.executable, "-m", "local", "invoke", str(props["functionName"])]
            command += ["--event", str(event), "--config", str(config)]
        done = subprocess.run(
            command,
            cwd=deployment.root if deployment.policy.oss_endpoint is None else PROJECT,
            env={**os.environ, "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
        )
    told = done.stdout + done.stderr
    if done.returncode == 0 and "errorMessage" not in told and re.search(r"""\blinks["']?\s*:""", told):
        yield ok("notices", f"{resource} answers an invocation.")
    else:
        yield fault(
            "notices", f"{resource} does not answer an invocation: run s {resource} invoke, and look at its log."
        )
