"""What stands between two layers: activations, known by their names, each with its slope."""

from typing import NamedTuple

from tinyvae.kernels import dense

__all__ = ["Activation", "ACTIVATIONS"]


class Activation(NamedTuple):
    """What an activation does around a layer's matrix product.

    Attributes
    ----------
    forward : function
        forward(a, b): a <- act(a + b), in place. a (B, n), b (n,).
    backward : function
        backward(dy, saved): dy <- dy act'(a), in place, a being the value before the activation. dy, saved (B, n).
    from_input : bool
        Whether `saved` is that value, x W + b, because the output does not tell the slope; else it is the output.
    init : str
        The initialiser that suits it, a name in INITIALISERS.
    """

    forward: object
    backward: object
    from_input: bool = False
    init: str = "glorot"


ACTIVATIONS = {
    "identity": Activation(dense.bias_identity, dense.identity_backward),
    "tanh": Activation(dense.bias_tanh, dense.tanh_backward),
    "relu": Activation(dense.bias_relu, dense.relu_backward, init="he"),
    "leaky_relu": Activation(dense.bias_leaky_relu, dense.leaky_relu_backward, init="he"),
    "sigmoid": Activation(dense.bias_sigmoid, dense.sigmoid_backward),
    "softplus": Activation(dense.bias_softplus, dense.softplus_backward),
    "elu": Activation(dense.bias_elu, dense.elu_backward, init="he"),
    "gelu": Activation(dense.bias_gelu, dense.gelu_backward, from_input=True, init="he"),
}
