"""Devices, precision, memory, kernels: everything that touches private API of torch."""
