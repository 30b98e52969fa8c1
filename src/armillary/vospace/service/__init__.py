"""What can be done with the tree, for the VOSpace API and in process for the portal."""

from armillary.vospace.service.bin import Bins
from armillary.vospace.service.grants import Grant, Grants
from armillary.vospace.service.jobs import JobService
from armillary.vospace.service.links import Links
from armillary.vospace.service.nodes import VOSpaceService
from armillary.vospace.service.uploads import Upload

__all__ = ["Bins", "Grant", "Grants", "JobService", "Links", "Upload", "VOSpaceService"]
