"""Shallow to deep, in small

Figure 2 of the paper in some seconds: networks of 2, 4 and 8 layers on 300 digits of 14 x 14 cells, each
depth trained by three iterations of block coordinate descent, once from a random start and once from the
network of half the depth, prolonged linearly in time. T stays the same, so that each layer becomes a
step of half the length.

As in the paper, a prolonged start has the lower loss. What this saves, and what it does not, is on the
page on [multilevel training](../multilevel.md), with more digits, more layers and more iterations; this
is its picture in small.

The number is the training loss of the prolonged network of 8 layers before any training there, by that
of the random one after its classifier has been fitted (iteration 0).
"""

from matplotlib.figure import Figure

from refmg import Architecture, Regularization, random_network
from refmg.data import load_digits, restrict_images, split_images
from refmg.multilevel import ImagePyramid, Level, LevelSwitch, multilevel_descent
from refmg.optimization import TrainingSettings, block_coordinate_descent

MEASURES = "loss of the prolonged start by that of the random one, 8 layers"
DEPTHS, SHAPE = (2, 4, 8), (14, 14)
SETTINGS = TrainingSettings(
    iterations=3, hessian_examples=150, regularization=Regularization(1e-6, 1e-5, 1e-4), seed=0
)


def start(layers: int):
    """Return a random network."""
    a = Architecture(SHAPE, channels=4, layers=layers, final_time=2.0, classes=10)
    return random_network(a, 0, "numpy", "float64")


def compute() -> dict:
    """Train from both starts at every depth."""
    (training,) = split_images(load_digits(), (300,), seed=0)
    x = restrict_images(training.features(), sigma=1.0)
    levels = [Level(SHAPE, layers=n, settings=SETTINGS) for n in DEPTHS]
    prolonged, before = {n: [] for n in DEPTHS}, {}
    for found in multilevel_descent(start(DEPTHS[0]), levels, ImagePyramid(x, training.labels)):
        layers = found.network.architecture.layers
        if isinstance(found, LevelSwitch):
            before[layers] = found.after.loss
        else:
            prolonged[layers].append(found.iteration.loss)
    random = {
        n: [i.loss for i in block_coordinate_descent(start(n), x, training.labels, SETTINGS)]
        for n in DEPTHS[1:]
    }
    return {"prolonged": prolonged, "random": random, "before": before}


def number(found: dict) -> float:
    """Return the initial loss of the prolonged network by that of the random one."""
    return found["before"][8] / found["random"][8][0]


def draw(figure: Figure, found: dict) -> None:
    """Draw loss by iteration, a panel a depth."""
    figure.set_size_inches(8, 3.4)
    for axes, n in zip(figure.subplots(1, 2, sharey=True), DEPTHS[1:], strict=True):
        axes.semilogy(found["random"][n], "o-", label="random start")
        axes.semilogy(found["prolonged"][n], "s-", label=f"prolonged from {n // 2} layers")
        axes.set_title(f"{n} layers")
        axes.set_xlabel("iteration (0: the classifier alone)")
        axes.legend()
    figure.axes[0].set_ylabel("training loss")
