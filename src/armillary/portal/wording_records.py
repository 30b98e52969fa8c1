"""What refusals about records, crates and what is frozen are called to a person."""

from __future__ import annotations

from collections.abc import Mapping

from armillary.portal.i18n import N_

RECORD_NOTICES: Mapping[str, str] = {
    "kept": N_("It is kept."),
    "thawed": N_("It is kept no more; nothing was deleted."),
    "cited": N_("The DOI is noted."),
    "imported": N_("The jobs are here, and can be run again."),
}

RECORDS: Mapping[str, tuple[str, str]] = {
    "record_not_made": (
        N_("Nothing is written down of this job yet."),
        N_("Wait for its end; a job that was removed before it ran leaves no record."),
    ),
    "record_impossible": (
        N_("No record can be made of this job: %(reason)s"),
        N_(
            "Mend what is named in the submit file and run the job again, or ask an administrator: a newer version tries again when it starts."
        ),
    ),
    "no_record": (
        N_("No job of %(target)s has a record yet."),
        N_("A job's record is written when it is over."),
    ),
    "too_large_to_trace": (
        N_("The file has to be read whole to know what made it."),
        N_("Ask on the command line: armillary why"),
    ),
    "frozen_already": (N_("It is kept already, at %(path)s."), N_("To do it anew, keep it no more first.")),
    "cluster_not_over": (
        N_("%(recorded)s of %(jobs)s jobs are over and recorded."),
        N_("Wait until all are over; jobs that were removed before they ran are never recorded."),
    ),
    "contents_gone": (
        N_("%(count)s files that the records name are no longer here:"),
        N_("Bring them back by importing a crate that has them."),
    ),
    "inputs_changed": (
        N_("%(count)s files that the jobs read in VOSpace are not what they were:"),
        N_("Put the recorded bytes back where they were, from a crate or the bin."),
    ),
    "secrets_withheld": (
        N_("%(count)s jobs were given a secret as an argument, and no record has it."),
        N_("Submit them by hand, from the submit file."),
    ),
    "image_gone": (
        N_("No cloud has the machine image any more."),
        N_("Leave it out, or bring it back by importing a crate that has it."),
    ),
    "images_under_way": (
        N_("Machine images are coming in already."),
        N_("Try again when they are there."),
    ),
    "no_room_to_freeze": (
        N_("%(needed)s do not fit: %(room)s are left in the home."),
        N_("Delete files, choose another folder, or ask for more storage."),
    ),
    "no_room_to_import": (
        N_("What the jobs read needs %(needed)s in %(home)s, where %(room)s are left: nothing was imported."),
        N_("Delete files that are not needed, or ask for more storage."),
    ),
    "places_closed": (
        N_("Files cannot go back to their places (%(files)s, the first is %(first)s): nothing was imported."),
        N_("Unlock the folder, let what is kept there go, or rename what is in the way, and import again."),
    ),
    "frozen_not_found": (
        N_("There is no such frozen cluster that is open to you."),
        N_("Sign in, or ask who cited it to share its folder."),
    ),
    "doi_is_public": (
        N_("It is cited as %(doi)s."),
        N_("An administrator can do it; the DOI stays, and must lead to a note."),
    ),
    "doi_not_configured": (
        N_("This platform gives no DOIs."),
        N_("An administrator sets [doi] in the settings."),
    ),
    "doi_failed": (
        N_("The registry of DOIs did not do it."),
        N_("Try again; an administrator checks the settings of [doi]."),
    ),
    "not_public": (N_("%(path)s is not open to everybody."), N_("Share the folder first.")),
    "names_clash": (
        N_("Two jobs call different files %(name)s."),
        N_("Run these jobs again one at a time."),
    ),
    "crate_too_large": (
        N_("The crate has more in it than is looked at here."),
        N_("Verify it on your own machine: armillary verify"),
    ),
    "no_crate": (
        N_("This is no crate: it is not a zip file that can be read."),
        N_("Choose what was downloaded or exported as a crate."),
    ),
    "no_crate_chosen": (N_("There is no crate."), N_("Choose a zip file.")),
    "crate_forgotten": (
        N_("What was found of this crate is not known any more."),
        N_("Upload the crate again."),
    ),
    "crate_changed": (N_("The crate is not as it was signed."), N_("Ask for the crate again.")),
    "key_not_trusted": (
        N_("Somebody has to be trusted: say that you know whose key it is."),
        N_("Compare the fingerprint with what that platform publishes, and tick it."),
    ),
    "bad_fingerprint": (
        N_("This is neither a fingerprint nor a public key."),
        N_("Give the 64 hexadecimal digits that the platform publishes, or its key as PEM."),
    ),
    "bad_signature": (
        N_("A record is not signed by a key that is trusted."),
        N_("See what is wrong with the crate by checking it."),
    ),
    "import_not_found": (N_("There is no import %(import)s."), N_("Import a crate.")),
    "chores_full": (
        N_("%(under_way)s of your requests are being worked on."),
        N_("Wait until one of them is done."),
    ),
    "chore_failed": (
        N_("Something went wrong on our side."),
        N_("Try again; if it stays so, ask the operator."),
    ),
}
