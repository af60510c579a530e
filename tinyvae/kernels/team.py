"""Threads that share a pass: tickets, a meeting point, and how a call reaches those who wait for one.

A pass is a series of phases, a phase a number of blocks that do not depend on each other. **Tickets, not ranks**: a
block is taken by whoever is free, so that a thread that the system put aside holds up only the block that it has
begun. Which thread takes a block changes no bit of it, nor does the number of threads.

Tickets are numbered on through all phases and calls. A phase of n blocks owns base, ..., base + n - 1; the next begins
at base + n. So the counters never go back, and a helper that comes late to a call, with a base of the past, finds no
ticket left in any of its phases. It still runs the pass from its start, and this is the rule for every pass: **without
a ticket in hand it reads only the words of its own copy of the call, and `blocks` and `sizes`**, which are never freed.

The words of a team (int64), those that are written often 16 apart, for two threads that write on one cache line slow
each other down:

    NEXT      the ticket that is given next
    DONE      how many blocks are done
    CALL      how many calls there were, times two. It is odd while one is being written (a seqlock): a helper copies
              the call, looks at CALL again, and drops its copy if it changed meanwhile
    ALONE     up to this CALL the leader works alone, for a thread was put aside: the machine is busy
    ASLEEP    whether a helper went to sleep since the leader last looked
    REST      how many calls the last spell alone was; it shrinks with each call that is shared
    HELPERS   how many there are
    BASE      of the present call: its first ticket; from FIRST on, its passes, which are run one after the other: of
              each its address, how many words it takes, and these; after the last one 0
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable

from tinyvae.kernels.addresses import invoke_pass
from tinyvae.kernels.compile import loop

__all__ = [
    "WORDS",
    "LENGTH",
    "STOP",
    "take",
    "meet",
    "done",
    "tickets",
    "lead_numpy",
    "lead",
    "serve_numpy",
    "serve",
]

NEXT, DONE, CALL, ALONE, ASLEEP, REST, HELPERS = 0, 16, 32, 48, 64, 80, 81
BASE, FIRST = 96, 97
LENGTH = 47  # words of a call at most
WORDS = FIRST + LENGTH
STOP = -1  # in the place of a first pass's address, it sends the helpers home

PATIENCE = 6_000_000  # cycles of one wait, about two milliseconds, after which the machine counts as busy
LEAST, MOST = 32, 2048  # calls to work alone for then, doubling


@intrinsic
def load(typing_context, words, i):
    """words[i], as all threads see it."""

    def generate(context, builder, signature, args):
        array = context.make_array(signature.args[0])(context, builder, args[0])
        return builder.load_atomic(cgutils.gep_inbounds(builder, array.data, args[1]), "acquire", 8)

    return types.int64(words, types.int64), generate


@intrinsic
def store(typing_context, words, i, value):
    """words[i] = value, for all threads to see."""

    def generate(context, builder, signature, args):
        array = context.make_array(signature.args[0])(context, builder, args[0])
        builder.store_atomic(args[2], cgutils.gep_inbounds(builder, array.data, args[1]), "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(words, types.int64, types.int64), generate


@intrinsic
def add(typing_context, words, i, value):
    """words[i] += value in one piece; what it was before."""

    def generate(context, builder, signature, args):
        array = context.make_array(signature.args[0])(context, builder, args[0])
        return builder.atomic_rmw("add", cgutils.gep_inbounds(builder, array.data, args[1]), args[2], "seq_cst")

    return types.int64(words, types.int64, types.int64), generate


@intrinsic
def swap_if(typing_context, words, i, old, new):
    """words[i] = new if it is old, in one piece; whether it was."""

    def generate(context, builder, signature, args):
        array = context.make_array(signature.args[0])(context, builder, args[0])
        place = cgutils.gep_inbounds(builder, array.data, args[1])
        return builder.extract_value(builder.cmpxchg(place, args[2], args[3], "seq_cst", "seq_cst"), 1)

    return types.boolean(words, types.int64, types.int64, types.int64), generate


@intrinsic
def pause(typing_context):
    """Tell the processor that this thread is waiting in a loop."""

    def generate(context, builder, signature, args):
        kind = ir.FunctionType(ir.VoidType(), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def cycles(typing_context):
    """The processor's clock."""

    def generate(context, builder, signature, args):
        kind = ir.FunctionType(ir.IntType(64), [])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.readcyclecounter"), [])

    return types.int64(), generate


