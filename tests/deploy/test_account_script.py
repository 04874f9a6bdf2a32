"""The script of `deploy.policies --commands` creates what its documents say, and changes nothing of others."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from deploy import account_script, alarms
from deploy.command import output_of
from tests.deploy.account import Account, State
from tests.deploy.project_copy import ROOT
from tests.deploy.test_policies import (
    ASSUME_ROLE,
    FUNCTIONS,
    LINKS,
    OPS,
    Document,
    configured,
    policies_for,
)

pytestmark = pytest.mark.ci

OTHER = "<Rule><ID>old</ID><Prefix>a/</Prefix><Status>Enabled</Status><Expiration><Days>9</Days></Expiration></Rule>"
ABORT = "<AbortMultipartUpload><Days>7</Days></AbortMultipartUpload>"
OLD_UPLOADS = (
    f"<Rule><ID>links-uploads-old</ID><Prefix>old/</Prefix><Status>Enabled</Status>{ABORT}</Rule>"
)
LOGS = [{"project": "my-logs", "logstore": "links-http-logs", "region": "cn-hangzhou", "days": 190}]


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account(tmp_path)


@pytest.fixture
def documents(tmp_path: Path) -> Document:
    return documents_in(tmp_path)


def documents_in(folder: Path) -> Document:
    return {**policies_for(folder, LINKS + OPS), "logs": LOGS}


@pytest.fixture(scope="module")
def created(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[subprocess.CompletedProcess[str], State]:
    """The first run in an empty account."""
    account = Account(tmp_path_factory.mktemp("created"))
    return run(account, documents_in(account.folder)), account.state


@pytest.fixture
def rules_alone(documents: Document) -> Document:
    """Without the roles, queues and logs, which take a second to create."""
    return {**documents, "roles": {}, "queues": [], "logs": []}


def run(
    account: Account, documents: Document, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return run_script(account, account_script.script(documents), *arguments, **environment)


def remove(
    account: Account, documents: Document, *kept: Document
) -> subprocess.CompletedProcess[str]:
    return run_script(account, account_script.removal(documents, kept))


def run_script(
    account: Account, script: str, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return output_of(
        ["sh", "-c", script, "policies.sh", *arguments],
        60,
        env={"PATH": account.path, "PYTHON": sys.executable, "DEPLOYER": "ops", **environment},
    )


def answer_first(account: Account, case: str) -> None:
    """Lets the CLI answer the commands of a case of the shell itself."""
    command = account.folder / "aliyun"
    real = command.read_text(encoding="utf-8")
    command.write_text(real.replace("exec ", f'case "$*" in {case} esac\nexec '), encoding="utf-8")


def with_rules(account: Account, bucket: str, rules: str) -> None:
    state = account.state
    state["lifecycle"][bucket] = f"<LifecycleConfiguration>{rules}</LifecycleConfiguration>"
    account.write(state)


def without_versions(state: State, *, but: str) -> dict[str, Any]:
    policies = {name: versions[-1] for name, versions in state["policies"].items() if name != but}
    return {**state, "policies": policies}


def test_the_script_creates_everything_that_the_documents_name(
    created: tuple[subprocess.CompletedProcess[str], State], documents: Document
) -> None:
    done, state = created
    assert (done.returncode, done.stderr) == (0, "")
    assert {name: json.loads(trust) for name, trust in state["roles"].items()} == {
        name: role["trust"] for name, role in documents["roles"].items()
    }
    assert {name: versions[-1] for name, versions in state["policies"].items()} == {
        **{name: role["policy"] for name, role in documents["roles"].items()},
        "links-deployer": documents["deployer"],
        "links-operator": documents["operator"],
    }
    assert set(state["attached"]) == {
        *(f"Role {name} {name}" for name in documents["roles"]),
        "User ops links-deployer",
    }
    assert list(state["queues"]) == ["cn-hangzhou links-events-dev-failures"]
    assert list(state["projects"]) == ["my-logs"]
    assert list(state["indexes"]) == list(state["logstores"]) == ["my-logs links-http-logs"]
    assert {bucket: rules.count("<Rule>") for bucket, rules in state["lifecycle"].items()} == {
        "examplebucket": 8,
        "other-bucket": 1,
    }
    last = done.stdout.splitlines()[-2:]
    assert last == ["lifecycle examplebucket", "lifecycle other-bucket"]


def test_the_script_can_be_run_again_and_changes_what_changed(
    created: tuple[subprocess.CompletedProcess[str], State], account: Account, documents: Document
) -> None:
    _, first = created
    # RAM keeps five versions of a policy. Those that are as they should be get no new one.
    account.write(
        {
            **first,
            "policies": {name: [{}, *versions] * 2 for name, versions in first["policies"].items()},
        }
    )
    before = {name: len(versions) for name, versions in account.state["policies"].items()}
    old = documents["roles"]["links-http"]["policy"]["Statement"].pop(0)
    done = run(account, documents)
    assert (done.returncode, done.stderr) == (0, "")
    changed = account.state["policies"]["links-http"]
    assert (len(changed), changed[-1]) == (5, documents["roles"]["links-http"]["policy"])
    assert without_versions(account.state, but="links-http") == without_versions(
        first, but="links-http"
    )
    assert {name: len(versions) for name, versions in account.state["policies"].items()} == {
        **before,
        "links-http": 5,
    }
    (replaced,) = re.findall(
        "policy    (.*) is replaced. It was (.*)\npolicy    links-http\n", done.stdout
    )
    assert (replaced[0], json.loads(replaced[1])["Statement"][0]) == ("links-http", old)


def test_a_trust_that_is_replaced_is_printed_first(account: Account, documents: Document) -> None:
    trust = {
        "Version": "1",
        "Statement": [{"Principal": {"Service": ["ecs.aliyuncs.com"]}, "Condition": "\n\u202e"}],
    }
    state = account.state
    state["roles"]["links-http"] = json.dumps(trust, indent=1)
    state["longest_sessions"]["links-http"] = 3600
    account.write(state)
    answer_first(account, '*UpdateRole*links-http*) echo "stopped" >&2; exit 1;;')
    done = run(account, documents)
    assert (done.returncode, done.stderr) == (1, "stopped\n")
    assert done.stdout == f"trust     links-http is replaced. It was {json.dumps(trust)}\n"


def test_a_logstore_and_its_index_keep_what_operators_set(
    account: Account, rules_alone: Document
) -> None:
    logs = {**rules_alone, "logs": LOGS, "lifecycle": {}}
    theirs = {"type": "text", "doc_value": True, "alias": "path", "token": ["/"]}
    index = {
        "ttl": 90,
        "max_text_len": 2048,
        "line": {"token": [","]},
        "keys": {"path": theirs, "message": theirs},
    }
    state = account.state
    state["projects"]["my-logs"] = {}
    state["logstores"]["my-logs links-http-logs"] = {
        "logstoreName": "links-http-logs",
        "ttl": 90,
        "hot_ttl": 30,
    }
    state["indexes"]["my-logs links-http-logs"] = index
    account.write(state)
    done = run(account, logs)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\nlogstore  links-http-logs: UpdateLogStore for all lines: ttl 190\n" in done.stdout
    assert (
        "\nlogstore  links-http-logs: UpdateIndex for new lines: max_text_len 16384, message, err"
        in done.stdout
    )
    changed = account.state
    (store,) = changed["logstores"].values()
    assert store == {"logstoreName": "links-http-logs", "ttl": 190, "hot_ttl": 30}
    (merged,) = changed["indexes"].values()
    assert (merged["ttl"], merged["line"], merged["max_text_len"]) == (90, index["line"], 16384)
    ours = account_script.INDEX["keys"]
    assert merged["keys"]["path"] == theirs
    assert merged["keys"]["message"] == {**theirs, **ours["message"]}
    assert {field["type"] for field in merged["keys"].values()} == {
        "text",
        "long",
        "double",
        "json",
    }
    assert set(merged["keys"]) == {*ours, "path"}
    again = run(account, {**logs, "logs": [{**LOGS[0], "days": 30}]})
    assert again.stdout.splitlines()[-2:] == ["project   my-logs", "logstore  links-http-logs"]
    assert (
        again.stderr
        == "ttl stays 190 days: a shorter one deletes lines, so set it in the console.\n"
    )
    assert account.state == changed


def test_the_role_of_sessions_is_made_after_those_it_trusts(
    account: Account, tmp_path: Path
) -> None:
    for duration, longest in (("12h", 43_200), ("15m", 3600)):
        changed = policies_for(tmp_path, f'{LINKS}{ASSUME_ROLE}duration = "{duration}"')
        changed |= {"queues": [], "lifecycle": {}}
        done = run(account, changed)
        assert (done.returncode, done.stderr) == (0, "")
        assert account.state["longest_sessions"] == {
            **dict.fromkeys(("links-http", "links-events", "oss-calls-links"), 3600),
            "links-signer": longest,
        }
        assert (
            json.loads(account.state["roles"]["links-signer"])
            == changed["roles"]["links-signer"]["trust"]
        )
        assert "Role links-signer links-signer" in account.state["attached"]


def test_without_a_deployer_nothing_is_created(account: Account, documents: Document) -> None:
    done = run(account, documents, DEPLOYER="")
    assert done.returncode != 0
    assert "DEPLOYER: name the RAM user that deploys" in done.stderr
    assert account.calls == []


def test_an_error_ends_the_script_and_is_shown(account: Account, documents: Document) -> None:
    answer_first(account, '*AttachPolicyToUser*) echo "ErrorCode: NoPermission" >&2; exit 1;;')
    done = run(account, documents)
    assert done.returncode == 1
    assert done.stderr.strip() == "ErrorCode: NoPermission"
    assert account.state["queues"] == {}


def test_other_lifecycle_rules_end_the_script_which_prints_both(
    account: Account, rules_alone: Document
) -> None:
    with_rules(account, "examplebucket", OTHER + OLD_UPLOADS)
    before = account.state["lifecycle"]["examplebucket"]
    done = run(account, rules_alone)
    assert done.returncode == 1
    assert account.state["lifecycle"]["examplebucket"] == before
    lines = done.stderr.splitlines()
    assert lines[0].startswith(
        "Bucket examplebucket has other lifecycle rules than those of this project"
    )
    needed = [account_script.rule_xml(rule) for rule in rules_alone["lifecycle"]["examplebucket"]]
    assert lines[1:-3] == [OTHER, OLD_UPLOADS, "It needs:", *needed]
    assert "aliyun oss lifecycle --method put oss://examplebucket FILE" in done.stderr


def test_rules_of_others_stay_and_those_of_removed_mounts_go(
    account: Account, rules_alone: Document
) -> None:
    """Somebody whom the script asked for it has added ours to others."""
    needed = "".join(
        account_script.rule_xml(rule) for rule in rules_alone["lifecycle"]["examplebucket"]
    )
    for rules, status, kept in (
        (OTHER + needed, 0, OTHER + needed),
        (OTHER + needed + OLD_UPLOADS, 1, OLD_UPLOADS),
        (OLD_UPLOADS, 0, needed),
    ):
        with_rules(account, "examplebucket", rules)
        assert run(account, rules_alone).returncode == status
        assert kept in account.state["lifecycle"]["examplebucket"]
    assert OLD_UPLOADS not in account.state["lifecycle"]["examplebucket"]


@pytest.mark.parametrize(
    "rule",
    [
        "<Rule><ID>links-uploads-legal-hold</ID><Prefix>contracts/</Prefix><Status>Enabled</Status><Transition><Days>30"
        f"</Days><StorageClass>IA</StorageClass></Transition>{ABORT}</Rule>",
        f"<Rule><ID>links-shares</ID><Prefix>a/</Prefix><Status>Enabled</Status>{ABORT}</Rule>",
        # Of an application that is called links-files.
        "<Rule><ID>links-files-shares</ID><Prefix>a/</Prefix><Status>Enabled</Status><Expiration><Days>61</Days>"
        "</Expiration></Rule>",
        "<Rule><ID>photos-state</ID><Prefix>.photos/</Prefix></Rule>",
        "<Rule><ID/><Prefix>a/</Prefix></Rule>",
    ],
)
def test_rules_of_others_or_without_a_name_stay(
    rule: str, account: Account, rules_alone: Document
) -> None:
    with_rules(account, "examplebucket", rule)
    assert run(account, rules_alone).returncode == 1
    assert rule in account.state["lifecycle"]["examplebucket"]


@pytest.mark.parametrize("page", ["deploy.md", "deploy.zh-CN.md"])
def test_the_page_lists_what_whoever_runs_the_script_may_do(page: str) -> None:
    """Every operation that the script names, and of OSS those of its commands."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    (policy,) = map(json.loads, re.findall(r"(?s)```json\n(\{\n  \"Version\".*?)```", text))
    (statement,) = policy["Statement"]
    allowed = {action.partition(":")[2] for action in statement["Action"]}
    scripts = "".join(
        (ROOT / "deploy/scripts" / name).read_text("utf-8") for name in ("common.sh", "create.sh")
    )
    called = {*re.findall(r"\b(?:Attach|Create|Get|Update)[A-Z]\w+", scripts), "AttachPolicyToUser"}
    verbs = re.findall(r"oss lifecycle --method (\w+)", scripts)
    called |= {f"{verb.capitalize()}BucketLifecycle" for verb in verbs}
    called |= {"ListObjects"} if '"oss", "ls"' in scripts else set()
    assert allowed == called


