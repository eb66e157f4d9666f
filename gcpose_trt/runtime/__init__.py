"""Running a model: estimator, pre- and post-processing, finding model files, backends. Imports no torch by itself."""
