"""Every cloud that we may use, reached through openstacksdk: capacity, images by digest, servers."""