# --- files that end with their shares ------------------------------------------------------------------------------

REPORTS = """<Rule><ID>links-{}</ID><Prefix>reports/</Prefix><Status>Enabled</Status>{}</Rule>"""
ENDING = 'max_share = "90d"\ndelete_after = "{}d"\nmethods = ["GET", "PUT"]\nmax_size = "1MB"'


def expiration(days: int) -> str:
    return f"<Expiration><Days>{days}</Days></Expiration>"


def ending(folder: Path, days: int = 181) -> Document:
    """The rules alone, of files in reports/ that end."""
    links = LINKS.replace('max_share = "90d"', ENDING.format(days))
    return {**policies_for(folder, links), "roles": {}, "queues": [], "logs": []}


def with_files(account: Account, *days: float) -> None:
    """Files that were stored so many days ago: those of every second one in another time zone."""
    names = {}
    for number, age in enumerate(days):
        zone = timezone(timedelta(hours=8 * (number % 2)), ("UTC", "CST")[number % 2])
        stored = datetime.fromtimestamp(time.time() - age * 86_400, zone)
        names[f"oss://examplebucket/reports/{number:05}"] = stored.strftime(
            "%Y-%m-%d %H:%M:%S %z %Z"
        )
    account.write({**account.state, "objects": names})


def reports_rules(account: Account) -> list[str]:
    rules: str = account.state["lifecycle"]["examplebucket"]
    return [rule for rule in re.findall("<Rule>.*?</Rule>", rules) if "<Prefix>reports/" in rule]


