"""A numba intrinsic that asks for a cache line ahead of time: rows are met in random order."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_WRITE, _KEEP, _DATA = 1, 3, 1


def _prefetch(typingctx: Any, a: Any, i: Any) -> Any:
    if not isinstance(a, types.Array) or a.ndim != 1 or a.layout != "C":
        return None

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        array = context.make_array(sig.args[0])(context, builder, args[0])
        index = context.cast(builder, args[1], sig.args[1], types.intp)
        pointer = cgutils.gep_inbounds(builder, array.data, index)
        i8p, i32 = ir.IntType(8).as_pointer(), ir.IntType(32)
        name = f"llvm.prefetch.{'p0' if _OPAQUE else 'p0i8'}"
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [i8p, i32, i32, i32]), name
        )
        hints = [ir.Constant(i32, hint) for hint in (_WRITE, _KEEP, _DATA)]
        builder.call(function, [builder.bitcast(pointer, i8p), *hints])
        return context.get_dummy_value()

    return types.void(a, i), codegen


_OPAQUE = False
_prefetch.__name__ = _prefetch.__qualname__ = "prefetch"
prefetch: Any = intrinsic(_prefetch)
prefetch.__doc__ = "prefetch(a, i): the line of word i of 1-D array `a` will be written soon."
