"""Sources and sinks of frames, and the pipeline that joins them."""
