"""Nothing in verl/ waits without a limit for another process."""
import ast
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "verl"
# Calls that wait, and the argument that ends it. What waits on a worker group or a replica has its own limit there.
LIMITED = ("ray.get", "ray.wait", "subprocess.run", "subprocess.call", "subprocess.check_call",
           "subprocess.check_output", "socket.create_connection", "urllib.request.urlopen", "requests.get",
           "requests.post", "dist.init_process_group", "dist.new_group")  # yapf: disable


def is_remote(node):
    """What Ray answers: `handle.method.remote(…)`, or a name, which may hold a reference to it."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Attribute) and node.func.attr == "remote"
    return isinstance(node, ast.Name)


def has_limit(node):
    """`async with asyncio.timeout(…)`."""
    return isinstance(node, ast.AsyncWith) and any("asyncio.timeout(" in ast.unparse(item) for item in node.items)


def unlimited(node, limited=False):
    """Lines of what waits for ever; a function's body is limited only by what it says itself."""
    keywords = {keyword.arg for keyword in node.keywords} if isinstance(node, ast.Call) else {"timeout"}
    if "timeout" not in keywords and ast.unparse(node.func) in LIMITED:
        yield node.lineno
    waited = node.value if isinstance(node, ast.Await) else node.iter if isinstance(node, ast.AsyncFor) else None
    if not limited and is_remote(waited):
        yield node.lineno
    inside = (limited or has_limit(node)) and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
    for child in ast.iter_child_nodes(node):
        yield from unlimited(child, inside)


def test_every_wait_has_a_limit():
    files = sorted(FOLDER.rglob("*.py"))
    assert len(files) > 50
    assert {str(file.relative_to(FOLDER)): lines for file in files
            if (lines := list(unlimited(ast.parse(file.read_text()))))} == {}  # yapf: disable


@pytest.mark.parametrize("code, waits", [
    ("ray.get(ref)", True),
    ("ray.get(ref, timeout=1)", False),
    ("subprocess.run(command, check=True)", True),
    ("async def f():\n  await actor.method.remote(1)", True),
    ("async def f():\n  await ref", True),
    ("async def f():\n  async for ref in actor.method.options(n=1).remote(1):\n    pass", True),
    ("async def f():\n  async with asyncio.timeout(9):\n    await ref", False),
    ("async def f():\n  async with asyncio.timeout(9):\n    async def g():\n      await ref", True),
    ("async def f():\n  await asyncio.sleep(1)", False),
])
def test_the_check_sees(code, waits):
    assert bool(list(unlimited(ast.parse(code)))) == waits
