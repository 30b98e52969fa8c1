"""What a template is told: nothing that is anybody's."""

import json

from armillary.base.ids import Sha512
from armillary.cloud.core.template import Waiting, template_of

WAITING = Waiting(mark="armillary_template", name="n1", user_data="#cloud-config\n{}")
IMAGE = Sha512("ab" * 64)


def test_a_template_is_told_to_wait_and_where_its_card_is():
    template = template_of(WAITING, image=IMAGE, vendor_data="#!/bin/sh\n")
    drive = template.config_drive
    assert drive["openstack/latest/user_data"] == WAITING.user_data.encode()
    (link,) = json.loads(drive["openstack/latest/network_data.json"])["links"]
    assert link["ethernet_mac_address"] == template.port.mac
    assert json.loads(drive["openstack/latest/vendor_data.json"]) == {"cloud-init": "#!/bin/sh\n"}
    about = json.loads(drive["openstack/latest/meta_data.json"])
    assert about.keys() == {"uuid", "name", "hostname"}


def test_two_templates_of_one_image_are_the_same_and_another_text_makes_another():
    first = template_of(WAITING, image=IMAGE, vendor_data="")
    assert template_of(WAITING, image=IMAGE, vendor_data="") == first
    assert template_of(WAITING, image=IMAGE, vendor_data="#!/bin/sh\n").name != first.name
