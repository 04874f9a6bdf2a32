"""The times and numbers of sending, and why they fit together. Times are in seconds."""

from ..core.context import TIMEOUT

# The function: `RESERVE` of its time is left for marks, the pace of a sink and the response.
RESERVE = 5.0

# One try: look-up, connection, TLS, request and response.
TRY = 15.0
CONNECT_TIMEOUT = 5.0  # of it for each address, TLS included
MARK_PAUSES = (0.5, 1.0)  # between the tries to mark what was sent: an outage may be short

# The lease of a sink: a slot, and what must be left of it before a try. A killed holder blocks the sink for both.
SLOT = 30
NEED = TRY + 2.0

FIRST_MESSAGE = 25  # notices; twice as many after each success

# Links: made before their messages are sent, at most; of what its mount gave none to, until it gives one; and of what
# had none for its own object.
LINKS = 500
WITHOUT_LINK = 3
WITHOUT_OBJECT = 50

# Failures: of notices alone, without a success, after which the sink is down; refusals of a notice, and its age, after
# which another one makes it dead; and how long it waits by itself after each.
MAX_ALONE = 5
REFUSALS = 3
REFUSED_FOR = 3600
STEPS = (60, 120, 240, 480, 900)  # the last for all others
PAUSES = (30, 60, 120, 240, 480)
MAX_RETRY_AFTER = 3600  # of a sink: by failures in a row, and what it may ask for

assert NEED < SLOT  # a try fits into a slot, with what is kept before its end
assert SLOT + NEED <= 47  # what docs/events.md says of a holder that was killed
assert TRY + RESERVE < TIMEOUT / 2  # half of the time is for links, and a try follows
assert CONNECT_TIMEOUT * 2 < TRY  # a second address can be tried, and answer
assert sum(MARK_PAUSES) < NEED - TRY
assert sum(STEPS[:REFUSALS]) < REFUSED_FOR  # so many refusals fit into the time
assert PAUSES[-1] < MAX_RETRY_AFTER
