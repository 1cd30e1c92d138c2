"""The order of memory operations in a function of shm/, read from its source.

Calls of functions of the same module are followed, so moving code into a helper changes nothing.
"""

import ast
from pathlib import Path
from types import ModuleType

ATOMICS = {
    "load_acquire", "load_relaxed", "store_release", "store_relaxed", "compare_swap",
    "fence_acquire", "fence_release", "fence_seq_cst",
    "read_word", "write_word", "acquire", "release",
}  # fmt: skip
SHARED = {"ctl", "data", "rows", "names"}


def memory_order(module: ModuleType, function: str) -> list[str]:
    """What a function (or "Class.method") does to memory, in source order, like "store_release
    TAIL", "fence_acquire", "plain store data"; the same twice in a row counts once."""
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    found: dict[str, ast.FunctionDef] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.ClassDef):
            methods = [item for item in node.body if isinstance(item, ast.FunctionDef)]
            found.update({f"{node.name}.{method.name}": method for method in methods})
    reader = _Reader(found, function.rpartition(".")[0])
    for statement in found[function].body:
        reader.visit(statement)
    return reader.steps


class _Reader(ast.NodeVisitor):
    """Collects the steps: of an assignment the value first, of a call its arguments first."""

    def __init__(self, found: dict[str, ast.FunctionDef], class_name: str) -> None:
        self.found = found
        self.class_name = class_name
        self.steps: list[str] = []

    def _note(self, step: str) -> None:
        if self.steps[-1:] != [step]:
            self.steps.append(step)

    def visit_Assign(self, node: ast.Assign) -> None:
        """The value, then the targets."""
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)

    def visit_Call(self, node: ast.Call) -> None:
        """The arguments, then the operation or the function it stands for."""
        for argument in node.args:
            self.visit(argument)
        name, own = "", ""
        if isinstance(node.func, ast.Name):
            name = own = node.func.id
        elif isinstance(node.func, ast.Attribute):
            self.visit(node.func.value)
            own = f"{self.class_name}.{node.func.attr}"
        if name in ATOMICS:
            word = ast.unparse(node.args[1]) if len(node.args) > 1 else ""
            self._note(f"{name} {word}".strip())
        elif own in self.found:
            for statement in self.found[own].body:
                self.visit(statement)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """A plain access of shared memory."""
        self.visit(node.slice)
        base = node.value.attr if isinstance(node.value, ast.Attribute) else ast.unparse(node.value)
        if base in SHARED:
            kind = "store" if isinstance(node.ctx, ast.Store) else "load"
            self._note(f"plain {kind} {base}")
