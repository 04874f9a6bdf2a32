"""Whatever others send, only documented errors come out: each input of the corpus, and new ones that come from them.

An input that failed goes into the corpus of its target, as a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings

from handler.core.keys import parse
from tests.fuzz.laws import Run
from tests.fuzz.mutations import mutated
from tests.fuzz.targets import answers, documents, events, links, requests
from tests.handler.client import invoke

CORPUS = Path(__file__).parent / "corpus"
TARGETS: dict[str, Callable[[], AbstractContextManager[Run]]] = {
    "addresses": requests.addresses,
    "http-events": requests.http_events,
    "share-records": requests.share_records,
    "trigger-events": events.trigger_events,
    "keys-documents": documents.keys_documents,
    "links-toml": documents.links_toml,
    "sink-answers": answers.sink_answers,
    "oss-answers": answers.oss_answers,
    "explanations": links.explanations,
    "command-lines": links.command_lines,
}
# Inputs of other tests: files of this repository, and what they make.
MORE: dict[str, Callable[[], Iterable[bytes]]] = {
    "trigger-events": events.trigger_event_seeds,
    "links-toml": documents.links_toml_seeds,
    "explanations": links.explanation_seeds,
}
# A call that takes longer than the deadline is a fault.
SETTINGS = settings(deadline=timedelta(seconds=10), suppress_health_check=list(HealthCheck))


def corpus(name: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((CORPUS / name).iterdir())}


def fuzz(name: str, inputs: Sequence[bytes], times: int) -> None:
    """Calls a target with these inputs, and then with new ones that come from them and from those elsewhere."""
    with TARGETS[name]() as run:

        @settings(SETTINGS, max_examples=times)
        @given(data=mutated([*inputs, *MORE.get(name, tuple)()]))
        def check(data: bytes) -> None:
            run(data)

        for data in inputs:
            check = example(data=data)(check)
        check()


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("times", [15, pytest.param(8000, marks=pytest.mark.long)])
def test_only_documented_errors_come_out(name: str, times: int) -> None:
    fuzz(name, [*corpus(name).values()], times)


def test_every_corpus_has_a_target_and_is_small() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    for name in TARGETS:
        assert 0 < sum(map(len, corpus(name).values())) <= 32_000


def test_valid_inputs_of_the_corpus_are_still_valid() -> None:
    """Others that come from them would be refused early."""
    requested = {
        name: data for name, data in corpus("http-events").items() if name[:4].endswith("-")
    }
    with requests.service() as (config, oss):
        for name, data in requested.items():
            oss.forget()
            assert invoke(data, config=config).status == int(name[:3]), name
    for name, data in corpus("keys-documents").items():
        assert not name.startswith("valid-") or parse(data)


def test_an_input_that_breaks_a_law_of_its_target_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handler.core.links.parse_duration", lambda string: -1)
    with pytest.raises(AssertionError) as raised:
        fuzz("addresses", [b"/exampledir/a?expires=15m"], 1)
    assert any("?expires=15m'" in note for note in getattr(raised.value, "__notes__", ()))