def answered(account: Account, documents: Document, answer: str) -> tuple[int, str]:
    """The status, and what it prints as errors, where somebody at a terminal types an answer."""
    screen, terminal = pty.openpty()
    try:
        os.write(screen, f"{answer}\n".encode())
        done = subprocess.run(
            ["sh", "-c", account_script.script(documents), "policies.sh"],
            stdin=terminal,
            capture_output=True,
            text=True,
            timeout=60,
            env={"PATH": account.path, "PYTHON": sys.executable, "DEPLOYER": "ops"},
        )
    finally:
        os.close(screen)
        os.close(terminal)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("ages", "count"), [([], "0"), ([182, 180.9, 200, 1], "2"), ([181.1], "1")], ids=str
)
def test_files_end_with_yes_after_their_number_was_printed(
    ages: list[float], count: str, account: Account, tmp_path: Path
) -> None:
    with_files(account, *ages)
    done = run(account, ending(tmp_path), "--yes")
    assert (done.returncode, done.stderr) == (
        0,
        "oss://examplebucket/reports/: OSS will delete all objects below this prefix that are older than 181 days. "
        f"Objects that are older now: {count}.\n",
    )
    assert reports_rules(account) == [REPORTS.format("files.reports", expiration(181) + ABORT)]


def test_without_a_terminal_and_yes_all_else_is_done_and_the_end_is_1(
    account: Account, tmp_path: Path
) -> None:
    with_files(account, 200)
    done = run(account, ending(tmp_path))
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert first.endswith("Objects that are older now: 1.")
    assert second == (
        "oss://examplebucket/reports/: this rule was not written. Run the script on a terminal, or with --yes."
    )
    assert reports_rules(account) == [REPORTS.format("files.reports", ABORT)]
    assert "links-shares" in account.state["lifecycle"]["examplebucket"]
    assert "in/" in account.state["lifecycle"]["other-bucket"]
    assert run(account, ending(tmp_path)).returncode == 1


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("YES", 0), ("n", 1), ("", 1)])
def test_on_a_terminal_it_asks(answer: str, status: int, account: Account, tmp_path: Path) -> None:
    done, printed = answered(account, ending(tmp_path), answer)
    assert (done, "Write this rule? [y/N]" in printed) == (status, True)
    assert (expiration(181) in reports_rules(account)[0]) is (status == 0)


