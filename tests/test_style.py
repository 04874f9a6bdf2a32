"""One statement a line: what packs several values or decisions into it stays rare, or out."""

import ast
from collections import Counter
from pathlib import Path

from tests import git

FOLDERS = ("signer", "handler", "local", "deploy", "bench", "live", "tools")
LIMITS = {"two names": 40}  # where they are one thing, as `low, high = 0, 1`


def packs(node: ast.AST, records: set[str]) -> str | None:
    """What a node packs. A call of a record with five values or more names them."""
    match node:
        case ast.Starred(value=ast.Tuple() | ast.List(), ctx=ast.Load()):
            return "splat"
        case ast.IfExp() if sum(isinstance(each, ast.IfExp) for each in ast.walk(node)) > 1:
            return "nested condition"
        case ast.keyword(arg=None, value=ast.IfExp()):
            return "conditional splat"
        case ast.Dict(keys=keys, values=values) if None in keys:
            pairs = zip(keys, values, strict=True)
            splats = [value for key, value in pairs if key is None and isinstance(value, ast.IfExp)]
            return "conditional splat" if splats else None
        case ast.Assign(
            targets=[ast.Tuple(elts=names) | ast.List(elts=names)], value=ast.Tuple() | ast.List()
        ):
            return "two names" if len(names) == 2 else "three names"
        case ast.NamedExpr(value=ast.Name() | ast.Constant() | ast.Attribute() | ast.BoolOp()):
            return "walrus that saves no call"
        case ast.Call(
            func=ast.Name(id=name) | ast.Attribute(attr=name),
            args=[_, *_] as args,
            keywords=keywords,
        ):
            return "no names" if name in records and len(args) + len(keywords) > 4 else None
    return None


def test_no_line_packs_more_than_one_thing() -> None:
    files = git.files(*(f"{folder}/*.py" for folder in FOLDERS))
    nodes = [
        node for file in files for node in ast.walk(ast.parse(Path(git.ROOT, file).read_bytes()))
    ]
    classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
    records = {
        each.name
        for each in classes
        if ast.unparse(each).startswith(("@", f"class {each.name}(NamedTuple"))
    }
    counts = Counter(what for node in nodes if (what := packs(node, records)))
    sources = (Path(git.ROOT, file).read_bytes() for file in git.files("tests/*.py"))
    tests = (ast.parse(source) for source in sources if b"*(" in source or b"*[" in source)
    packed = [packs(node, set()) for tree in tests for node in ast.walk(tree)]
    counts["splat"] += packed.count("splat")
    assert {what: count for what, count in counts.items() if count > LIMITS.get(what, 0)} == {}
