"""What causes of failure are called to a person, and what helps."""

from __future__ import annotations

from collections.abc import Mapping

from armillary.portal.i18n import N_

CAUSES: Mapping[str, tuple[str, str]] = {
    "memory_exceeded": (
        N_("More memory than asked for"),
        N_("Submit them again with more memory, or let retry_request_memory do it."),
    ),
    "disk_exceeded": (N_("More disk than asked for"), N_("Submit them again with more disk.")),
    "time_exceeded": (
        N_("Longer than it may run"),
        N_("Submit them again with more time, or release them to try once more."),
    ),
    "job_time_exceeded": (
        N_("Longer on its worker than it may be"),
        N_("Submit them again with more time, or release them to try once more."),
    ),
    "held_by_user": (N_("Held by a person"), N_("Release them when they shall run.")),
    "submitted_on_hold": (N_("Submitted on hold"), N_("Release them when they shall run.")),
    "policy_hold": (N_("Held by the rules of the submit file"), N_("Mend the cause, then release them.")),
    "policy_undefined": (
        N_("A rule of the submit file has no value"),
        N_("Mend the rule, and submit them again."),
    ),
    "executable_missing": (
        N_("The program is not on the machine"),
        N_("Install it in the image, or send it along with the submit."),
    ),
    "job_invalid": (N_("The program could not be started"), N_("Look at its name and its first line.")),
    "stdout_invalid": (
        N_("The file for the output cannot be written"),
        N_("Give it another name, and submit again."),
    ),
    "stdin_missing": (N_("The file for its input is missing"), N_("Submit again with the file.")),
    "output_missing": (
        N_("A result was not there at the end"),
        N_("Look at the log: the program may have stopped early, or called the file something else."),
    ),
    "output_invalid": (N_("A result cannot be brought back"), N_("Look at its name in the submit file.")),
    "output_too_large": (N_("A result is too large"), N_("Keep large results in VOSpace.")),
    "too_many_outputs": (N_("Too many results"), N_("Pack them into one file in the job.")),
    "output_send_failed": (N_("A result could not be sent"), N_("Release them to try again.")),
    "input_missing": (N_("An input is missing"), N_("Submit again with the file.")),
    "input_invalid": (N_("An input cannot be used"), N_("Look at its name in the submit file.")),
    "input_fetch_failed": (
        N_("An input could not be fetched"),
        N_("Look whether its address answers, then release them."),
    ),
    "lost_too_often": (
        N_("Its workers were lost too often"),
        N_("Look at the logs for a cause, then release them."),
    ),
    "checkpoint_missing": (N_("A checkpoint is missing"), N_("Release them to begin again.")),
    "checkpoint_failed": (N_("A checkpoint could not be made"), N_("Release them to begin again.")),
}
"""Hold code → what it is called, and what helps."""
ANY_HOLD = (N_("Held"), N_("Mend the cause, then release them."))
"""of codes that agents of other versions may name"""
EXIT = (N_("Ended with exit code %(code)s"), N_("Look at the log of one of them, then run them again."))
SIGNAL = (N_("Ended by signal %(signal)s"), N_("Look at the log of one of them, then run them again."))
FAILED = (N_("Ended without success"), N_("Look at the log of one of them, then run them again."))
MEMORY = N_("They asked for %(asked)s and had %(needed)s when they were stopped: ask for %(wanted)s.")
