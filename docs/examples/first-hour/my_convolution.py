"""A convolution of your own, with a mistake."""

import numpy as np
import torch
from torch.nn import functional as F


def convolve(features, stencil, boundary, stride):
    if features.ndim != 4 or boundary != "periodic" or np.any(np.asarray(stride) != 1):
        raise NotImplementedError
    x = torch.from_numpy(features).movedim(-1, 0)  # (channels, n_1, n_2, m) to (m, channels, n_1, n_2)
    return F.conv2d(x, torch.from_numpy(stencil), padding="same").movedim(0, -1)
