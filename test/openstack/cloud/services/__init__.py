"""One module per server: its config, its tables, its processes, its place in the catalog."""
