"""How a model is moved."""

from __future__ import annotations

from dataclasses import dataclass

from refmg.calibration.settings import check_options
from refmg.stencil_maps import UNCHANGED


@dataclass(frozen=True)
class TransferOptions:
    """Which parts of a model are adapted, and how strongly they are held to a prior.

    Parameters
    ----------
    batch_norm : bool
        Re-estimate batch-norm statistics, each before anything that depends on it.
    classifier : bool
        Adapt the last linear layer that acts on vectors, by ridge regression of the source model's
        outputs of that layer; its prior is its old weights.
    prior : str
        For ``"calibrated"``: the stencil-wise transfer that gives the prior, see
        :func:`refmg.named_map`.
    ridge : float
        For ``"calibrated"``: weight of the prior, over the mean square of an input.
    smoothness : float
        For ``"calibrated"`` to the finer grid: weight of what a response has within coarse cells, over
        the weight of its mean. ReLU and the mean over cells commute where a response is smooth.
    classifier_ridge : float
        The same for the classifier.
    closure : {"exact", "least-squares"}
        Of pairs (R, P), as in :class:`refmg.StencilMap`.
    batch_size : int
        Examples at a time, where the images are one tensor.

    Raises
    ------
    RefmgError
        For a negative ridge, an unknown name or a batch size below 1.

    Examples
    --------
    >>> TransferOptions(classifier=False).ridge
    0.1
    """

    batch_norm: bool = True
    classifier: bool = True
    prior: str = UNCHANGED
    ridge: float = 0.1
    smoothness: float = 0.1
    classifier_ridge: float = 0.1
    closure: str = "least-squares"
    batch_size: int = 64

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        check_options(self)
