"""Machine instructions that numba does not offer: bit counts and prefetching."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_READ, _KEEP, _DATA = 0, 3, 1  # operands of llvm.prefetch


@intrinsic
def lowest_bit(typingctx: Any, word: Any) -> Any:
    """lowest_bit(uint64) -> int64: number of the lowest set bit; 64 for 0."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), codegen


@intrinsic
def ones(typingctx: Any, word: Any) -> Any:
    """ones(uint64) -> int64: how many bits are set."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.uint64), codegen


@intrinsic
def prefetch(typingctx: Any, a: Any, i: Any) -> Any:
    """prefetch(int64[:] a, i): begin to load the cache line of a[i]."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        array = context.make_array(sig.args[0])(context, builder, args[0])
        place = cgutils.gep(builder, array.data, args[1])
        i32, byte = ir.IntType(32), ir.IntType(8).as_pointer()
        function = builder.module.declare_intrinsic(
            "llvm.prefetch", (byte,), ir.FunctionType(ir.VoidType(), (byte, i32, i32, i32))
        )
        hints = [ir.Constant(i32, hint) for hint in (_READ, _KEEP, _DATA)]
        builder.call(function, [builder.bitcast(place, byte), *hints])
        return context.get_dummy_value()

    return types.void(a, types.int64), codegen
