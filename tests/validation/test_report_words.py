"""What is said of a transfer beside unchanged stencils."""

from refmg_validation.report import ordering


def test_points_above_and_below_are_said_for_each_direction():
    unchanged = {"network": "unchanged", "coarse_test": 0.5, "fine_test": 0.25}
    moved = {"network": "linear", "coarse_test": 0.75, "fine_test": 0.125}
    same = {"network": "average", "coarse_test": 0.5, "fine_test": 0.25}
    assert ordering({"rows": [unchanged, moved, same, {"network": "native"}]}) == [
        "fine to coarse: 'linear' is 25.00 points above unchanged stencils",
        "coarse to fine: 'linear' is 12.50 points below unchanged stencils",
        "fine to coarse: 'average' is as good as unchanged stencils",
        "coarse to fine: 'average' is as good as unchanged stencils",
    ]
