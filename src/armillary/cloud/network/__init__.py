"""Networks, subnets, ports, security groups, routers and floating IPs."""