@pytest.mark.parametrize(
    ("before", "after", "is_asked"),
    [(181, 181, False), (181, 200, False), (200, 181, True), (200, 200, False)],
)
def test_only_a_new_or_a_shorter_time_needs_an_answer(
    before: int, after: int, is_asked: bool, account: Account, tmp_path: Path
) -> None:
    assert run(account, ending(tmp_path, before), "--yes").returncode == 0
    done = run(account, ending(tmp_path, after))
    assert (done.returncode, "Objects that are older now" in done.stderr) == (is_asked, is_asked)
    kept = before if is_asked else after
    assert reports_rules(account) == [REPORTS.format("files.reports", expiration(kept) + ABORT)]


def test_rules_of_before_are_known_in_either_order_and_go_with_the_key(
    account: Account, rules_alone: Document, tmp_path: Path
) -> None:
    files = REPORTS.format("files.reports", ABORT + expiration(200))
    uploads = REPORTS.format("uploads-reports", ABORT)
    for rule in (files, uploads, REPORTS.format("files.reports", expiration(9))):
        with_rules(account, "examplebucket", rule)
        assert run(account, rules_alone).returncode == 0
        assert reports_rules(account) == []
    with_rules(account, "examplebucket", uploads)
    assert run(account, ending(tmp_path)).returncode == 1
    assert reports_rules(account) == [uploads]


