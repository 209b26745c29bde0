"""What speaks for a label: the network, a linear model, the nearest labelled documents; and how they are combined."""
