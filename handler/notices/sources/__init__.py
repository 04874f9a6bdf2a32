"""Where events come from: each source recognises its own shape and turns it into items."""

from . import messages, oss
from .items import Source

# The first source that recognises an event reads it.
SOURCES = (
    Source("oss", oss.is_trigger, oss.trigger),
    Source("eventbridge", oss.is_event_of_bus, oss.event_of_bus),
    Source("mns-queue", messages.is_mns_queue, messages.mns_queue),
    Source("mns-topic", messages.is_mns_topic, messages.mns_topic),
    Source("timer", messages.is_timer, messages.timer),
    Source("invocation", messages.is_direct, messages.direct),
)
