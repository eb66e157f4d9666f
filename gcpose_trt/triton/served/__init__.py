"""The `model.py` files of an exported repository, as they are copied there; only a server can import them."""
