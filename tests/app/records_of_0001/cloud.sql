BEGIN TRANSACTION;
CREATE TABLE cloud_addresses (
	subnet_id VARCHAR(64) NOT NULL, 
	ip_address VARCHAR(64) NOT NULL, 
	holder_id VARCHAR(64) NOT NULL, 
	PRIMARY KEY (subnet_id, ip_address)
);
INSERT INTO "cloud_addresses" VALUES('2b577ca3-43e7-4ec0-91d1-f9d140447a65','10.0.0.1','33dacc4d-8fa0-436e-91b3-f7efe2ff4c58');
INSERT INTO "cloud_addresses" VALUES('d26eceab-7df0-4838-b163-c3057b370559','127.41.0.4','f5c3c89a-b52d-428d-967f-ecb63d56b42b');
INSERT INTO "cloud_addresses" VALUES('2b577ca3-43e7-4ec0-91d1-f9d140447a65','10.0.0.4','a8f55990-f907-42eb-9076-b87a42dfabc5');
INSERT INTO "cloud_addresses" VALUES('d26eceab-7df0-4838-b163-c3057b370559','127.41.0.5','a5623dc3-9fdc-4543-8bd2-8c90b957f10b');
CREATE TABLE cloud_flavor_access (
	flavor_id VARCHAR(255) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	PRIMARY KEY (flavor_id, project_id)
);
CREATE TABLE cloud_flavors (
	id VARCHAR(255) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	vcpus INTEGER NOT NULL, 
	ram INTEGER NOT NULL, 
	disk INTEGER NOT NULL, 
	ephemeral INTEGER NOT NULL, 
	swap INTEGER NOT NULL, 
	is_public BOOLEAN NOT NULL, 
	rxtx_factor FLOAT NOT NULL, 
	description TEXT, 
	extra_specs JSON NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "cloud_flavors" VALUES('c1-0.5gb-3','c1-0.5gb-3',1,512,3,5,0,1,1.0,NULL,'{}');
INSERT INTO "cloud_flavors" VALUES('c1-1gb-5','c1-1gb-5',1,1024,5,5,0,1,1.0,NULL,'{}');
INSERT INTO "cloud_flavors" VALUES('c2-2gb-10','c2-2gb-10',2,2048,10,10,0,1,1.0,NULL,'{}');
INSERT INTO "cloud_flavors" VALUES('c4-8gb-20','c4-8gb-20',4,8192,20,20,0,1,1.0,NULL,'{}');
INSERT INTO "cloud_flavors" VALUES('c8-16gb-40','c8-16gb-40',8,16384,40,20,0,1,1.0,NULL,'{}');
CREATE TABLE cloud_floating_ips (
	id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description TEXT NOT NULL, 
	tags JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	revision_number INTEGER NOT NULL, 
	network_id VARCHAR(64) NOT NULL, 
	address VARCHAR(64) NOT NULL, 
	port_id VARCHAR(64), 
	fixed_ip_address VARCHAR(64), 
	router_id VARCHAR(64), 
	PRIMARY KEY (id), 
	UNIQUE (address)
);
INSERT INTO "cloud_floating_ips" VALUES('a5623dc3-9fdc-4543-8bd2-8c90b957f10b','a12ccc2a84d144c2abcea2297d3dcd97','','','[]','2026-11-22 22:51:59.865734','2026-11-22 22:51:59.869564',1,'378de32c-38ff-44ea-ba63-d00cf9c6b373','127.41.0.5','a8f55990-f907-42eb-9076-b87a42dfabc5','10.0.0.4','f0795519-e55b-438d-841f-58791d78df15');
CREATE TABLE cloud_furnished_projects (
	project_id VARCHAR(64) NOT NULL, 
	PRIMARY KEY (project_id)
);
INSERT INTO "cloud_furnished_projects" VALUES('a12ccc2a84d144c2abcea2297d3dcd97');
CREATE TABLE cloud_instance_actions (
	id VARCHAR(64) NOT NULL, 
	server_id VARCHAR(64) NOT NULL, 
	action VARCHAR(60) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	user_id VARCHAR(64) NOT NULL, 
	started_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	finished BOOLEAN NOT NULL, 
	message TEXT, 
	PRIMARY KEY (id, server_id, action)
);
INSERT INTO "cloud_instance_actions" VALUES('req-f5102786-1cb9-43a2-aace-bbea7317ee88','8a83675a-623e-4a51-84e6-c4a3107b57bb','create','a12ccc2a84d144c2abcea2297d3dcd97','65c3acdd416d4d74aa67568a54290466','2026-11-22 22:51:57.404411','2026-11-22 22:51:57.491819',1,NULL);
CREATE TABLE cloud_keypairs (
	person_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	kind VARCHAR(20) NOT NULL, 
	public_key TEXT NOT NULL, 
	fingerprint VARCHAR(100) NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (person_id, name)
);
INSERT INTO "cloud_keypairs" VALUES('65c3acdd416d4d74aa67568a54290466','k','ssh','ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHbV0bbBsTkxVZlFDYfYzF9Zw4zXQjN2x1k9JjXNqz0b demo','bb:7a:81:65:d3:ae:67:a8:c8:32:4e:19:13:bb:5d:4b','2026-11-22 22:51:55.628548');
CREATE TABLE cloud_networks (
	id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description TEXT NOT NULL, 
	tags JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	revision_number INTEGER NOT NULL, 
	admin_state_up BOOLEAN NOT NULL, 
	mtu INTEGER NOT NULL, 
	external BOOLEAN NOT NULL, 
	shared BOOLEAN NOT NULL, 
	port_security_enabled BOOLEAN NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "cloud_networks" VALUES('378de32c-38ff-44ea-ba63-d00cf9c6b373','00000000000000000000000000000000','public','Floating IPs of this cloud','[]','2026-11-22 22:51:26.635638','2026-11-22 22:51:26.635638',0,1,1500,1,0,1);
INSERT INTO "cloud_networks" VALUES('b71503c8-45a5-4203-9de4-4dab2e7d27f7','a12ccc2a84d144c2abcea2297d3dcd97','admin-net','','[]','2026-11-22 22:51:57.229724','2026-11-22 22:51:57.229724',0,1,1500,0,0,1);
CREATE TABLE cloud_ports (
	id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description TEXT NOT NULL, 
	tags JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	revision_number INTEGER NOT NULL, 
	network_id VARCHAR(64) NOT NULL, 
	mac_address VARCHAR(20) NOT NULL, 
	fixed_ips JSON NOT NULL, 
	device_id VARCHAR(255) NOT NULL, 
	device_owner VARCHAR(255) NOT NULL, 
	admin_state_up BOOLEAN NOT NULL, 
	status VARCHAR(20) NOT NULL, 
	security_groups JSON NOT NULL, 
	port_security_enabled BOOLEAN NOT NULL, 
	allowed_address_pairs JSON NOT NULL, 
	ours BOOLEAN NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (mac_address)
);
INSERT INTO "cloud_ports" VALUES('33dacc4d-8fa0-436e-91b3-f7efe2ff4c58','a12ccc2a84d144c2abcea2297d3dcd97','','','[]','2026-11-22 22:51:57.250249','2026-11-22 22:51:57.250249',0,'b71503c8-45a5-4203-9de4-4dab2e7d27f7','fa:16:3e:ff:4c:58','[{"subnet_id": "2b577ca3-43e7-4ec0-91d1-f9d140447a65", "ip_address": "10.0.0.1"}]','f0795519-e55b-438d-841f-58791d78df15','network:router_interface',1,'ACTIVE','[]',0,'[]',1);
INSERT INTO "cloud_ports" VALUES('f5c3c89a-b52d-428d-967f-ecb63d56b42b','00000000000000000000000000000000','','','[]','2026-11-22 22:51:57.259165','2026-11-22 22:51:57.259165',0,'378de32c-38ff-44ea-ba63-d00cf9c6b373','fa:16:3e:56:b4:2b','[{"subnet_id": "d26eceab-7df0-4838-b163-c3057b370559", "ip_address": "127.41.0.4"}]','f0795519-e55b-438d-841f-58791d78df15','network:router_gateway',1,'ACTIVE','[]',0,'[]',1);
INSERT INTO "cloud_ports" VALUES('a8f55990-f907-42eb-9076-b87a42dfabc5','a12ccc2a84d144c2abcea2297d3dcd97','','','[]','2026-11-22 22:51:57.404090','2026-11-22 22:51:57.404090',0,'b71503c8-45a5-4203-9de4-4dab2e7d27f7','fa:16:3e:df:ab:c5','[{"subnet_id": "2b577ca3-43e7-4ec0-91d1-f9d140447a65", "ip_address": "10.0.0.4"}]','8a83675a-623e-4a51-84e6-c4a3107b57bb','compute:nova',1,'DOWN','["f09fba50-2ada-4710-bf63-23f3f6b6169b"]',1,'[]',1);
CREATE TABLE cloud_quotas (
	project_id VARCHAR(64) NOT NULL, 
	service VARCHAR(20) NOT NULL, 
	resource VARCHAR(60) NOT NULL, 
	amount INTEGER NOT NULL, 
	PRIMARY KEY (project_id, service, resource)
);
CREATE TABLE cloud_routers (
	id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description TEXT NOT NULL, 
	tags JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	revision_number INTEGER NOT NULL, 
	admin_state_up BOOLEAN NOT NULL, 
	external_network_id VARCHAR(64), 
	enable_snat BOOLEAN NOT NULL, 
	routes JSON NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "cloud_routers" VALUES('f0795519-e55b-438d-841f-58791d78df15','a12ccc2a84d144c2abcea2297d3dcd97','admin-router','','[]','2026-11-22 22:51:57.230786','2026-11-22 22:51:57.264710',1,1,'378de32c-38ff-44ea-ba63-d00cf9c6b373',1,'[]');
CREATE TABLE cloud_security_group_rules (
	id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description TEXT NOT NULL, 
	tags JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	revision_number INTEGER NOT NULL, 
	security_group_id VARCHAR(64) NOT NULL, 
	direction VARCHAR(10) NOT NULL, 
	ethertype VARCHAR(10) NOT NULL, 
	protocol VARCHAR(20), 
	port_range_min INTEGER, 
	port_range_max INTEGER, 
	remote_ip_prefix VARCHAR(64), 
	remote_group_id VARCHAR(64), 
	PRIMARY KEY (id)
);
INSERT INTO "cloud_security_group_rules" VALUES('1c7d73d3-2420-472c-84b7-187f69c9d108','a12ccc2a84d144c2abcea2297d3dcd97','','','[]','2026-11-22 22:51:57.218431','2026-11-22 22:51:57.218431',0,'f09fba50-2ada-4710-bf63-23f3f6b6169b','egress','IPv4',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "cloud_security_group_rules" VALUES('b7867385-aaa2-4183-958d-c7fb4b8372fd','a12ccc2a84d144c2abcea2297d3dcd97','','','[]','2026-11-22 22:51:57.219531','2026-11-22 22:51:57.219531',0,'f09fba50-2ada-4710-bf63-23f3f6b6169b','egress','IPv6',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "cloud_security_group_rules" VALUES('6e69f7d8-f38f-484c-9150-0d0161947537','a12ccc2a84d144c2abcea2297d3dcd97','','','[]','2026-11-22 22:51:57.220059','2026-11-22 22:51:57.220059',0,'f09fba50-2ada-4710-bf63-23f3f6b6169b','ingress','IPv4',NULL,NULL,NULL,NULL,'f09fba50-2ada-4710-bf63-23f3f6b6169b');
INSERT INTO "cloud_security_group_rules" VALUES('c269a078-b73e-4db3-a270-4f679fdd1054','a12ccc2a84d144c2abcea2297d3dcd97','','','[]','2026-11-22 22:51:57.220486','2026-11-22 22:51:57.220486',0,'f09fba50-2ada-4710-bf63-23f3f6b6169b','ingress','IPv6',NULL,NULL,NULL,NULL,'f09fba50-2ada-4710-bf63-23f3f6b6169b');
INSERT INTO "cloud_security_group_rules" VALUES('59f9d6e2-fbba-4799-83f9-11322f6ba4f2','a12ccc2a84d144c2abcea2297d3dcd97','','','[]','2026-11-22 22:51:57.220919','2026-11-22 22:51:57.220919',0,'f09fba50-2ada-4710-bf63-23f3f6b6169b','ingress','IPv4','tcp',22,22,NULL,NULL);
CREATE TABLE cloud_security_groups (
	id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description TEXT NOT NULL, 
	tags JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	revision_number INTEGER NOT NULL, 
	stateful BOOLEAN NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "cloud_security_groups" VALUES('f09fba50-2ada-4710-bf63-23f3f6b6169b','a12ccc2a84d144c2abcea2297d3dcd97','default','Default security group: lets everything out; lets in ssh (tcp 22) and what its members send','[]','2026-11-22 22:51:57.216914','2026-11-22 22:51:57.216914',0,1);
CREATE TABLE cloud_servers (
	id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description TEXT, 
	hostname VARCHAR(255) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	user_id VARCHAR(64) NOT NULL, 
	image_id VARCHAR(64) NOT NULL, 
	image_sha512 VARCHAR(128) NOT NULL, 
	image_format VARCHAR(20) NOT NULL, 
	flavor JSON NOT NULL, 
	key_name VARCHAR(255), 
	key_type VARCHAR(20) NOT NULL, 
	public_key TEXT, 
	user_data TEXT, 
	config_drive BOOLEAN NOT NULL, 
	metadata JSON NOT NULL, 
	tags JSON NOT NULL, 
	seed TEXT NOT NULL, 
	reservation_id VARCHAR(20) NOT NULL, 
	launch_index INTEGER NOT NULL, 
	vm_state VARCHAR(40) NOT NULL, 
	task_state VARCHAR(40), 
	fault JSON, 
	locked BOOLEAN NOT NULL, 
	locked_reason TEXT, 
	charged BOOLEAN NOT NULL, 
	placed BOOLEAN NOT NULL, 
	snapshot_image_id VARCHAR(64), 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	launched_at DATETIME, 
	deleted_at DATETIME, 
	PRIMARY KEY (id)
);
INSERT INTO "cloud_servers" VALUES('8a83675a-623e-4a51-84e6-c4a3107b57bb','one',NULL,'one','a12ccc2a84d144c2abcea2297d3dcd97','65c3acdd416d4d74aa67568a54290466','7237db2e-429e-448b-979b-38879a48e613','df40d4a774e0b453a5b87c00d6f0ef5d753143454e88ee5f7b607134598294c7905ccbcf94bbc46e474db6eb44e56a6dbb6d9a1be9d4fb5d1b5f2d0c6ed34bfe','raw','{"id": "c1-0.5gb-3", "name": "c1-0.5gb-3", "vcpus": 1, "ram": 512, "disk": 3, "ephemeral": 5, "swap": 0, "is_public": true, "rxtx_factor": 1.0, "description": null, "extra_specs": {}}','k','ssh','ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHbV0bbBsTkxVZlFDYfYzF9Zw4zXQjN2x1k9JjXNqz0b demo',NULL,0,'{}','[]','BIkISUjbRIQjZrMB4tym/74pqo8srvABAQ6I7y9JqEh0L0bl0EB0YYFwvUQFcz6/yIQUeWJ/0ODSzGDW3vFysg==','r-ab62483e',0,'active',NULL,NULL,0,NULL,1,1,NULL,'2026-11-22 22:51:57.399813','2026-11-22 22:51:57.490507','2026-11-22 22:51:57.490498',NULL);
CREATE TABLE cloud_subnets (
	id VARCHAR(64) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description TEXT NOT NULL, 
	tags JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	revision_number INTEGER NOT NULL, 
	network_id VARCHAR(64) NOT NULL, 
	ip_version INTEGER NOT NULL, 
	cidr VARCHAR(64) NOT NULL, 
	gateway_ip VARCHAR(64), 
	enable_dhcp BOOLEAN NOT NULL, 
	allocation_pools JSON NOT NULL, 
	dns_nameservers JSON NOT NULL, 
	host_routes JSON NOT NULL, 
	ipv6_ra_mode VARCHAR(20), 
	ipv6_address_mode VARCHAR(20), 
	PRIMARY KEY (id)
);
INSERT INTO "cloud_subnets" VALUES('d26eceab-7df0-4838-b163-c3057b370559','00000000000000000000000000000000','public-subnet','','[]','2026-11-22 22:51:26.654352','2026-11-22 22:51:26.654352',0,'378de32c-38ff-44ea-ba63-d00cf9c6b373',4,'127.41.0.0/24','127.41.0.1',0,'[{"start": "127.41.0.2", "end": "127.41.0.254"}]','[]','[]',NULL,NULL);
INSERT INTO "cloud_subnets" VALUES('2b577ca3-43e7-4ec0-91d1-f9d140447a65','a12ccc2a84d144c2abcea2297d3dcd97','admin-subnet','','[]','2026-11-22 22:51:57.230431','2026-11-22 22:51:57.230431',0,'b71503c8-45a5-4203-9de4-4dab2e7d27f7',4,'10.0.0.0/24','10.0.0.1',1,'[{"start": "10.0.0.2", "end": "10.0.0.254"}]','[]','[]',NULL,NULL);
CREATE TABLE image_images (
	id VARCHAR(36) NOT NULL, 
	project_id VARCHAR(64) NOT NULL, 
	owner_person VARCHAR(64) NOT NULL, 
	name VARCHAR(255), 
	status VARCHAR(40) NOT NULL, 
	visibility VARCHAR(40) NOT NULL, 
	disk_format VARCHAR(20), 
	container_format VARCHAR(20), 
	min_disk INTEGER NOT NULL, 
	min_ram INTEGER NOT NULL, 
	protected BOOLEAN NOT NULL, 
	os_hidden BOOLEAN NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	properties JSON NOT NULL, 
	tags JSON NOT NULL, 
	checksum VARCHAR(32), 
	sha512 VARCHAR(128), 
	size BIGINT, 
	virtual_size BIGINT, 
	fault TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "image_images" VALUES('7237db2e-429e-448b-979b-38879a48e613','a12ccc2a84d144c2abcea2297d3dcd97','65c3acdd416d4d74aa67568a54290466','base','active','shared','raw','bare',0,0,0,0,'2026-11-22 22:51:54.149021','2026-11-22 22:51:54.297387','{"owner_specified.openstack.md5": "", "owner_specified.openstack.sha256": "", "owner_specified.openstack.object": "images/base"}','[]','bf619eac0cdf3f68d496ea9344137e8b','df40d4a774e0b453a5b87c00d6f0ef5d753143454e88ee5f7b607134598294c7905ccbcf94bbc46e474db6eb44e56a6dbb6d9a1be9d4fb5d1b5f2d0c6ed34bfe',512,512,'');
CREATE TABLE image_members (
	image_id VARCHAR(36) NOT NULL, 
	member_id VARCHAR(255) NOT NULL, 
	status VARCHAR(40) NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	PRIMARY KEY (image_id, member_id)
);
CREATE INDEX ix_cloud_servers_project_id ON cloud_servers (project_id);
CREATE INDEX ix_cloud_servers_image_sha512 ON cloud_servers (image_sha512);
CREATE INDEX ix_cloud_servers_deleted_at ON cloud_servers (deleted_at);
CREATE INDEX ix_cloud_networks_project_id ON cloud_networks (project_id);
CREATE INDEX ix_cloud_subnets_network_id ON cloud_subnets (network_id);
CREATE INDEX ix_cloud_subnets_project_id ON cloud_subnets (project_id);
CREATE INDEX ix_cloud_ports_project_id ON cloud_ports (project_id);
CREATE INDEX ix_cloud_ports_network_id ON cloud_ports (network_id);
CREATE INDEX ix_cloud_ports_device_id ON cloud_ports (device_id);
CREATE INDEX ix_cloud_addresses_holder_id ON cloud_addresses (holder_id);
CREATE INDEX ix_cloud_security_groups_project_id ON cloud_security_groups (project_id);
CREATE INDEX ix_cloud_security_group_rules_security_group_id ON cloud_security_group_rules (security_group_id);
CREATE INDEX ix_cloud_security_group_rules_project_id ON cloud_security_group_rules (project_id);
CREATE INDEX ix_cloud_routers_project_id ON cloud_routers (project_id);
CREATE INDEX ix_cloud_floating_ips_port_id ON cloud_floating_ips (port_id);
CREATE INDEX ix_cloud_floating_ips_project_id ON cloud_floating_ips (project_id);
CREATE INDEX ix_image_images_visibility ON image_images (visibility);
CREATE INDEX ix_image_images_project_id ON image_images (project_id);
CREATE INDEX ix_image_images_sha512 ON image_images (sha512);
CREATE INDEX ix_image_images_name ON image_images (name);
COMMIT;
