"""Two backends or precisions of a model on the same frames: where do they differ, and by how much?"""