def test_a_bucket_that_needs_no_rule_any_more_loses_the_one_that_deletes_files(
    account: Account, tmp_path: Path
) -> None:
    links = LINKS.replace('["PUT", "POST"]', '["GET"]').replace('max_size  = "10MB"', "")
    documents = {**policies_for(tmp_path, links), "roles": {}, "queues": [], "logs": []}
    rule = f"<Rule><ID>links-files.in</ID><Prefix>in/</Prefix><Status>Enabled</Status>{expiration(9)}</Rule>"
    with_rules(account, "other-bucket", rule)
    assert run(account, documents).returncode == 0
    assert "other-bucket" not in account.state["lifecycle"]
    # Where its rules cannot be read, nothing else is lost for it.
    answer_first(account, '*oss://other-bucket*) echo "ErrorCode=AccessDenied" >&2; exit 1;;')
    done = run(account, documents)
    assert (done.returncode, done.stderr.strip()) == (0, "ErrorCode=AccessDenied")


def test_a_bucket_with_rules_of_others_is_left_alone_without_a_question(
    account: Account, tmp_path: Path
) -> None:
    with_rules(account, "examplebucket", OTHER)
    done = run(account, ending(tmp_path), "--yes")
    assert (done.returncode, "Objects that are older" in done.stderr) == (1, False)
    assert reports_rules(account) == []
    assert REPORTS.format("files.reports", expiration(181) + ABORT) in done.stderr


