"""The `canfar_*` commands of a base image, after CANFAR's own. Each file is a program by itself."""
