"""One tree of files with owners, groups, quotas and properties, served as IVOA VOSpace 2.1."""
