"""What the doctor asks the deployed service: it follows canary links as a visitor does. And at which domain it is."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from subprocess import TimeoutExpired
from urllib.parse import quote

from handler.core.config import Mount

from ..command import output_of
from ..s_preview import s_command
from . import cdn
from .deployment import CANARY, Deployment, ProbeResponse
from .findings import SCRIPT, Finding, fault, ok, unknown, warning
from .oss import unusable

ORIGIN = "https://another-site.example.com"
FORGED = "STS.EXAMPLE-of-the-doctor"
TIMEOUT = 120  # seconds
PROJECT = Path(__file__).parents[2]


def domain(deployment: Deployment) -> Iterator[Finding]:
    """Whether browsers show objects and pages or download them, by the files."""
    if deployment.web.function.domain:
        yield ok("domain", f"The function has the domain {deployment.web.function.domain.name}.")
    elif deployment.config.public_url:
        yield ok("domain", f"links.toml has public_url = {deployment.config.public_url}.")
    else:
        yield warning(
            "domain",
            "Neither public_url in links.toml nor customDomain in s.yaml or env.yaml is set, so the function answers "
            "at fcapp.run, where browsers download pages instead of showing them: give it a domain.",
        )


def _request(
    deployment: Deployment,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
) -> ProbeResponse:
    """The service's response, with the code of its own errors, which are JSON."""
    response = deployment.request(method, url, headers, body)
    code = _member(response, "code") if response.status >= 300 else None
    return replace(response, code=code) if isinstance(code, str) else response


def health(deployment: Deployment, url: str) -> Iterator[Finding]:
    """Whether the service answers, also to a browser on another site."""
    response = _request(deployment, "GET", f"{url}/-/health", {"Origin": ORIGIN})
    if response.status == 0:
        yield fault(
            "service", f"{url} cannot be reached ({response.code}): check the address, or deploy."
        )
        return
    if response.status not in (200, 404) or response.code:
        yield fault(
            "service",
            f"{url}/-/health answered {response.answer}: {deployment.log_of(deployment.web)}.",
        )
        return
    if _member(response, "status") != "ok":
        yield fault("service", f"{url} is another program, as /-/health shows: check the address.")
        return
    yield ok("service", f"{url} answers.")
    yield _allowed_origin(response)
    if response.headers.get("content-disposition", "").startswith("attachment"):
        yield warning(
            "domain",
            f"{url} makes browsers download its pages: use a custom domain for shares and pages.",
        )


def public_address(deployment: Deployment) -> Iterator[Finding]:
    """Whether the service answers at `public_url`, which shares, pages and notices name. On a laptop nothing does."""
    public_url = deployment.config.public_url
    if public_url is None or deployment.is_local:
        return
    response = _request(deployment, "GET", f"{public_url}/-/health", {})
    if _member(response, "status") == "ok":
        yield ok("domain", f"The service answers at public_url, {public_url}.")
    else:
        problem = f"the service does not answer there ({response.answer})"
        yield fault(
            "domain",
            f"Shares, pages and notices have addresses at public_url, {public_url}, and {problem}: correct public_url "
            "in links.toml, or customDomain.",
        )


def _allowed_origin(response: ProbeResponse) -> Finding:
    """Function Compute adds the Origin itself; with a second value browsers refuse the response."""
    count = len(response.headers.get("access-control-allow-origin", "").split(","))
    if count > 1:
        problem = (
            f"A response has {count} Access-Control-Allow-Origin values, and browsers refuse it"
        )
        return fault("cors", f'{problem}: set cors_allow_origin = "platform" in links.toml.')
    return ok("cors", "Responses have at most one Access-Control-Allow-Origin value.")


def control_path(deployment: Deployment, url: str) -> Iterator[Finding]:
    """Whether visitors can send events to the function as if they were Function Compute, which only it may do.

    In a custom runtime, the header tells an event from a request. The event of this probe asks for nothing.
    """
    headers = {"x-fc-control-path": "/invoke", "Content-Type": "application/json"}
    response = _request(deployment, "POST", f"{url}/invoke", headers, b'{"links": []}')
    if response.status == 200 or b"errorType" in response.body:
        other = "remove x-fc-control-path from requests at your CDN"
        advice = f"deploy s.yaml instead of deploy/custom-runtime/s.yaml, or {other}"
        yield fault("events", f"{url}/invoke took an event from a visitor: {advice}.")
    elif 400 <= response.status < 500:
        yield ok(
            "events",
            "Visitors cannot send events: the header x-fc-control-path has no effect in their requests.",
        )
    else:
        yield unknown("events", f"{url}/invoke answered {response.answer}: try again.")