give_way = types.ExternalFunction("sched_yield", types.int32())


# --- inside a pass: a phase of n blocks that begins with ticket `base` --------------------------------


@register_jitable
def take(team, base, n):
    """The number of a block that nobody has begun, or n if there is none left."""
    ticket = load(team, NEXT)
    while base <= ticket < base + n:
        if swap_if(team, NEXT, ticket, ticket + 1):
            return ticket - base
        ticket = load(team, NEXT)
    return n


@register_jitable
def done(team):
    """Say that a block is done."""
    add(team, DONE, 1)


@register_jitable
def tickets(team, base, n):
    """The numbers of the blocks that this thread takes; each counts as done when the next is asked for."""
    ticket = take(team, base, n)
    while ticket < n:
        yield ticket
        done(team)
        ticket = take(team, base, n)


@register_jitable
def meet(team, base, n):
    """Wait until all blocks are done; the ticket with which the next phase begins."""
    began, busy = cycles(), False
    while load(team, DONE) < base + n:
        pause()
        if busy:
            give_way()
        elif cycles() - began > PATIENCE:
            busy = True
            rest = min(max(2 * load(team, REST), LEAST), MOST)
            store(team, REST, rest)
            store(team, ALONE, load(team, CALL) + 2 * rest)
    return base + n


# --- a call -------------------------------------------------------------------------------------------


@register_jitable
def work(team, base, passes, real):
    """Run a call's passes, one after the other."""
    at = 0
    while passes[at]:
        entry, first, stop = passes[at], at + 2, at + 2 + passes[at + 1]
        base, at = invoke_pass(entry, (team, base, passes[first:stop], real)), stop


def lead_numpy(team, passes, real):
    """The calling thread's part: publish a call, and work on it; whether helpers are to be woken.

    team (WORDS,); passes (LENGTH,) int64, as they stand in a call; real, an array without elements, of the passes'
    precision. A pass is a function (team, base, arguments, real), which returns the next one's base.
    """
    raise NotImplementedError("a pass has no address without compilation; its twin is called instead")


@loop(lead_numpy)
def lead(team, passes, real):
    base, call = load(team, NEXT), load(team, CALL)
    together = team[HELPERS] > 0 and load(team, ALONE) <= call
    if together:
        if team[REST] > 0:
            team[REST] -= 1
        add(team, CALL, 1)
        team[BASE] = base
        for i in range(passes.size):
            team[FIRST + i] = passes[i]
    store(team, CALL, call + 2)
    if passes[0] == STOP:
        return True
    work(team, base, passes, real)
    if together and load(team, ASLEEP):  # only now: to wake a thread takes longer than a call, and pays for the next
        store(team, ASLEEP, 0)
        return True
    return False


def serve_numpy(team, seen, turns, passes, real):
    """A helper's part: serve calls, until none came for so many looks; the last call seen, or STOP.

    As for `lead`; passes (LENGTH,) are a helper's own room for its copy.
    """
    raise NotImplementedError("there are no helpers without compilation")


@loop(serve_numpy)
def serve(team, seen, turns, passes, real):
    left = turns
    while left > 0:
        call = load(team, CALL)
        if load(team, ALONE) > call:
            return call
        if call == seen or call % 2 == 1:
            pause()
            left -= 1
            continue
        base = load(team, BASE)
        for i in range(passes.size):
            passes[i] = load(team, FIRST + i)
        if load(team, CALL) != call:  # another was being written meanwhile
            continue
        seen = call
        if passes[0] == STOP:
            return STOP
        work(team, base, passes, real)  # none yet, if the leader did all calls alone
        left = turns
    return seen
