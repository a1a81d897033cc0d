"""The tab Learn: lessons that train while somebody watches."""
