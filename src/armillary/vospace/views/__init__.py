"""Other forms of a file: cutouts, headers and pictures of FITS files, made from ranges of their bytes.

Nothing here knows nodes, people or HTTP. `parameters` reads what was asked; `work` makes it from anything that
can be read by ranges; `runners` has that done, here or in a process of its own.
"""
