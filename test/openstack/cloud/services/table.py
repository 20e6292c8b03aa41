"""All servers."""
from cloud.services import (
    cinder,
    glance,
    haproxy,
    keystone,
    mariadb,
    memcached,
    neutron,
    nova,
    octavia,
    placement,
    rabbitmq,
    swift,
)

FOUNDATIONS = [module.service for module in (mariadb, rabbitmq, memcached, haproxy)]
OPENSTACK = [module.service for module in (keystone, glance, placement, nova, neutron, cinder, octavia, swift)]
SERVICES = [*FOUNDATIONS, *OPENSTACK]
