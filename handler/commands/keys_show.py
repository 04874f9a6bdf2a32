"""What `show` prints: the keys document without its secrets."""

from __future__ import annotations

from signer.times import format_duration, rfc3339

from ..core.keys import Keys


def lines_of(keys: Keys, now: float) -> list[str]:
    """All but the secrets, one line for each entry; `now` (Unix seconds) decides whether a key has expired."""
    lines = ["Share keys, oldest first (the last one signs):"]
    lines += [f"  {key.id}" for key in keys.share] or ["  none"]
    lines.append("API keys:")
    for key in keys.api:
        expiry = "never expires"
        if key.expires_at is not None:
            expiry = (
                f"{'expired' if key.expires_at <= now else 'expires'} {rfc3339(key.expires_at)}"
            )
        lines.append(
            f"  {key.id}: {' '.join(key.methods)} on {' '.join(key.paths)}; {expiry}{_shares(key.max_share)}"
        )
        if key.earlier is not None and key.earlier.expires_at > now:
            lines[-1] += (
                f"; the key before a rotation works until {rfc3339(key.earlier.expires_at)}"
            )
            lines[-1] += "; nobody may have the new one" if key.earlier.unseen else ""
    lines += [] if keys.api else ["  none"]
    if keys.jwt:
        lines.append("JWT issuers:")
    for issuer in keys.jwt:
        methods = (
            " ".join(issuer.methods) if issuer.methods is not None else "the methods of the token"
        )
        paths = " ".join(issuer.paths) if issuer.paths is not None else "the paths of the token"
        scope = f"{methods} on {paths}{_shares(issuer.max_share)}"
        lines.append(f"  {issuer.iss}: {issuer.alg}, audience {issuer.aud}; {scope}")
    if keys.sinks:
        lines.append("Sinks:")
    lines += [f"  {name}: {sink['kind']}" for name, sink in keys.sinks.items()]
    if keys.cdn or keys.cdn_faults:
        lines.append("CDNs:")
    for name, cdn in keys.cdn.items():
        lines.append(f"  {name}: links are valid for {cdn.valid_for} s after the time in them")
    return [
        *lines,
        *(
            f"  {name}: cannot be used ({fault.rstrip('.')})"
            for name, fault in keys.cdn_faults.items()
        ),
    ]


def _shares(max_share: int | None) -> str:
    return "" if max_share is None else f"; shares of at most {format_duration(max_share)}"
