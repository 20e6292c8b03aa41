"""What a test finds in the cloud. Each function makes what is missing and returns its part of cloud.json."""
import os
from typing import Any

from cloud import settings
from cloud.api import Api, ApiError, poll
from cloud.services import cinder

Part = dict[str, Any]

# name: vcpus, MiB of memory, GiB of disk, GiB of ephemeral disk
FLAVORS = {
    'm1.tiny': (1, 512, 1, 0),
    'm1.small': (1, 2048, 20, 0),
    'm1.medium': (2, 4096, 40, 0),
    'm1.ephemeral': (2, 4096, 10, 20),
}
IMAGE = 'tiny'
IMAGE_BYTES = 1 << 20
CONTAINER = 'bosh'
KEYPAIR = 'bosh'
KEYPAIR_FILE = settings.STATE / 'bosh.pem'


def networks(bosh: Api, admin: Api) -> Part:
    """net-a, routed to the external network ext; net-b, on its own; security groups; a floating IP to use."""

    def network(api: Api, name: str, cidr: str, *, dhcp: bool = True, **attributes: object) -> Part:
        network_id = api.ensure('network', '/v2.0/networks', 'network', name, **attributes)['id']
        subnet = api.ensure('network', '/v2.0/subnets', 'subnet', f'{name}-subnet', network_id=network_id,
                            ip_version=4, cidr=cidr, enable_dhcp=dhcp)
        return {'id': network_id, 'subnet_id': subnet['id'], 'cidr': cidr, 'gateway': subnet['gateway_ip']}

    made = {
        'net-a': network(bosh, 'net-a', '10.10.0.0/24'),
        'net-b': network(bosh, 'net-b', '10.20.0.0/24'),
        'ext': network(admin, 'ext', '172.24.4.0/24', dhcp=False, **{
            'router:external': True,
            'provider:network_type': 'flat',
            'provider:physical_network': 'public',
        }),
    }
    router_id = bosh.ensure(
        'network', '/v2.0/routers', 'router', 'router', external_gateway_info={'network_id': made['ext']['id']})['id']
    if not bosh.find('network', f'/v2.0/ports?device_id={router_id}', device_owner='network:router_interface'):
        bosh.request('PUT', 'network', f'/v2.0/routers/{router_id}/add_router_interface',
                     {'subnet_id': made['net-a']['subnet_id']})

    floating_ip = bosh.find('network', '/v2.0/floatingips', port_id=None) or bosh.post(
        'network', '/v2.0/floatingips', {'floatingip': {'floating_network_id': made['ext']['id']}})['floatingip']
    return {
        'networks': made,
        'router_id': router_id,
        'security_groups': {name: security_group(bosh, name) for name in ('default', 'bosh', 'extra')},
        'floating_ip': {'id': floating_ip['id'], 'address': floating_ip['floating_ip_address']},
    }


def security_group(bosh: Api, name: str) -> str:
    """Its id. A new one lets its members talk to each other, and anyone in by SSH."""
    if group := bosh.find('network', f'/v2.0/security-groups?project_id={bosh.project_id}', name=name):
        return group['id']
    group_id = bosh.post('network', '/v2.0/security-groups', {'security_group': {'name': name}})['security_group']['id']
    for sources in (
        {'remote_group_id': group_id},
        {'remote_ip_prefix': '0.0.0.0/0', 'protocol': 'tcp', 'port_range_min': 22, 'port_range_max': 22},
    ):
        bosh.post('network', '/v2.0/security-group-rules', {'security_group_rule': {
            'security_group_id': group_id, 'direction': 'ingress', 'ethertype': 'IPv4', **sources}})
    return group_id


def load_balancer(bosh: Api, subnet_id: str) -> Part:
    """lb on net-a: listener-a (HTTP 80) -> pool-a, listener-b (TCP 8443) -> pool-b."""

    def ensure(path: str, kind: str, name: str, **attributes: object) -> str:
        made = bosh.ensure('load-balancer', f'/v2.0/lbaas/{path}', kind, name, **attributes)['id']
        # meanwhile any further change would be refused
        poll(f'load balancer ACTIVE after {name}', lambda: bosh.find(
            'load-balancer', '/v2.0/lbaas/loadbalancers', name='lb', provisioning_status='ACTIVE'))
        return made

    balancer_id = ensure('loadbalancers', 'loadbalancer', 'lb', vip_subnet_id=subnet_id)
    listeners, pools = {}, {}
    for letter, protocol, port in (('a', 'HTTP', 80), ('b', 'TCP', 8443)):
        listener, pool = f'listener-{letter}', f'pool-{letter}'
        listeners[listener] = ensure('listeners', 'listener', listener, loadbalancer_id=balancer_id,
                                     protocol=protocol, protocol_port=port)
        pools[pool] = ensure('pools', 'pool', pool, listener_id=listeners[listener], protocol=protocol,
                             lb_algorithm='ROUND_ROBIN')
    return {'load_balancer': {'id': balancer_id, 'name': 'lb', 'listeners': listeners, 'pools': pools}}


def image(bosh: Api) -> Part:
    """An image that no machine could boot, which these do not mind."""
    found = bosh.find('image', f'/v2/images?name={IMAGE}', status='active')
    if not found:
        found = bosh.post('image', '/v2/images', {'name': IMAGE, 'disk_format': 'raw', 'container_format': 'bare'})
        bosh.request('PUT', 'image', f'/v2/images/{found["id"]}/file', os.urandom(IMAGE_BYTES),
                     {'Content-Type': 'application/octet-stream'})
    return {'image': {'id': found['id'], 'name': IMAGE, 'size': IMAGE_BYTES}}


