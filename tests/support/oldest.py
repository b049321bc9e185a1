"""Prints the oldest releases that ``setup.cfg`` allows, as requirements: ``make oldest`` tests with them."""

import configparser
import sys

EXTRAS = ("demo", "numba")
# What only runs the tests is taken as it comes, and so is what no release is named of.
TOOLS = ("hypothesis", "pytest-xdist", "setuptools", "wheel")
ALSO = ("array-api-strict", "pytest")  # of the extra "test": their oldest releases have to do


def lines_of(setup):
    """Return the requirements of the package, of the extras that add functions, and of some tools."""
    extras = setup["options.extras_require"]
    found = setup["options"]["install_requires"].split()
    found += [line for name in EXTRAS for line in extras[name].split()]
    found += [line for line in extras["test"].split() if line.partition(">=")[0] in ALSO]
    return sorted(set(found))


def pins(setup):
    """Return them as requirements of exactly the oldest release, and the tools."""
    return [line.replace(">=", "==") for line in lines_of(setup)] + list(TOOLS)


def main(path):
    """Print one requirement a line."""
    setup = configparser.ConfigParser()
    setup.read(path)
    print("\n".join(pins(setup)))


if __name__ == "__main__":
    main(sys.argv[1])
