"""What every room leans on: files written whole, a terminal that nothing upsets, short reprs."""
