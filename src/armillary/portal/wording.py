"""What states, notices and refusals are called to a person: by code, so that each language has its own sentence."""

from __future__ import annotations

import gettext
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from armillary.portal.i18n import N_
from armillary.portal.wording_machines import MACHINES
from armillary.portal.wording_people import PEOPLE, PEOPLE_NOTICES
from armillary.portal.wording_records import RECORD_NOTICES, RECORDS
from armillary.portal.wording_signing_in import SIGNING_IN
from armillary.portal.wording_waiting import WAITING

STATES: Mapping[str, str] = {
    # applications
    "waiting": N_("waiting for approval"),
    "approved": N_("approved"),
    "declined": N_("declined"),
    # machines
    "BUILD": N_("starting"),
    "ACTIVE": N_("running"),
    "SHUTOFF": N_("stopped"),
    "ERROR": N_("failed"),
    "REBOOT": N_("restarting"),
    "HARD_REBOOT": N_("restarting"),
    "PAUSED": N_("paused"),
    "SUSPENDED": N_("suspended"),
    "RESIZE": N_("changing its size"),
    "VERIFY_RESIZE": N_("on trial"),
    "REVERT_RESIZE": N_("going back"),
    "REBUILD": N_("beginning anew"),
    "DELETING": N_("being deleted"),
    "DELETED": N_("deleted"),
    # volumes
    "available": N_("free"),
    "in-use": N_("attached"),
    "creating": N_("being made"),
    "attaching": N_("being attached"),
    "detaching": N_("being detached"),
    "deleting": N_("being deleted"),
    "error": N_("failed"),
    # images
    "active": N_("ready"),
    "queued": N_("being made"),
    "saving": N_("being made"),
    "importing": N_("being made"),
    # jobs and attempts
    "idle": N_("waiting"),
    "claimed": N_("gathering its files"),
    "running": N_("running"),
    "completed": N_("completed"),
    "held": N_("held"),
    "removed": N_("removed"),
    "leased": N_("gathering its files"),
    "stopping": N_("stopping"),
    "finished": N_("finished"),
    "failed": N_("failed"),
    "lost": N_("lost"),
    "unfinished": N_("not over"),
    # workers
    "planned": N_("planned"),
    "booting": N_("starting"),
    "ready": N_("ready"),
    "draining": N_("finishing its last jobs"),
    "ending": N_("ending"),
    "gone": N_("gone"),
    # people, projects and clouds
    "enabled": N_("enabled"),
    "disabled": N_("disabled"),
    "answers": N_("answers"),
    "silent": N_("does not answer"),
    "drained": N_("drained"),
    "done": N_("done"),
    "refused": N_("refused"),
    "expired": N_("expired"),
    # announcements
    "info": N_("Please note"),
    "warning": N_("Attention"),
    "outage": N_("Outage"),
    # roles
    "reader": N_("reader"),
    "member": N_("member"),
    "manager": N_("manager"),
    "admin": N_("administrator"),
}

NOTICES: Mapping[str, str] = {
    "registered": N_("You are registered. An administrator will look at your request."),
    "requested": N_("Your request is filed."),
    "approved": N_("The project exists now."),
    "declined": N_("The request is declined, and the applicant reads why."),
    "launched": N_("The machine is starting."),
    "started": N_("The machine is asked to start."),
    "stopped": N_("The machine is asked to stop."),
    "rebooted": N_("The machine is asked to restart."),
    "deleted": N_("The machine is deleted."),
    "snapshot": N_("The snapshot is being made."),
    "extended": N_("It runs longer now."),
    "endless": N_("It runs without an end now."),
    "resized": N_("The machine is being given its new size."),
    "settled": N_("That is settled."),
    "rebuilt": N_("The machine begins anew."),
    "attached": N_("The volume is attached."),
    "detached": N_("The volume is being detached."),
    "network-changed": N_("The machine's network is changed."),
    "network-made": N_("The network is made."),
    "network-deleted": N_("The network is deleted."),
    "rules-changed": N_("Who may come in is changed."),
    "volume-made": N_("The volume is made."),
    "volume-deleted": N_("The volume is deleted."),
    "image-shared": N_("The image is offered to the project."),
    "accepted": N_("The image is yours to use now."),
    "turned-down": N_("The offer is turned down."),
    "published": N_("Everybody may use the image now."),
    "unpublished": N_("Only its project may use the image now."),
    "credential-deleted": N_("The credential is deleted; what was downloaded with it no longer works."),
    "image-deleted": N_("The image is deleted."),
    "submitted": N_("The jobs are queued."),
    "held": N_("Held."),
    "released": N_("Released."),
    "removed": N_("Removed."),
    "retried": N_("Queued again."),
    "prioritized": N_("The priority is set."),
    "uploaded": N_("The files are uploaded."),
    "folder-made": N_("The folder is made."),
    "moved": N_("It is moved."),
    "file-deleted": N_("It is deleted."),
    "binned": N_("It is in the bin now."),
    "restored": N_("It is back where it was."),
    "bin-emptied": N_("The bin is empty."),
    "copied": N_("It is copied."),
    "shared": N_("The access is changed."),
    "changed": N_("The properties are changed."),
    "link-made": N_("The link is made."),
    "link-revoked": N_("The link opens nothing any more."),
    "key-added": N_("The key is added."),
    "key-removed": N_("The key is removed."),
    "password-set": N_("Your new password is set. Sign in with it."),
    "password-changed": N_("Your password is changed."),
    "second-factor-off": N_("The second factor is off."),
    "identity-added": N_("You can sign in with it from now on."),
    "identity-removed": N_("It opens your account no more."),
    "token-revoked": N_("The token is revoked."),
    **PEOPLE_NOTICES,
    "wishes-kept": N_("Your choice is kept."),
    **RECORD_NOTICES,
    "signed-out": N_("You are signed out."),
}

