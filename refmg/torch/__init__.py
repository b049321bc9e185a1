"""Trained PyTorch models moved to another resolution; needs the extra ``torch``.

``import refmg`` does not import this package, nor PyTorch.
"""

try:
    import torch as _torch
except ImportError as error:
    raise ModuleNotFoundError(
        "refmg.torch needs PyTorch, which was not found: pip install 'refmg[torch]'", name="torch"
    ) from error

from refmg.torch.batch_norm import reestimate_batch_norm
from refmg.torch.options import TransferOptions
from refmg.torch.report import LayerRecord, ModelReport
from refmg.torch.sums import SharedImages
from refmg.torch.transfer import model_transfer_names, transfer_model

del _torch

__all__ = [
    "LayerRecord",
    "SharedImages",
    "TransferOptions",
    "ModelReport",
    "model_transfer_names",
    "reestimate_batch_norm",
    "transfer_model",
]
