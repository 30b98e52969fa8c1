"""Bodies of the requests by which the policy is tried: good ones, so that nothing but the policy refuses them.

`<name>` stands for an id of the project that is asked about.
"""

from __future__ import annotations

from typing import Any

_SERVER = "/v2.1/servers/{server_id}"
_VOLUME = "/v3/{project_id}/volumes/{volume_id}"
_SNAPSHOT = "/v3/{project_id}/snapshots/{snapshot_id}"
_ACTION = f"POST {_SERVER}/action"

COMPUTE: dict[str, Any] = {
    "POST /v2.1/servers": {
        "server": {"name": "new", "imageRef": "<image_id>", "flavorRef": "c1-1gb-5", "networks": "none"}
    },
    f"PUT {_SERVER}": {"server": {"name": "other"}},
    f"POST {_SERVER}/metadata": {"metadata": {"other": "v"}},
    f"PUT {_SERVER}/metadata": {"metadata": {"k": "v"}},
    f"PUT {_SERVER}/metadata/{{key}}": {"meta": {"k": "v"}},
    f"PUT {_SERVER}/tags": {"tags": ["t"]},
    f"POST {_SERVER}/os-interface": {"interfaceAttachment": {"net_id": "<network_id>"}},
    f"POST {_SERVER}/os-volume_attachments": {"volumeAttachment": {"volumeId": "<volume_id>"}},
    f"PUT {_SERVER}/os-volume_attachments/{{volume_id}}": {"volumeAttachment": {"volumeId": "<volume_id>"}},
    f"POST {_SERVER}/remote-consoles": {"remote_console": {"protocol": "vnc", "type": "novnc"}},
    f"{_ACTION} addFixedIp": {"networkId": "<network_id>"},
    f"{_ACTION} removeFixedIp": {"address": "10.0.0.9"},
    f"{_ACTION} addFloatingIp": {"address": "127.16.0.9"},
    f"{_ACTION} removeFloatingIp": {"address": "127.16.0.9"},
    f"{_ACTION} addSecurityGroup": {"name": "default"},
    f"{_ACTION} removeSecurityGroup": {"name": "default"},
    f"{_ACTION} changePassword": {"adminPass": "correct horse"},
    f"{_ACTION} createBackup": {"name": "b", "backup_type": "daily", "rotation": 1},
    f"{_ACTION} createImage": {"name": "copy"},
    f"{_ACTION} evacuate": {},
    f"{_ACTION} os-getConsoleOutput": {},
    f"{_ACTION} os-getRDPConsole": {"type": "rdp-html5"},
    f"{_ACTION} os-getSPICEConsole": {"type": "spice-html5"},
    f"{_ACTION} os-getSerialConsole": {"type": "serial"},
    f"{_ACTION} os-getVNCConsole": {"type": "novnc"},
    f"{_ACTION} os-migrateLive": {"host": None, "block_migration": "auto"},
    f"{_ACTION} os-resetState": {"state": "error"},
    f"{_ACTION} reboot": {"type": "HARD"},
    f"{_ACTION} rebuild": {"imageRef": "<image_id>"},
    f"{_ACTION} resize": {"flavorRef": "c1-1gb-5"},
    "POST /v2.1/flavors": {"flavor": {"name": "new", "ram": 64, "vcpus": 1, "disk": 1}},
    "PUT /v2.1/flavors/{flavor_id}": {"flavor": {"description": "seen"}},
    "POST /v2.1/flavors/{flavor_id}/action addTenantAccess": {"tenant": "<project_id>"},
    "POST /v2.1/flavors/{flavor_id}/action removeTenantAccess": {"tenant": "<project_id>"},
    "POST /v2.1/flavors/{flavor_id}/os-extra_specs": {"extra_specs": {"hw:cpu_policy": "shared"}},
    "PUT /v2.1/flavors/{flavor_id}/os-extra_specs/{key}": {"hw:cpu_policy": "shared"},
    "POST /v2.1/os-keypairs": {
        "keypair": {
            "name": "new",
            "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE6Yjcl6zxdpO7KrQ6qTuqQ9tjXl1CQH7eQzOE10nzD1 a",
        }
    },
    "PUT /v2.1/os-quota-sets/{project_id}": {"quota_set": {"cores": 5}},
    "POST /v2.1/os-security-groups": {"security_group": {"name": "new", "description": "new"}},
    "PUT /v2.1/os-security-groups/{group_id}": {"security_group": {"name": "other", "description": "other"}},
    "POST /v2.1/os-security-group-rules": {
        "security_group_rule": {
            "parent_group_id": "<group_id>",
            "ip_protocol": "tcp",
            "from_port": 1,
            "to_port": 1,
            "cidr": "10.0.0.0/8",
        }
    },
    "POST /v2.1/images/{image_id}/metadata": {"metadata": {"k": "v"}},
    "PUT /v2.1/images/{image_id}/metadata": {"metadata": {"k": "v"}},
    "PUT /v2.1/images/{image_id}/metadata/{key}": {"meta": {"k": "v"}},
    "POST /v2.1/os-floating-ips": {"pool": "public"},
    "POST /v2.1/os-volumes": {"volume": {"size": 1}},
    "POST /v2.1/os-server-groups": {"server_group": {"name": "g", "policy": "soft-affinity"}},
}