_FULL_HOME = "quota_exceeded in a home"
"""the same code, and another remedy than for machines"""
ERRORS: Mapping[str, tuple[str, str]] = {
    **WAITING,
    "wrong_password": (
        N_("The user name or the password is wrong."),
        N_("Check both; after several wrong tries there is a pause."),
    ),
    "user_name_taken": (
        N_("The user name “%(user_name)s” is taken."),
        N_("Choose another user name, or sign in if it is yours."),
    ),
    "email_taken": (
        N_("Somebody is registered with this e-mail address."),
        N_("Sign in, or register with another address."),
    ),
    "project_name_taken": (
        N_("The project name “%(project_name)s” is taken."),
        N_("Choose another name, or ask an administrator of that project to add you."),
    ),
    "too_many_applications": (
        N_("%(waiting)s of your requests wait already."),
        N_("Wait until an administrator has decided on them."),
    ),
    "application_decided": (
        N_("This request was decided before."),
        N_("Reload the list of requests."),
    ),
    "application_not_found": (N_("There is no such request."), ""),
    "project_not_found": (N_("You have no such project."), N_("Choose one of your projects.")),
    "no_project": (
        N_("You have no project yet."),
        N_("Ask for a project, and wait until it is approved."),
    ),
    "reader_only": (
        N_("As a reader of this project you may look, and not change anything."),
        N_("Ask an administrator of the project to make you a member."),
    ),
    "page_not_found": (N_("There is no such page."), N_("Start again from the overview.")),
    "forged_request": (
        N_("This form is too old, or it did not come from this portal."),
        N_("Go back, reload the page, and send the form again."),
    ),
    "invalid_field": (N_("Something in this form is not right."), N_("Correct the marked fields.")),
    "quota_exceeded": (
        N_("This does not fit into what your project was granted."),
        N_("Delete a machine that is not needed, or ask for a larger allocation."),
    ),
    "quota_cores": (
        N_("%(flavor)s needs %(needs)s cores; %(used)s of the project's %(limit)s are used."),
        N_("Delete a machine that is not needed, or ask for a larger allocation."),
    ),
    "quota_ram": (
        N_("%(flavor)s needs %(needs)s MiB of RAM; %(used)s of the project's %(limit)s are used."),
        N_("Delete a machine that is not needed, or ask for a larger allocation."),
    ),
    "quota_instances": (
        N_("%(used)s of the project's %(limit)s machines are used."),
        N_("Delete a machine that is not needed, or ask for a larger allocation."),
    ),
    "no_capacity": (
        N_("The cloud has no free host for this size now."),
        N_("It is tried again within a minute; a smaller size may start sooner."),
    ),
    "cloud_unreachable": (N_("Cloud %(cloud)s does not answer."), N_("Try again in a moment.")),
    "cloud_sign_in_failed": (
        N_("Cloud %(cloud)s does not accept our credential."),
        N_("An administrator checks the entry of this cloud in clouds.yaml."),
    ),
    "cloud_failed": (N_("Cloud %(cloud)s could not do this."), N_("Try again in a moment.")),
    "cloud_not_found": (N_("There is no cloud %(cloud)s."), N_("Choose one of the clouds.")),
    "server_not_found": (N_("There is no such machine."), N_("List the machines.")),
    "image_not_found": (N_("There is no such image."), N_("List the images.")),
    "image_ambiguous": (
        N_("Different images have the name %(name)s."),
        N_("Name the image by its digest."),
    ),
    "flavor_not_found": (N_("There is no size %(flavor)s."), N_("Choose one of the sizes.")),
    **MACHINES,
    **PEOPLE,
    **SIGNING_IN,
    **RECORDS,
    "bad_key": (
        N_("This is not an ssh public key."),
        N_("Paste the one line of a file like ~/.ssh/id_ed25519.pub."),
    ),
    "not_in_the_portal": (
        N_("Line %(line)s of the submit file uses “%(word)s”, which would run or read something here."),
        N_("Submit this file with `armillary submit` on your own computer."),
    ),
    "no_submit_file": (N_("There is no submit file."), N_("Paste it, or choose a text file.")),
    "request_too_large": (
        N_("Job %(proc)s asks for more than a machine of this size has."),
        N_("Choose a larger size, or lower request_cpus, request_memory or request_disk."),
    ),
    "not_your_job": (
        N_("Job %(job)s is not yours."),
        N_("Ask its owner or an administrator of the project."),
    ),
    "permission_denied": (N_("You may not do this with %(path)s."), N_("Ask its owner.")),
    "link_closed": (
        N_("There is nothing at this address, or not any more."),
        N_("Ask who gave it to you for a new one."),
    ),
    "node_locked": (N_("%(path)s is locked."), N_("Unlock it first.")),
    "node_frozen": (
        N_("%(path)s is kept as it is for cluster %(frozen)s."),
        N_("Its owner can let it change again on the page of that cluster."),
    ),
    "container_not_found": (N_("There is no folder for it."), N_("Make the folder first.")),
    "fits_invalid": (N_("This FITS file cannot be read."), N_("Write it again.")),
    "views_busy": (N_("Many pictures are waited for."), N_("Try again in a minute.")),
    "node_not_found": (N_("There is no %(path)s."), N_("Look at the folder above it.")),
    "duplicate_node": (N_("%(path)s exists already."), N_("Choose another name.")),
    _FULL_HOME: (
        N_("%(home)s is full: this does not fit into it."),
        N_("Delete files that are not needed, or ask for more storage."),
    ),
    "memory_too_large": (
        N_("%(asked)s MiB of memory is more than the workers of these jobs have: %(most)s MiB."),
        N_("Submit the jobs again with a larger size."),
    ),
    "row_incomplete": (
        N_("Line %(line)s of the table has %(values)s values, and there are %(columns)s columns."),
        N_("Give each row a value for each column."),
    ),
    "row_unfit": (
        N_("Line %(line)s of the table has a value that a submit file cannot hold."),
        N_("Leave out empty values, $( and a # or ) at the beginning of a row."),
    ),
    "missing_input": (
        N_("The submit file names %(path)s, which was not uploaded."),
        N_("Add the file to the form."),
    ),
}
"""Code of a refusal → what was wrong, and what to do. Codes that are not here show the service's own words."""

