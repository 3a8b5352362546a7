"""The formats of the product's only language."""
