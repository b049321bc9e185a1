"""Residual networks with batch normalisation (ResNet-34 of the paper's ImageNet experiment)."""

from refmg.resnet.architecture import BlockSpec, ConvolutionSpec, ResNetArchitecture
from refmg.resnet.epoch import ResNetEpoch
from refmg.resnet.network import ResNet, ResNetPass, random_resnet, resnet_from_arrays
from refmg.resnet.settings import ResNetTraining
from refmg.resnet.state_dict import from_state_dict, to_state_dict
from refmg.resnet.statistics import reestimate_statistics
from refmg.resnet.training import evaluate_resnet, train_resnet
from refmg.resnet.transfer import (
    LayerFit,
    ResNetSwitch,
    ResNetTransferOptions,
    resnet_transfer_names,
    transfer_resnet,
)

__all__ = [
    "BlockSpec",
    "ConvolutionSpec",
    "LayerFit",
    "ResNet",
    "ResNetArchitecture",
    "ResNetEpoch",
    "ResNetPass",
    "ResNetSwitch",
    "ResNetTraining",
    "ResNetTransferOptions",
    "evaluate_resnet",
    "from_state_dict",
    "random_resnet",
    "reestimate_statistics",
    "resnet_from_arrays",
    "resnet_transfer_names",
    "to_state_dict",
    "train_resnet",
    "transfer_resnet",
]
