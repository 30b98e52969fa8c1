"""The metadata service's HTTP face."""

from armillary.cloud.api.metadata.app import metadata_app as metadata_app
