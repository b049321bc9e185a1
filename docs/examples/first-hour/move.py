"""Train a network on digits of 28 x 28 cells, and move it to 14 x 14."""

from refmg import Architecture, Regularization, load_network, random_network, save_network, transfer_network
from refmg.data import load_digits, restrict_images, split_images
from refmg.optimization import TrainingSettings, block_coordinate_descent


def main():
    training, test = split_images(load_digits(), (500, 500), seed=0)
    fine, fine_test = training.features(), test.features()
    coarse, coarse_test = restrict_images(fine), restrict_images(fine_test)

    a = Architecture((28, 28), channels=4, layers=2, final_time=2.0, classes=10)
    weights = Regularization(alpha_W=1e-6, alpha_t=1e-5, alpha_0=1e-4)
    settings = TrainingSettings(iterations=1, hessian_examples=200, regularization=weights)
    start = random_network(a, seed=0)
    for iteration in block_coordinate_descent(start, fine, training.labels, settings):
        print(f"iteration {iteration.number}: loss {iteration.loss:.3f}")
    save_network("fine.safetensors", iteration.network)

    network, _ = load_network("fine.safetensors")
    print(f"on 28 x 28: {100 * network.accuracy(fine_test, test.labels):.1f} %")
    for name in ("unchanged", "linear", "power-law", "calibrated"):
        images = {"images": fine, "coarse_images": coarse} if name == "calibrated" else {}
        moved = transfer_network(network, (14, 14), name, **images)
        print(f"{name}, on 14 x 14: {100 * moved.accuracy(coarse_test, test.labels):.1f} %")


if __name__ == "__main__":
    main()
