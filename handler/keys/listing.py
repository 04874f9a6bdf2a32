"""What `python -m handler.keys show` prints of a keys document: everything but its secrets."""

from __future__ import annotations

from signer.times import format_duration, rfc3339

from . import Keys


def lines_of(keys: Keys, now: float) -> list[str]:
    """One line for each entry; `now` (Unix seconds) is when a key expires or has expired."""
    lines = ["Share keys, oldest first (the last one signs):"]
    lines += [f"  {key.id}" for key in keys.share] or ["  none"]
    lines.append("API keys:")
    for key in keys.api:
        expiry = "never expires"
        if key.expires_at is not None:
            expiry = f"{'expired' if key.expires_at <= now else 'expires'} {rfc3339(key.expires_at)}"
        lines.append(f"  {key.id}: {' '.join(key.methods)} on {' '.join(key.paths)}; {expiry}{_shares(key.max_share)}")
    lines += [] if keys.api else ["  none"]
    if keys.jwt:
        lines.append("JWT issuers:")
    for issuer in keys.jwt:
        methods = " ".join(issuer.methods) if issuer.methods is not None else "the methods of the token"
        paths = " ".join(issuer.paths) if issuer.paths is not None else "the paths of the token"
        scope = f"{methods} on {paths}{_shares(issuer.max_share)}"
        lines.append(f"  {issuer.iss}: {issuer.alg}, audience {issuer.aud}; {scope}")
    if keys.sinks:
        lines.append("Sinks:")
    lines += [f"  {name}: {sink['kind']}" for name, sink in keys.sinks.items()]
    return lines


def _shares(max_share: int | None) -> str:
    return "" if max_share is None else f"; shares of at most {format_duration(max_share)}"
