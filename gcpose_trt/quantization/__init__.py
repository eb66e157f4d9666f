"""Calibration for INT8: the ranges of a network's tensors, how they were found, and what each block costs."""
