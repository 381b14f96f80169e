"""Reading tabular extracts: a folder with a file, or a sub-folder of files, for each table.

    importer    the order of things          manifest   extract.yaml and mappings
    finding     which files are there        csv        header, encoding, gzip       parquet    footer, types

`docs/operator/tabular-extracts.md` says what a supplier sends.
"""

from cohortium_platform.ingest.tabular.importer import TabularImporter

__all__ = ["TabularImporter"]