FIELD_FINDINGS = (
    N_("A user name is 2 to 32 lower-case letters, digits, '-' or '_', and starts with a letter."),
    N_("This user name is the platform's own. Choose another one."),
    N_("A project name is 2 to 32 lower-case letters, digits, '-' or '_', and starts with a letter."),
    N_("This must not be empty."),
    N_("This contains control characters."),
    N_("This is not an e-mail address."),
    N_("A password has at least 10 characters."),
    N_("This password repeats too few characters."),
    N_("The password must not be the user name."),
    N_("This must be a whole number."),
    N_("The passwords are not the same."),
    N_("A name has letters, digits, '.' and '-', at most 63, and begins with a letter or digit."),
    N_("User data has at most 46,000 bytes."),
    N_("A volume has 1 to 100,000 GiB."),
    N_("A machine needs an end here."),
    N_("A machine runs for a day at least, and no longer than this platform allows."),
)
"""What the accounts service says about single fields, here for the catalogues only."""


class Worded(Protocol):
    """A refusal, raised or told: `ArmillaryError` and the reasons of batch and fleet."""

    @property
    def code(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def remedy(self) -> str: ...
    @property
    def facts(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, kw_only=True)
class ErrorText:
    """A refusal as a person reads it."""

    message: str
    remedy: str
    fields: Mapping[str, str] = field(default_factory=dict[str, str])


def error_text(catalogue: gettext.NullTranslations, error: Worded) -> ErrorText:
    """Return the refusal in the visitor's language."""
    known = ERRORS.get(_FULL_HOME if error.code == "quota_exceeded" and "home" in error.facts else error.code)
    message, remedy = error.message, error.remedy
    if known:
        places = {"cloud": getattr(error, "cloud", None), **error.facts}  # of a reason it is a field
        try:
            message, remedy = (
                catalogue.gettext(known[0]) % places,
                catalogue.gettext(known[1]) if known[1] else "",
            )
        except KeyError:  # raised elsewhere under the same code with other facts
            message, remedy = error.message, error.remedy
    found: Mapping[str, str] = error.facts.get("errors") or {}
    if not found and "field" in error.facts:
        found = {str(error.facts["field"]): message}
    fields = {name: catalogue.gettext(text) for name, text in found.items()}
    return ErrorText(message=message, remedy=remedy, fields=fields)
