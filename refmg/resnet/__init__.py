"""Residual networks with batch normalisation (ResNet-34 of the paper's ImageNet experiment)."""

from refmg.resnet.architecture import BlockSpec, ConvolutionSpec, ResNetArchitecture
from refmg.resnet.batch_norm import BatchNorm, BatchNormAdjoint, batch_norm
from refmg.resnet.epoch import ResNetEpoch
from refmg.resnet.network import ResNet, ResNetPass, random_resnet, resnet_from_arrays
from refmg.resnet.pooling import (
    average_pool,
    average_pool_adjoint,
    max_pool,
    max_pool_adjoint,
    max_pool_choice,
)
from refmg.resnet.response_fit import LayerFit
from refmg.resnet.settings import ResNetTraining
from refmg.resnet.state_dict import from_state_dict, to_state_dict
from refmg.resnet.statistics import reestimate_statistics
from refmg.resnet.switch import ResNetSwitch, ResNetTransferOptions
from refmg.resnet.training import evaluate_resnet, train_resnet
from refmg.resnet.transfer import resnet_transfer_names, transfer_resnet

__all__ = [
    "BatchNorm",
    "BatchNormAdjoint",
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
    "average_pool",
    "average_pool_adjoint",
    "batch_norm",
    "evaluate_resnet",
    "from_state_dict",
    "max_pool",
    "max_pool_adjoint",
    "max_pool_choice",
    "random_resnet",
    "reestimate_statistics",
    "resnet_from_arrays",
    "resnet_transfer_names",
    "to_state_dict",
    "train_resnet",
    "transfer_resnet",
]
