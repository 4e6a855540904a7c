"""Backends that ship with the product; each is found through the entry point group `qstore.backends`."""