NETWORK: dict[str, Any] = {
    "POST /v2.0/networks": {"network": {"name": "new"}},
    "PUT /v2.0/networks/{network_id}": {"network": {"name": "other"}},
    "POST /v2.0/subnets": {"subnet": {"network_id": "<network_id>", "cidr": "10.77.0.0/24", "ip_version": 4}},
    "PUT /v2.0/subnets/{subnet_id}": {"subnet": {"name": "other"}},
    "POST /v2.0/ports": {"port": {"network_id": "<network_id>"}},
    "PUT /v2.0/ports/{port_id}": {"port": {"name": "other"}},
    "POST /v2.0/routers": {"router": {"name": "new"}},
    "PUT /v2.0/routers/{router_id}": {"router": {"name": "other"}},
    "PUT /v2.0/routers/{router_id}/add_router_interface": {"subnet_id": "<subnet_id>"},
    "PUT /v2.0/routers/{router_id}/remove_router_interface": {"subnet_id": "<subnet_id>"},
    "POST /v2.0/floatingips": {"floatingip": {"floating_network_id": "<public>"}},
    "PUT /v2.0/floatingips/{floating_id}": {"floatingip": {"description": "other"}},
    "POST /v2.0/security-groups": {"security_group": {"name": "new"}},
    "PUT /v2.0/security-groups/{group_id}": {"security_group": {"name": "other"}},
    "POST /v2.0/security-group-rules": {
        "security_group_rule": {
            "security_group_id": "<group_id>",
            "direction": "ingress",
            "ethertype": "IPv4",
        }
    },
    "PUT /v2.0/quotas/{project_id}": {"quota": {"network": 5}},
    "POST /v2.0/subnetpools": {"subnetpool": {"name": "new", "prefixes": ["10.98.0.0/16"]}},
    "PUT /v2.0/subnetpools/{subnetpool_id}": {"subnetpool": {"name": "other"}},
    "PUT /v2.0/subnetpools/{subnetpool_id}/add_prefixes": {"prefixes": ["10.97.0.0/16"]},
    "PUT /v2.0/subnetpools/{subnetpool_id}/remove_prefixes": {"prefixes": ["10.97.0.0/16"]},
    "POST /v2.0/address-scopes": {"address_scope": {"name": "new", "ip_version": 4}},
    "PUT /v2.0/address-scopes/{address_scope_id}": {"address_scope": {"name": "other"}},
    "POST /v2.0/rbac-policies": {
        "rbac_policy": {
            "object_type": "network",
            "object_id": "<network_id>",
            "action": "access_as_shared",
            "target_tenant": "e" * 32,
        }
    },
    "PUT /v2.0/rbac-policies/{rbac_policy_id}": {"rbac_policy": {"target_tenant": "d" * 32}},
    "PUT /v2.0/security-group-rules/{rule_id}": {"security_group_rule": {"description": "other"}},
    "PUT /v2.0/routers/{router_id}/add_extraroutes": {"router": {"routes": []}},
    "PUT /v2.0/routers/{router_id}/remove_extraroutes": {"router": {"routes": []}},
    **{
        f"PUT /v2.0/{path}/tags": {"tags": ["t"]}
        for path in (
            "networks/{network_id}",
            "subnets/{subnet_id}",
            "ports/{port_id}",
            "routers/{router_id}",
            "floatingips/{floating_id}",
            "security-groups/{group_id}",
            "subnetpools/{subnetpool_id}",
            "security-group-rules/{rule_id}",
        )
    },
}

IMAGE: dict[str, Any] = {
    "POST /v2/images": {"name": "new", "disk_format": "raw", "container_format": "bare"},
    "PATCH /v2/images/{image_id}": [{"op": "replace", "path": "/name", "value": "other"}],
    "POST /v2/images/{image_id}/import": {"method": {"name": "glance-direct"}},
    "POST /v2/images/{image_id}/members": {"member": "somebody"},
    "PUT /v2/images/{image_id}/members/{member_id}": {"status": "accepted"},
}

