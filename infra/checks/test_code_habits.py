"""Habits that one careless line would end: where environment, commits, clocks and ids may stand."""

import ast
from collections.abc import Iterator
from pathlib import Path

HTTP_VERBS = frozenset({"get", "post", "put", "patch", "delete"})


def dotted(node: ast.expr) -> str:
    """`os.environ` for the expression os.environ; empty for anything that is not a plain name."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr):
            return f"{dotted(value)}.{attr}".lstrip(".")
        case _:
            return ""


def environment_reads(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and dotted(node) in {"os.environ", "os.getenv"}:
            yield node.lineno
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            names = {alias.name for alias in node.names}
            if names & {"environ", "getenv"}:
                yield node.lineno


def commits(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="commit")):
                yield node.lineno


def clocks_and_ids(tree: ast.AST) -> Iterator[int]:
    endings = ("datetime.now", "datetime.utcnow", "date.today", "time.time", "uuid4", "uuid7")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and dotted(node.func).endswith(endings):
            yield node.lineno


def unnamed_routes(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and dotted(decorator.func) in HTTP_VERBS:
                # A page that is kept out of the schema has no client whose method it could name.
                given = {keyword.arg for keyword in decorator.keywords}
                if not given & {"operation_id", "include_in_schema"}:
                    yield decorator.lineno


def found(check, root: Path, files: list[Path]) -> list[str]:
    return [
        f"{path}:{line}" for path in files for line in check(ast.parse((root / path).read_text()))
    ]


def sources(paths: tuple[Path, ...]) -> list[Path]:
    return [
        path
        for path in paths
        if path.suffix == ".py"
        and path.parts[0] in {"services", "libs", "contracts"}
        and "tests" not in path.parts
    ]


def test_only_the_edge_of_a_process_reads_the_environment(root, paths) -> None:
    """A setting read in the middle is missing from `describe`, from the charts and from tests.

    Give it a field in the service's settings.py. The test kit finds binaries and servers, which
    is what the environment is for.
    """
    files = [
        path
        for path in sources(paths)
        if path.name not in {"settings.py", "__main__.py", "app.py", "command_line.py"}
        and "seda-testkit" not in path.parts
    ]
    assert found(environment_reads, root, files) == []


def test_only_seda_db_commits(root, paths) -> None:
    """An operation that commits cannot be part of a larger one, and its event may get lost.

    Open the transaction at the edge: `async with db.begin() as tx:`.
    """
    files = [path for path in sources(paths) if "seda-db" not in path.parts]
    assert found(commits, root, files) == []


def test_the_domain_is_told_the_time_and_the_id(root, paths) -> None:
    """A rule that looks at the clock cannot be tested at the second where it changes."""
    files = [path for path in sources(paths) if path.name == "domain.py"]
    assert found(clocks_and_ids, root, files) == []


def test_every_route_has_an_operation_id(root, paths) -> None:
    """The name of a client's method must not change because a handler was renamed."""
    files = [path for path in sources(paths) if path.name == "routes.py"]
    assert found(unnamed_routes, root, files) == []


def test_each_habit_check_sees_a_planted_lapse() -> None:
    planted = ast.parse(
        "import os\n"
        "from os import environ\n"
        "level = os.environ['LOG_LEVEL']\n"
        "async def f(tx):\n"
        "    await tx.commit()\n"
        "    return datetime.datetime.now(), uuid4()\n"
        "@get('/rooms')\n"
        "async def rooms(): ...\n"
        "@get('/tracks', operation_id='GetTracks')\n"
        "async def tracks(): ...\n"
    )
    assert sorted(environment_reads(planted)) == [2, 3]
    assert list(commits(planted)) == [5]
    assert list(clocks_and_ids(planted)) == [6, 6]
    assert list(unnamed_routes(planted)) == [7]
