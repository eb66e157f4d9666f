"""Running a folder of TensorRT engines: opening it, getting frames to the GPU, and both halves of the network there."""