VOLUME: dict[str, Any] = {
    "POST /v3/{project_id}/volumes": {"volume": {"size": 1}},
    f"PUT {_VOLUME}": {"volume": {"name": "other"}},
    f"POST {_VOLUME}/metadata": {"metadata": {"k": "v"}},
    f"PUT {_VOLUME}/metadata": {"metadata": {"k": "v"}},
    f"PUT {_VOLUME}/metadata/{{key}}": {"meta": {"k": "v"}},
    "POST /v3/{project_id}/snapshots": {"snapshot": {"volume_id": "<volume_id>"}},
    f"PUT {_SNAPSHOT}": {"snapshot": {"name": "other"}},
    f"POST {_SNAPSHOT}/metadata": {"metadata": {"k": "v"}},
    f"PUT {_SNAPSHOT}/metadata": {"metadata": {"k": "v"}},
    f"PUT {_SNAPSHOT}/metadata/{{key}}": {"meta": {"k": "v"}},
    f"POST {_VOLUME}/action os-extend": {"new_size": 2},
    f"POST {_VOLUME}/action os-retype": {"new_type": "other", "migration_policy": "never"},
    f"POST {_VOLUME}/action os-set_bootable": {"bootable": True},
    f"POST {_VOLUME}/action os-update_readonly_flag": {"readonly": False},
    f"POST {_VOLUME}/action os-set_image_metadata": {"metadata": {"k": "v"}},
    f"POST {_VOLUME}/action os-unset_image_metadata": {"key": "k"},
    f"POST {_VOLUME}/action os-volume_upload_image": {"image_name": "copy"},
    f"POST {_VOLUME}/action os-reimage": {"image_id": "<image_id>"},
    f"POST {_VOLUME}/action revert": {"snapshot_id": "<snapshot_id>"},
    f"POST {_VOLUME}/action os-attach": {"instance_uuid": "<server_id>", "mountpoint": "/dev/vdb"},
    f"POST {_VOLUME}/action os-detach": {},
    f"POST {_VOLUME}/action os-initialize_connection": {"connector": {}},
    f"POST {_VOLUME}/action os-terminate_connection": {"connector": {}},
    f"POST {_VOLUME}/action os-reset_status": {"status": "error"},
    f"POST {_VOLUME}/action os-force_detach": {},
    f"POST {_SNAPSHOT}/action os-reset_status": {"status": "error"},
    "POST /v3/{project_id}/backups": {"backup": {"volume_id": "<volume_id>"}},
    "PUT /v3/{project_id}/backups/{backup_id}": {"backup": {"name": "other"}},
    "POST /v3/{project_id}/backups/{backup_id}/restore": {"restore": {"volume_id": "<volume_id>"}},
    "POST /v3/{project_id}/backups/{backup_id}/action os-reset_status": {"status": "error"},
    "PUT /v3/{project_id}/attachments/{attachment_id}": {"attachment": {"connector": {}}},
    "POST /v3/{project_id}/os-volume-transfer": {"transfer": {"volume_id": "<volume_id>"}},
    "POST /v3/{project_id}/volume-transfers": {"transfer": {"volume_id": "<volume_id>"}},
    "POST /v3/{project_id}/os-volume-transfer/{transfer_id}/accept": {"accept": {"auth_key": "x"}},
    "POST /v3/{project_id}/volume-transfers/{transfer_id}/accept": {"accept": {"auth_key": "x"}},
}

IDENTITY: dict[str, Any] = {
    "POST /v3/auth/tokens": {"auth": {"identity": {"methods": ["token"], "token": {"id": "<subject>"}}}},
    "POST /v3/projects": {"project": {"name": "new"}},
    "PATCH /v3/projects/{project_id}": {"project": {"description": "other"}},
    "POST /v3/domains": {"domain": {"name": "new"}},
    "POST /v3/users": {"user": {"name": "new"}},
    "PATCH /v3/users/{user_id}": {"user": {"description": "other"}},
    "POST /v3/users/{user_id}/password": {"user": {"original_password": "x", "password": "y"}},
    "POST /v3/users/{user_id}/application_credentials": {"application_credential": {"name": "new"}},
    "POST /v3/roles": {"role": {"name": "new"}},
    "PATCH /v3/roles/{role_id}": {"role": {"name": "new"}},
    "POST /v3/users/{user_id}/credentials/OS-EC2": {"tenant_id": "<project_id>"},
    "POST /v3/groups": {"group": {"name": "new"}},
    "PATCH /v3/groups/{group_id}": {"group": {"description": "other"}},
    "PUT /v3/projects/{project_id}/tags": {"tags": ["t"]},
}

BODIES = {"identity": IDENTITY, "image": IMAGE, "compute": COMPUTE, "network": NETWORK, "volume": VOLUME}
