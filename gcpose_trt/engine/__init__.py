"""Building TensorRT engines, and looking into them."""
