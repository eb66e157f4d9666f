"""Training: recipes, data sets, targets, losses, and the loop that runs them."""
