"""What refusals about people, groups and the running of the place are called to a person: by code, as in `wording`."""

from __future__ import annotations

from collections.abc import Mapping

from armillary.portal.i18n import N_

PEOPLE: Mapping[str, tuple[str, str]] = {
    "more_is_asked": (
        N_("A request of project %(project)s waits already."),
        N_("Wait until an administrator has decided on it."),
    ),
    "cloud_drained": (
        N_("Cloud %(cloud)s is being drained: no new workers boot there."),
        N_("Wait, or let the jobs run on other clouds."),
    ),
    "last_administrator": (
        N_("This is the only administrator of the platform."),
        N_("Make somebody else an administrator first."),
    ),
    "invitation_over": (
        N_("This invitation is used up, has expired, or was taken back."),
        N_("Ask whoever sent it for a new one."),
    ),
    "group_not_found": (N_("There is no such group."), N_("Check the name.")),
    "group_name_taken": (N_("The group name %(name)s is taken."), N_("Choose another name.")),
    "group_name_used": (
        N_("The name %(name)s was another group's, and names are not given again."),
        N_("Choose another name."),
    ),
    "group_circle": (
        N_("%(group)s would be in itself: its members are members of %(inner)s already."),
        N_("Put the people in, or make a group that both are in."),
    ),
    "group_of_project": (
        N_("%(group)s is the group of a project, which changes with the project."),
        N_("Change the members of the project."),
    ),
    "group_not_yours": (N_("You may not change the group %(group)s."), N_("Ask its owner.")),
    "too_many_groups": (
        N_("You own %(limit)s groups already."),
        N_("Delete one that nobody needs, or ask an administrator."),
    ),
    "too_many_invitations": (N_("%(group)s has %(limit)s invitations already."), N_("Take some back.")),
    "person_not_found": (N_("There is no such person."), N_("Check the user name.")),
    "notice_not_found": (N_("There is no such notice."), N_("List your notices.")),
    "announcement_not_found": (N_("There is no such announcement."), N_("List the announcements.")),
    "bad_notify_url": (
        N_("This is no address of http or https."),
        N_("Write it like https://example.org/done, escaped, without a password."),
    ),
    "row_incomplete": (
        N_("Line %(line)s of the table has %(values)s values, and there are %(columns)s columns."),
        N_("Give each row a value for each column."),
    ),
    "row_unfit": (
        N_("Line %(line)s of the table has a value that a submit file cannot hold."),
        N_("Leave out empty values, $( and a # or ) at the beginning of a row."),
    ),
}
"""Code of a refusal → what was wrong, and what to do."""

PEOPLE_NOTICES: Mapping[str, str] = {
    "person-changed": N_("The person is changed."),
    "project-changed": N_("The project is changed."),
    "allocation-changed": N_("The new allocation holds on every cloud from now on."),
    "cloud-drained": N_("No new workers boot there."),
    "cloud-resumed": N_("Workers boot there again."),
    "announced": N_("It is announced."),
    "announcement-ended": N_("It is announced no more."),
    "group-made": N_("The group is made."),
    "group-changed": N_("The group is changed."),
    "group-deleted": N_("The group is deleted."),
    "group-joined": N_("You are in the group."),
    "invitation-gone": N_("The link leads nowhere now."),
}
"""What is said after a form was sent, by the name in the address."""

FINDINGS = (
    N_("A group's name is 1 to 128 letters, digits or ',._~-'."),
    N_("A link is good for 1 to 90 days."),
    N_("A link is good for 1 to 10000 people."),
    N_("It must end after it began."),
    N_("This is over already."),
    N_("This is no moment."),
    N_("The project has exactly this."),
)
"""What services say about single fields, here for the catalogues only."""
