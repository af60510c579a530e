# expects: not turned
def turned_for_a_diagonal(W):
    return W
