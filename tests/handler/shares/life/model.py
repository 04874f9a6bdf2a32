"""What docs/shares.md and docs/keys.md promise for a share, without the code that keeps the promise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

REUSE = 600  # seconds in which the same nonce is the same use
SEEN_WITHIN = 60  # seconds after which every instance knows a changed keys document
OK = "ok"


class Maker(NamedTuple):
    """Who makes shares: an API key, or with an `issuer` the tokens that its `secret` signs."""

    secret: str
    issuer: str = ""


class Use(NamedTuple):
    """A download that was counted; `at` in Unix seconds."""

    nonce: str
    at: float


class Origin(NamedTuple):
    """What one keys document makes a share with.

    `owner` is the entry of its maker: the kind, name, and hash or id. `signer` is the id of the share key.
    """

    owner: tuple[str, str, str]
    signer: str


@dataclass
class ModelShare:
    """A share that was made; `origins` are those of the keys documents that the service may have known then.

    `max_uses` is None without a limit, `expires_at` in Unix seconds.
    """

    url: str
    id: str
    origins: frozenset[Origin]
    expires_at: float
    page: bool
    max_uses: int | None
    has_record: bool
    is_revoked: bool = False
    is_lost: bool = False
    uses: list[Use] = field(default_factory=list)

    @property
    def left(self) -> int | None:
        return None if self.max_uses is None else self.max_uses - len(self.uses)

    def is_repeated(self, nonce: str | None, now: float) -> bool:
        """Whether a form with this nonce was counted within the last ten minutes."""
        return any(use.nonce == nonce and now - use.at <= REUSE for use in self.uses)

    def reasons(self, origin: Origin, keys: Mapping[str, Any], now: float) -> frozenset[str]:
        """Why it opens nothing under a keys document, if not all uses are used; it may be any of these codes."""
        reasons = set()
        if now >= self.expires_at:
            reasons.add("share_expired")
        if origin.owner not in owners(keys):
            reasons.add("share_owner_removed")
        if origin.signer not in {key["id"] for key in keys["share"]}:
            reasons.add("share_retired")
        if self.is_lost:
            reasons.add("share_record_missing")
        elif self.is_revoked:
            reasons.add("share_revoked")
        return frozenset(reasons)

    def outcomes(self, keys: Iterable[Mapping[str, Any]], now: float, *also: str) -> frozenset[str]:
        """`OK` or the codes of the possible answers, while the service may know any of these keys documents.

        `also` are codes of what else is in the way, whatever the keys are.
        """
        outcomes: set[str] = set()
        for document in keys:
            for origin in self.origins:
                outcomes |= self.reasons(origin, document, now).union(also) or {OK}
        return frozenset(outcomes)


def owners(keys: Mapping[str, Any]) -> set[tuple[str, str, str]]:
    """The entries of a keys document that may own shares."""
    api = {("api", entry["id"], entry["sha256"]) for entry in keys["api"]}
    return api | {("jwt", entry["iss"], entry["id"]) for entry in keys["jwt"]}


def entry_of(maker: Maker, keys: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The entry of a maker in a keys document, None once it was removed."""
    if maker.issuer:
        entries = (entry for entry in keys["jwt"] if (entry["iss"], entry["secret"]) == (maker.issuer, maker.secret))
    else:
        digest = sha256(maker.secret.encode()).hexdigest()
        entries = (entry for entry in keys["api"] if entry["sha256"] == digest)
    return next(entries, None)


def origin_of(maker: Maker, keys: Mapping[str, Any]) -> Origin | None:
    """What a keys document makes a share of a maker with, None once its entry was removed."""
    entry = entry_of(maker, keys)
    if entry is None:
        return None
    owner = ("jwt", entry["iss"], entry["id"]) if maker.issuer else ("api", entry["id"], entry["sha256"])
    return Origin(owner, keys["share"][-1]["id"])
