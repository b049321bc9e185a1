"""torchvision beside a PyTorch that its compiled part was not built for: PyPI's beside the CPU build."""

from contextlib import suppress

import pytest

OPERATORS = ("nms", "qnms")  # which its import wants to be there; no classifier calls them


def import_or_skip():
    """Return torchvision; skip where it is not installed."""
    torch = pytest.importorskip("torch", reason="refmg.torch needs the extra 'torch'")
    reason = "needs 'pip install torchvision timm'"
    with suppress(RuntimeError, ImportError):
        import torchvision

        return torchvision
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in OPERATORS:
        with suppress(RuntimeError):  # it is there already
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import_or_skip.library = library  # else its operators go when it does
    return pytest.importorskip("torchvision", reason=reason)
