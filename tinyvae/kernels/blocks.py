"""How a pass cuts its products into blocks, and multiplies one.

BLAS packs a large product: it copies both matrices into another order first. A small block it multiplies as it is,
where its kernels can (see `machine.blas`), and that is why small blocks are quicker. A long sum is cut into chunks,
too, so that the two pieces that a chunk reads stay in the first cache. How a matrix is cut depends on its shape
alone: no thread's haste changes a bit.
"""

from numba.extending import register_jitable

from tinyvae.kernels.addresses import gemm, size_of, vector

__all__ = [
    "BLOCKS",
    "MOST",
    "BACK_MOST",
    "PLAIN",
    "TURNED",
    "pieces",
    "multiply",
    "network",
    "offsets",
    "forward_block",
    "deltas_block",
    "gradient_block",
]

# What the array `blocks` holds (see `machine.blas.blocks`).
BLOCKS = 11
(
    GEMM32,  # where BLAS's gemm stands, for float32
    GEMM64,  # and for float64
    MOST,  # multiply-adds of a chunk of x W and of x' delta
    ROWS,  # of a block of x W, (B, n_out)
    COLUMNS,
    BACK_MOST,  # multiply-adds of a chunk of delta W', (B, n_in)
    BACK,  # elements of a block of it
    BACK_COLUMNS,
    SHORT_ROWS,  # the same where its sums have fewer than SHORT terms
    SHORT_COLUMNS,
    GRADIENT,  # elements of a block of x' delta, which is whole rows of (n_in, n_out)
) = range(BLOCKS)
SHORT = 32
LINE = 16  # float32 of a cache line: blocks begin on its border where the matrix's rows do
KERNEL_ROWS = 12  # of x' delta, that BLAS's kernels take at a time
PLAIN, TURNED = 111, 112  # CBLAS's names for a matrix as it is, and transposed


@register_jitable
def pieces(n, size):
    """How many pieces of a size n elements make."""
    return -(-n // size)


@register_jitable
def even(n, size, multiple):
    """The size that makes as many pieces of n elements as `size` does, but equal ones, rounded up to a multiple."""
    n = max(1, n)
    return pieces(pieces(n, pieces(n, size)), multiple) * multiple


@register_jitable
def forward_block(blocks, rows, n_out):
    """Rows and columns of a block of x W, (rows, n_out)."""
    return even(rows, blocks[ROWS], 1), even(n_out, blocks[COLUMNS], LINE)


@register_jitable
def deltas_block(blocks, n_in, n_out):
    """Rows and columns of a block of delta W', (B, n_in), whose sums have n_out terms."""
    if n_out < SHORT:
        return blocks[SHORT_ROWS], blocks[SHORT_COLUMNS]
    columns = even(n_in, blocks[BACK_COLUMNS], LINE)
    return max(1, blocks[BACK] // columns), columns


@register_jitable
def gradient_block(blocks, n_in, n_out):
    """Rows of a block of x' delta, (n_in, n_out)."""
    rows = max(1, blocks[GRADIENT] // n_out // KERNEL_ROWS) * KERNEL_ROWS
    return even(n_in, rows, KERNEL_ROWS)


@register_jitable
def multiply(blocks, most, left, right, result, m, n, k, like, beta=0):
    """c = a b + beta c, in chunks of k, each of at most so many multiply-adds.

    left, right: where a (m, k) and b (k, n) stand, the elements from row to row there, and whether they stand there
    PLAIN or TURNED; result: where c stands, and the elements from row to row.
    """
    (a, lda, turn_a), (b, ldb, turn_b), (c, ldc) = left, right, result
    itemsize = size_of(like)
    entry = blocks[GEMM32] if itemsize == 4 else blocks[GEMM64]
    chunk = max(1, pieces(k, max(1, pieces(m * n * k, most))))
    step_a = chunk * itemsize * (lda if turn_a == TURNED else 1)
    step_b = chunk * itemsize * (1 if turn_b == TURNED else ldb)
    keep = like.dtype.type(beta)
    for start in range(0, max(1, k), chunk):  # once where k is 0, too: c is then beta c
        gemm(entry, turn_a, turn_b, m, n, min(chunk, k - start), a, lda, b, ldb, keep, c, ldc)
        a, b, keep = a + step_a, b + step_b, like.dtype.type(1)


@register_jitable
def network(place, arguments):
    """How many layers a network has, and the widths between them, from where its `sizes` stand."""
    n_layers = vector(place, arguments, 1)[0]
    return n_layers, vector(place, arguments, n_layers + 2)[1:]


@register_jitable
def offsets(sizes, rows, layer):
    """How many elements stand before a layer's W in theta, and before its output in `hidden`."""
    before_weights = before_output = 0
    for earlier in range(layer):
        before_weights += (sizes[earlier] + 1) * sizes[earlier + 1]
        before_output += rows * sizes[earlier + 1]
    return before_weights, before_output
