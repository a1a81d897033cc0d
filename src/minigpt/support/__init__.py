"""Tools for all rooms: safe files, safe terminal output, short reprs, error messages."""
