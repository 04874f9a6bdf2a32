"""Shares: addresses of this service with a random secret, each with a record in the state prefix."""

MAX_USES = 20
DEFAULT_EXPIRES = 7 * 86_400  # seconds
NOTICES = "notice"  # the owner of shares in notices
