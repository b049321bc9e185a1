"""ImageNet-10: ResNet-34 trained coarse to fine (Figure 3 and Table 1)."""