def credentials_headers(deployment: Deployment, url: str) -> Iterator[Finding]:
    """Whether visitors can choose the credentials of their requests, which Function Compute passes in such headers."""
    mounts = deployment.config.mounts
    mount = next(
        (m for m in mounts if m.access == "anonymous" and "GET" in m.methods and not m.cdn), None
    )
    if mount is None:
        return
    headers = dict.fromkeys(
        ("x-fc-access-key-id", "x-fc-access-key-secret", "x-fc-security-token"), FORGED
    )
    response = deployment.request("GET", f"{url}{quote(mount.path)}{CANARY}?format=json", headers)
    if FORGED in (_link_in(response) or ""):
        problem = f"{url} signs with the credentials in a visitor's x-fc-access-key-* headers"
        advice = "remove these headers at your CDN"
        yield warning("headers", f"{problem}, so that visitor's links are invalid: {advice}.")
    elif response.status:
        yield ok("headers", "A visitor's x-fc-access-key-* headers sign no link.")


def canaries(deployment: Deployment, url: str, environ: Mapping[str, str]) -> Iterator[Finding]:
    """One link through each mount: signed, fetched, and refused when forged; then the same for HEAD."""
    for mount in deployment.config.mounts:
        key = environ.get("LINK_API_KEY")
        if mount.access != "anonymous" and not key:
            yield unknown(
                "canary",
                f"{mount.path}: set LINK_API_KEY to an API key that covers it, and try again.",
            )
            continue
        headers = {"Authorization": f"Bearer {key}"} if mount.access != "anonymous" else {}
        address = f"{url}{quote(mount.path)}{CANARY}?format="
        found = (
            [*_get(deployment, mount, f"{address}json", headers)] if "GET" in mount.methods else []
        )
        yield from found
        if found and not any("LINK_API_KEY" in finding.sentence for finding in found):
            yield _head(deployment, mount, f"{address}redirect", headers)


def _get(
    deployment: Deployment, mount: Mount, address: str, headers: Mapping[str, str]
) -> Iterator[Finding]:
    response = _request(deployment, "GET", address, headers)
    link = _link_in(response)
    if link is None:
        yield _no_link(deployment, mount, response)
        return
    if elsewhere := _elsewhere(mount, link):
        yield elsewhere
        return
    fetched = deployment.request("GET", link)
    if mount.cdn:
        yield cdn.judge(mount, fetched, "a service's link") or ok(
            "canary", f"{mount.path}: the CDN accepts a link."
        )
        return
    yield _fetched(mount, fetched)
    added = sorted(
        name
        for name in fetched.headers
        if name in ("via", "x-cache") or name.startswith("x-swift-")
    )
    if added:
        yield warning(
            "cdn",
            f"{mount.path}: a CDN or proxy answers for {fetched.host} (it adds {', '.join(added)}): links fail if it "
            "has private-bucket origin (400) or adds x-oss-* headers (403), HEAD may become GET, and copies outlive "
            "links: see docs/operations.md.",
        )
    if fetched.status in (200, 404):
        forged = deployment.request("GET", link[:-1] + ("0" if link[-1] != "0" else "1"))
        if forged.code == "SignatureDoesNotMatch":
            yield ok("forgery", f"{mount.path}: OSS refuses a forged link.")
        else:
            yield fault(
                "forgery",
                f"{mount.path}: {forged.status} for a forged link: make the bucket private.",
            )


def _link_in(response: ProbeResponse) -> str | None:
    link = _member(response, "url") if response.status == 200 else None
    return link if isinstance(link, str) else None


def _member(response: ProbeResponse, name: str) -> object:
    """A member of a response's JSON; None without one."""
    try:
        return json.loads(response.body)[name]
    except (ValueError, KeyError, TypeError):
        return None


def _elsewhere(mount: Mount, link: str) -> Finding | None:
    """A fault if the link is not for the bucket that the files name. What follows is about that host."""
    expected = mount.endpoint.url(mount.target.bucket, "")
    if link.startswith(expected):
        return None
    place = link.partition("://")[2].partition("?")[0]
    where = f"the link is for {place}, and not below {expected}, as in links.toml and s.yaml"
    return fault(
        "canary", f"{mount.path}: {where}: deploy, or check the address and the environment."
    )


