"""The tab Learn: lessons that train a small model while somebody watches."""
