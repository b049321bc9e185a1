"""How well trained networks with ReLU, batch norm and strides move between resolutions."""
