#!/bin/sh
# usage: catalogue.sh IMAGE THRESHOLD [VOSPACE-FOLDER]
# Finds the sources in a FITS image and writes a catalogue; puts it into VOSpace when a folder is given.
set -eu
image=$1 threshold=$2 folder=${3:-}
catalogue=$(basename "$image" .fits).$threshold.cat
defaults=/usr/share/source-extractor
source-extractor "$image" -c $defaults/default.sex -PARAMETERS_NAME catalogue.param \
  -FILTER_NAME $defaults/default.conv -STARNNW_NAME $defaults/default.nnw \
  -DETECT_THRESH "$threshold" -ANALYSIS_THRESH "$threshold" \
  -CATALOG_TYPE ASCII_HEAD -CATALOG_NAME "$catalogue" -VERBOSE_TYPE QUIET
echo "$catalogue: $(grep -vc '^#' "$catalogue" || true) sources"
if [ -n "$folder" ]; then vcp "$catalogue" "$folder/$catalogue"; fi
