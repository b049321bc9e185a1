"""What is collected without PyTorch."""

from importlib.util import find_spec
from pathlib import Path

NEEDS_TORCH = (
    "refmg/torch",
    "validation/refmg_validation/model_study",
    "validation/refmg_validation/adapters/torch",
    "validation/refmg_validation/bench/torch_resnet.py",
    "docs/moving-models.md",
    "docs/gallery/batch_norm.py",
    "docs/examples/conformance",
    "docs/examples/first-hour/my_convolution.py",
    "docs/examples/first-hour/my_convolution_mended.py",
    "docs/examples/first-hour/my_model.py",
)
HAS_TORCH = find_spec("torch") is not None


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out what cannot be imported."""
    root = Path(__file__).parent
    away = any(collection_path.is_relative_to(root / name) for name in NEEDS_TORCH)
    return True if away and not HAS_TORCH else None


def pytest_report_header() -> str | None:
    """Name what is left out."""
    return None if HAS_TORCH else f"not collected, for want of PyTorch: {', '.join(NEEDS_TORCH)}"
