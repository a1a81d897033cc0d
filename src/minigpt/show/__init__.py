"""What people look at: figures, the page that explains, tables and displays."""
