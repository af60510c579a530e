"""Exercises of lesson 17, vector quantization. Check yours: `tinyvae exercise 17 --check FILE`"""


def slopes_across_words(words, a, f, slope_of_f):
    """What a larger a does to the mean of f(e), and what straight-through says that it does.

    z = x + a, with x from the logistic distribution, P(x < b) = 1 / (1 + exp(-b)); e is the word nearest to z.

    words : array (n,), n at least 1, different numbers in any order, unevenly spaced.
    a : number.
    f, slope_of_f : functions, of an array (n,) of words; they return arrays (n,): f and its derivative there.
    Returns two numbers: d/da E[f(e)], and E[slope_of_f(e)].

    Hint: two neighbours meet halfway. How much of z crosses there when a grows by da, and what does f then do?
    """
    raise NotImplementedError


def words_after_a_batch(words, use, z, decay, revive):
    """The moving averages of words after one batch, and which words are dead then.

    words : array (n, C), the words e.
    use : array (n,), each word's N so far, some of them 0.
    z : array (m, C), the batch's vectors.
    decay : number from 0 to below 1, what an average keeps.
    revive : number from 0 to below 1; a word is dead whose new N is below revive times the mean of the new N.
    Returns the new words (n, C), the new use (n,), and the dead (n,), True or False. The dead are not moved here.

    Hint: e is to be the moving average of sums over that of counts. What becomes of e and N if no vector chose a word?
    """
    raise NotImplementedError


def bits_of_held_out_codes(codes, held_out, n_words):
    """What held-out codes cost, in bits a code, with each position by itself and with each told by the one before it.

    codes : array (n, P) of ints from 0 to n_words - 1, which both priors are fitted to, by counting.
    held_out : array (m, P) of ints, whose cost is asked; P is at least 2.
    n_words : int, W.
    Returns two numbers, each a mean over the m rows of minus log2 of a row's probability:
    by position, p(c) = Π_i p_i(c_i); and as a chain, p(c) = p_1(c_1) Π_i>1 p_i(c_i | c_i-1).

    In each distribution one observation more than there are is shared by all words: (count + 1 / W) / (total + 1).

    Hint: each position has a table of its own, W x W for the chain. A row that was never seen gives all words 1 / W.
    """
    raise NotImplementedError