def _no_link(deployment: Deployment, mount: Mount, response: ProbeResponse) -> Finding:
    if response.code == "no_credentials":
        advice = "set role in s.yaml to a role that trusts fc.aliyuncs.com"
        return fault("role", f"{mount.path}: the function has no credentials: {advice}.")
    if response.code in ("keys_unavailable", "cdn_key_missing"):
        return fault("canary", f"{mount.path}: {response.answer}: check the keys document.")
    if response.status == 404 and mount.check:
        return unknown(
            "canary",
            f"{mount.path}: check requires an object: create {mount.target}{CANARY} to test it.",
        )
    if response.status in (401, 404) and mount.access != "anonymous":
        advice = "set it to a valid key of this service that covers the mount"
        return fault(
            "canary", f"{mount.path}: LINK_API_KEY is not accepted ({response.answer}): {advice}."
        )
    return fault(
        "canary", f"{mount.path}: no link ({response.answer}): {deployment.log_of(deployment.web)}."
    )


def _fetched(mount: Mount, response: ProbeResponse) -> Finding:
    if response.status in (200, 404):
        missing = (
            ""
            if response.status == 200
            else f" ({CANARY} does not exist; OSS says so only for valid links)"
        )
        return ok(
            "canary", f"{mount.path}: a link was signed, and {response.host} accepted it{missing}."
        )
    if problem := unusable(response):
        return problem
    if response.code == "AccessDenied":
        return fault(
            "canary", f"{mount.path}: the function's role may not read {mount.target}: {SCRIPT}."
        )
    return fault(
        "canary",
        f"{mount.path}: {response.host} refused the link ({response.answer}): see docs/explain.md.",
    )


def _head(
    deployment: Deployment, mount: Mount, address: str, headers: Mapping[str, str]
) -> Finding:
    response = _request(deployment, "HEAD", address, headers)
    if response.status == 403:
        return fault(
            "head", f"{mount.path}: HEAD does not reach the function: add it to methods in s.yaml."
        )
    if response.status != 302:
        return _no_link(deployment, mount, response)._replace(subject="head")
    link = response.headers.get("location", "")
    if elsewhere := _elsewhere(mount, link):
        return elsewhere
    fetched = deployment.request("HEAD", link)
    if mount.cdn and (wrong := cdn.judge(mount, fetched, "a link for HEAD")):
        return wrong
    if mount.cdn or fetched.status in (200, 404):
        return ok("head", f"{mount.path}: HEAD works like GET.")
    wrong = fault(
        "head", f"{mount.path}: OSS answered {fetched.status} to HEAD: see docs/explain.md."
    )
    return unusable(fetched) or wrong


def notices(
    deployment: Deployment, config: Path, environment: str | None, access: str | None = None
) -> Iterator[Finding]:
    """Whether the event function answers an invocation that asks for no link. `access` is the key that s uses."""
    if deployment.events is None:
        return
    resource = deployment.events.function.resource
    log = deployment.log_of(deployment.events)
    with tempfile.TemporaryDirectory() as temporary:
        event = Path(temporary, "event.json")
        event.write_text('{"links": []}', encoding="utf-8")
        if deployment.is_local:
            command = [sys.executable, "-m", "local", "invoke", deployment.events.function.name]
            command += ["--event", str(event), "--config", str(config)]
        else:
            command = [
                str(s_command()),
                resource,
                "invoke",
                "--event-file",
                str(event),
                "--template",
                str(config),
            ]
            command += ["--env", environment] if environment else []
            command += ["-a", access] if access else []
        try:
            folder = PROJECT if deployment.is_local else deployment.root
            done = output_of(command, TIMEOUT, cwd=folder, env={**os.environ, "NO_COLOR": "1"})
        except TimeoutExpired:
            yield fault(
                "notices", f"{resource} did not answer an invocation within {TIMEOUT} s: {log}."
            )
            return
    output = done.stdout + done.stderr
    if (
        done.returncode == 0
        and "errorMessage" not in output
        and re.search(r"""\blinks["']?\s*:""", output)
    ):
        yield ok("notices", f"{resource} answers an invocation.")
    else:
        yield fault("notices", f"{resource} did not answer an invocation: {log}.")