def test_what_cannot_be_listed_or_is_too_much_to_count_is_said(
    account: Account, tmp_path: Path
) -> None:
    ages = [200] + [1] * 9_999
    with_files(account, *ages)
    exact = run(account, ending(tmp_path)).stderr
    assert "older now: 1.\n" in exact
    with_files(account, *ages, 200)
    more = run(account, ending(tmp_path)).stderr
    assert "older now: 1 of the first 10,000, of more than 10,000.\n" in more
    answer_first(account, '"oss ls "*) echo "ErrorCode=AccessDenied" >&2; exit 1;;')
    denied = run(account, ending(tmp_path)).stderr
    assert "older now: unknown, since they cannot be listed.\n" in denied


def test_another_argument_is_refused_before_anything_is_created(
    account: Account, documents: Document
) -> None:
    done = run(account, documents, "--force")
    assert (done.returncode, account.calls) == (2, [])
    assert done.stderr.startswith("usage: sh policies.sh [--yes]")


def test_a_queue_that_is_refused_with_a_success_ends_the_script(
    account: Account, documents: Document
) -> None:
    answer_first(
        account, '*CreateQueue*) echo \'{"Code": "AccessDenied", "Success": false}\'; exit 0;;'
    )
    done = run(account, documents)
    assert (done.returncode, "AccessDenied" in done.stderr) == (1, True)
    assert "queue" not in done.stdout


def test_lifecycle_rules_are_asked_for_in_the_region_of_the_bucket(
    account: Account, rules_alone: Document
) -> None:
    rules_alone["bucket_regions"]["other-bucket"] = "cn-beijing"
    run(account, rules_alone)
    regions = {
        call[4]: call[-1]
        for call in account.calls
        if call[:2] == ["oss", "lifecycle"] and call[3] == "get"
    }
    assert regions == {"oss://examplebucket": "cn-hangzhou", "oss://other-bucket": "cn-beijing"}


def test_lifecycle_rules_that_cannot_be_read_are_not_replaced(
    account: Account, rules_alone: Document
) -> None:
    answer_first(account, '*lifecycle*) echo "ErrorCode=AccessDenied" >&2; exit 1;;')
    done = run(account, rules_alone)
    assert (done.returncode, done.stderr.strip()) == (1, "ErrorCode=AccessDenied")


def test_what_the_script_created_is_removed_but_no_log_bucket_message_or_rule_of_others(
    created: tuple[subprocess.CompletedProcess[str], State], account: Account, documents: Document
) -> None:
    state = created[1] | {"users": {"ops": {}}, "buckets": {"examplebucket": {}}}
    state["attached"] = {**state["attached"], "User ci links-deployer": True}
    state["policies"] = {name: versions * 2 for name, versions in state["policies"].items()}
    account.write(state)
    rule = account_script.rule_xml(documents["lifecycle"]["other-bucket"][0])
    with_rules(account, "examplebucket", OTHER + rule)
    done = remove(account, documents)
    # A policy that somebody else has stays.
    assert (done.returncode, "DeleteConflict" in done.stderr) == (1, True)
    assert list(account.state["policies"]) == ["links-deployer", "links-operator"]
    account.write({**account.state, "attached": {}})
    done = remove(account, documents)
    assert (done.returncode, done.stderr) == (0, "")
    left = {kind: records for kind, records in account.state.items() if records}
    assert set(left) == {
        "longest_sessions",
        "users",
        "buckets",
        "projects",
        "logstores",
        "indexes",
        "lifecycle",
    }
    assert left["lifecycle"] == {
        "examplebucket": f"<LifecycleConfiguration>{OTHER}</LifecycleConfiguration>"
    }


def test_what_another_environment_needs_is_not_removed(documents: Document) -> None:
    other = {**documents, "roles": {"links-http": {}}, "lifecycle": {"other-bucket": []}}
    script = account_script.removal({**documents, "deployers": {"dev": {}}}, [other])
    assert "DEPLOYER" not in script
    removed = script.partition("\nonce")[2]
    assert re.findall(
        r"(?:RoleName|PolicyName|queue|lifecycle) (\S+)(?: --Casc| cn-|$)", removed, re.MULTILINE
    ) == [
        "links-events",
        "links-events",
        "oss-calls-links",
        "oss-calls-links",
        "examplebucket",
        "links-events",
        "oss-calls-links",
        "links-deployer-dev",
    ]