def volume_types(admin: Api) -> Part:
    return {'volume_types': {
        name: admin.ensure('volumev3', '/types', 'volume_type', name, extra_specs={'volume_backend_name': name})['id']
        for name in settings.VOLUME_TYPES
    }}


def flavors(admin: Api) -> Part:
    return {'flavors': {
        name: admin.ensure('compute', '/flavors', 'flavor', name, vcpus=vcpus, ram=ram, disk=disk,
                           **{'OS-FLV-EXT-DATA:ephemeral': ephemeral})['id']
        for name, (vcpus, ram, disk, ephemeral) in FLAVORS.items()
    }}


def availability_zones(admin: Api) -> Part:
    """An aggregate for each zone."""
    for host, zone in settings.COMPUTE_HOSTS.items():
        aggregate = admin.ensure('compute', '/os-aggregates', 'aggregate', zone, availability_zone=zone)
        if host not in aggregate.get('hosts', ()):
            poll(f'{host} mapped into the cell', lambda: _add_host(admin, aggregate['id'], host))
    return {'availability_zones': list(settings.ZONES), 'compute_hosts': settings.COMPUTE_HOSTS}


def _add_host(admin: Api, aggregate_id: int, host: str) -> bool:
    try:
        admin.post('compute', f'/os-aggregates/{aggregate_id}/action', {'add_host': {'host': host}})
    except ApiError as error:
        if error.status == 404:
            return False
        raise
    return True


def keypair(bosh: Api) -> Part:
    known = [one['keypair']['name'] for one in bosh.get('compute', '/os-keypairs')['keypairs']]
    if KEYPAIR not in known:
        made = bosh.post('compute', '/os-keypairs', {'keypair': {'name': KEYPAIR}})['keypair']
        KEYPAIR_FILE.touch(mode=0o600)
        KEYPAIR_FILE.write_text(made['private_key'])
    return {'keypair': KEYPAIR, 'private_key_file': str(KEYPAIR_FILE)}


def credentials(bosh: Api) -> Part:
    """An application credential, and an EC2 one for S3."""
    application = bosh.ensure(
        'identity', f'/users/{bosh.user_id}/application_credentials', 'application_credential', 'bosh-app',
        secret=settings.APPLICATION_CREDENTIAL_SECRET)
    ec2_path = f'/users/{bosh.user_id}/credentials/OS-EC2'
    ec2 = bosh.find('identity', ec2_path, tenant_id=bosh.project_id) or bosh.post(
        'identity', ec2_path, {'tenant_id': bosh.project_id})['credential']
    return {
        'application_credential': {
            'id': application['id'],
            'name': 'bosh-app',
            'secret': settings.APPLICATION_CREDENTIAL_SECRET,
        },
        's3': {
            'endpoint': settings.url('swift'),
            'region': settings.REGION,
            'access_key': ec2['access'],
            'secret_key': ec2['secret'],
        },
    }


def object_store(bosh: Api) -> Part:
    bosh.request('POST', 'object-store', '', headers={'X-Account-Meta-Temp-URL-Key': settings.TEMP_URL_KEY})
    bosh.request('PUT', 'object-store', f'/{CONTAINER}')
    return {'swift': {'container': CONTAINER, 'temp_url_key': settings.TEMP_URL_KEY}}


def wait_until_schedulable(admin: Api) -> Part:
    """Both schedulers pass over a host or a backend that has not reported lately."""

    def all_up(service_type: str) -> bool:
        return all(one['state'] == 'up' for one in admin.get(service_type, '/os-services')['services'])

    poll('every part of Nova up', lambda: all_up('compute'))
    poll('every part of Cinder up', lambda: all_up('volumev3'))
    poll('every backend known to the scheduler of Cinder',
         lambda: len(admin.get('volumev3', '/scheduler-stats/get_pools')['pools']) == len(cinder.BACKENDS))
    return {}


def trial_servers(bosh: Api, found: Part) -> Part:
    """One server on its way through everything in each zone: the first ones may find a part that is up, yet not ready."""

    def start(zone: str) -> str:
        return bosh.post('compute', '/servers', {'server': {
            'name': f'trial-{zone}', 'availability_zone': zone, 'imageRef': found['image']['id'],
            'flavorRef': found['flavors']['m1.tiny'], 'networks': [{'uuid': found['networks']['net-a']['id']}],
        }})['server']['id']

    def runs(server_id: str) -> bool:
        status = bosh.get('compute', f'/servers/{server_id}')['server']['status']
        if status == 'ERROR':
            raise _TrialFailed
        return status == 'ACTIVE'

    def tried(zone: str) -> bool:
        server_id = start(zone)
        try:
            return poll(f'a trial server in {zone}', lambda: runs(server_id))
        except _TrialFailed:
            return False
        finally:
            bosh.request('DELETE', 'compute', f'/servers/{server_id}')
            poll(f'the trial server in {zone} gone', lambda: not bosh.find('compute', '/servers', id=server_id))

    for zone in settings.ZONES:
        poll(f'servers in {zone}', lambda zone=zone: tried(zone))
    return {}


class _TrialFailed(Exception):
    pass
