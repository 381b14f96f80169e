"""Files that exporters make of a registry: choosing an exporter, waiting, fetching. Each under an approval."""