def test_queues_that_may_have_messages_are_kept(account: Account, rules_alone: Document) -> None:
    queues = {
        "gone": {"ActiveMessages": 0, "visible": 0},
        "full": {"ActiveMessages": 1, "visible": 0},
        "full-with-a-count-of-0": {"ActiveMessages": 0, "visible": 1},  # as SMQ announced
        "uncounted": {"ActiveMessages": 0, "visible": None},
        "in-use": {"ActiveMessages": 0, "InactiveMessages": 2, "visible": 0},
    }
    account.write(
        {
            **account.state,
            "queues": {f"cn-hangzhou {name}": counts for name, counts in queues.items()},
        }
    )
    named = [{"name": name, "region": "cn-hangzhou"} for name in (*queues, "never-made")]
    done = remove(account, {**rules_alone, "lifecycle": {}, "bucket_regions": {}, "queues": named})
    assert (done.returncode, done.stderr) == (0, "")
    assert re.findall("Queue (.*) is kept", done.stdout) == [*queues][1:]
    assert list(account.state["queues"]) == [f"cn-hangzhou {name}" for name in queues][1:]


def test_the_alarms_are_created_and_updated(account: Account, tmp_path: Path) -> None:
    log = {"project": "my-logs", "logstore": "links-logs"}
    functions = {name: {**props, "logConfig": log} for name, props in FUNCTIONS.items()}
    (tmp_path / "links.toml").write_text(LINKS + OPS, encoding="utf-8")
    # The rest takes a second.
    script = re.sub(
        "(?m)^alarm .*(percentile|failed|waiting|dead|outdated).*\n",
        "",
        alarms.script(configured(tmp_path, functions)),
    )
    account.write({**account.state, "projects": {"my-logs": {}}})
    for policy in ("", "o'ps"):
        done = run_script(account, script, **({"ACTION_POLICY": policy} if policy else {}))
        assert (done.returncode, done.stderr) == (0, "")
        created = account.state["alerts"]
        assert list(created) == [
            f"my-logs links-logs-{name}"
            for name in ("no-links", "server-errors", "guessed-shares", "ticks")
        ]
        for alert in created.values():
            assert alert["configuration"]["policyConfiguration"]["actionPolicyId"] == (
                policy or "sls.builtin"
            )
    # Whom an operator named, and the threshold that was set in the console, stay.
    ticks = created["my-logs links-logs-ticks"]
    (severity,) = ticks["configuration"]["severityConfigurations"]
    severity["evalCondition"]["condition"] = "ticks < 2"
    ticks["configuration"]["queryList"][0]["start"] = "-9m"
    own_policy = {**ticks["configuration"]["policyConfiguration"], "repeatInterval": "6h"}
    ticks["configuration"]["policyConfiguration"] = own_policy
    account.write({**account.state, "alerts": created})
    again = run_script(account, script)
    created = account.state["alerts"]
    kept = created["my-logs links-logs-ticks"]["configuration"]
    assert kept["policyConfiguration"] == own_policy
    assert kept["severityConfigurations"] == [severity]
    assert kept["queryList"][0]["start"] == "-5m"
    assert "~ alarm links-logs-ticks: queryList changed, was [{" in again.stdout
    assert again.stdout.count(" is as it should be\n") == 3
    configuration = created["my-logs links-logs-no-links"]["configuration"]
    (query,) = configuration["queryList"]
    assert (query["project"], query["store"], query["region"]) == (
        "my-logs",
        "links-logs",
        "cn-hangzhou",
    )
    assert query["query"] == " ".join(alarms.queries()["No links"].split())
    assert (query["start"], configuration["noDataFire"]) == ("-60m", True)
    assert configuration["severityConfigurations"][0]["evalCondition"]["condition"] == "links == 0"
    removal = alarms.removal(configured(tmp_path, functions))
    account.write({**account.state, "alerts": {**created, "my-logs own": {}}})
    for _ in range(2):  # also what is not there any more
        done = run_script(account, removal)
        assert (done.returncode, done.stderr) == (0, "")
        assert list(account.state["alerts"]) == ["my-logs own"]
