"""Records of small runs for tests of pages."""

from matplotlib.figure import Figure

from refmg_validation.records import write_figure
from refmg_validation.run_record import run_record, series_of, switch_of, table_of, write_run

LEVELS = ("2 layers", "4 layers")


def example_run(name="prolonged", alpha=1e-6, factor=1.0, columns=("loss", "validation")):
    """Return a run of two levels with one switch, and a name of the caller's in every place."""
    histories = {name: _history(factor, 2), "random": _history(factor, 1)}
    return run_record(
        f"Shallow to deep, {name}",
        seeds=[0, 1],
        settings={"preset": "small", name: name, "training": {"alpha": alpha, "iterations": 5}},
        series=[
            series_of(which, history, columns, group=level)
            for level in LEVELS
            for which, history in histories.items()
        ],
        switches=[
            switch_of(
                *LEVELS,
                items=[("theta", "moved", name), ("momentum", "restarted", ""), ("W", "kept", "")],
                norms=[(name, 2.0, 3.0)],
                before={"loss": 0.2, "validation": 0.95},
                after={"loss": 0.25, "validation": 0.94},
            )
        ],
        tables=[
            table_of(
                "Best validation",
                [{"layers": n, "best_validation": 0.9 + n / 100, "work": factor * n} for n in (2, 4)],
            )
        ],
        figures=[("loss.png", f"Loss by iteration, {name}")],
        notes=[f"The run of {name} is an example."],
    )


def _history(factor, power):
    return [
        {"iteration": i, "loss": factor * 2.0 / (1 + i) ** power, "validation": 1 - 0.5 / (1 + i) ** power}
        for i in range(6)
    ]


def write_example(folder, **settings):
    """Write such a run with its figure; return the folder."""
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([0, 1])
    write_figure(folder / "loss.png", figure)
    write_run(folder, example_run(**settings))
    return folder
