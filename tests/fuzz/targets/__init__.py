"""What is fuzzed: each target is an entry point of the product, and what others may send to it."""

from __future__ import annotations

from tests.fuzz.fuzzer import Target
from tests.fuzz.targets import answers, documents, events, links, requests

TARGETS = {
    target.name: target
    for target in (
        Target("paths", requests.paths, requests.path_seeds),
        Target("expires", requests.expires, requests.expires_seeds),
        Target("queries", requests.queries, requests.query_seeds),
        Target("http-events", requests.http_events, requests.http_event_seeds),
        Target("trigger-events", events.trigger_events, events.trigger_event_seeds),
        Target("keys-documents", documents.keys_documents, documents.keys_document_seeds),
        Target("links-toml", documents.links_toml, documents.links_toml_seeds),
        Target("sink-answers", answers.sink_answers, answers.sink_answer_seeds),
        Target("oss-answers", answers.oss_answers, answers.oss_answer_seeds),
        Target("explanations", links.explanations, links.explanation_seeds),
        Target("command-lines", links.command_lines, links.command_line_seeds),
    )
}
