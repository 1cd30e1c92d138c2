"""What a kernel compiles to: its optimised IR, and the aarch64 assembly of that same IR."""

import re

import llvmlite.binding as llvm
from numba import njit

AARCH64 = "aarch64-unknown-linux-gnu"


def _body(ir: str) -> str:
    """The kernel and its callees that were not inlined, without numba's Python wrappers."""
    bodies = re.findall(r"^define [^\n]*\{.*?^\}$", ir, re.MULTILINE | re.DOTALL)
    outside = ("_ZN7cpython", "@cfunc.", "@NRT_")
    kernels = [text for text in bodies if not any(part in text.split("{")[0] for part in outside)]
    return "\n".join(kernels)


def optimised_ir(kernel, *signature) -> str:
    """The IR numba compiles the kernel to for the machine at hand, after all passes."""
    options = {name: kernel.targetoptions[name] for name in kernel.targetoptions if name == "_nrt"}
    fresh = njit(nogil=True, **options)(kernel.py_func)
    fresh.compile(signature)
    return _body(fresh.inspect_llvm()[fresh.signatures[0]])


def aarch64_assembly(ir: str) -> list[str]:
    """Instructions that llvmlite's aarch64 backend emits for the kernel, one per line."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    text = re.sub(r"\s*(#\d+|![\w.]+ !\d+)", "", ir).replace(", !noalias", "")
    text = re.sub(r",(?=\s*$)", "", text, flags=re.MULTILINE)
    defined = set(re.findall(r"^define [^@\n]*(@[\w.]+)\(", text, re.MULTILINE))
    called = set(re.findall(r"call ([^@\n]*) (@[\w.]+)\(([^)\n]*)\)", text))
    lines = []
    for returned, name, arguments in sorted(called):
        if name in defined:
            continue
        kinds = ", ".join(part.split()[0] for part in arguments.split(",") if part.strip())
        kind = re.sub(r"\b(tail|noalias|nonnull|fastcc)\b", "", returned).split()[-1]
        lines.append(f"declare {kind} {name}({kinds})")
    module = llvm.parse_assembly("\n".join([*dict.fromkeys(lines), text]))
    module.triple = AARCH64
    target = llvm.Target.from_triple(AARCH64).create_target_machine(opt=2)
    module.data_layout = str(target.target_data)
    assembly = target.emit_assembly(module)
    return [line.strip().replace("\t", " ") for line in assembly.splitlines() if line.strip()]
