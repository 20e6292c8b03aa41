"""Where the cloud lives, which ports it takes, and the names and secrets that its users know."""
import os
from pathlib import Path

STATE = Path(os.environ.get('BOSH_OPENSTACK_DIR', '/var/tmp/bosh-openstack-cloud')).absolute()
ETC = STATE / 'etc'
LOG = STATE / 'log'
RUN = STATE / 'run'
LOCK = STATE / 'lock'
# Files of packages that are unpacked, not installed.
UNPACKED = STATE / 'unpacked'

SOURCE = Path(__file__).resolve().parent
DRIVERS = SOURCE.parent / 'drivers'
PYTHON = '/usr/bin/python3'

HOST = '127.0.0.1'

# An API's port is 20000 and its usual one; below 32768, where the kernel's own choices begin.
PORTS = {
    'keystone': 25000,
    'swift': 28080,
    'nova': 28774,
    'metadata': 28775,
    'cinder': 28776,
    'placement': 28778,
    'glance': 29292,
    'neutron': 29696,
    'octavia': 29876,
}
# The same API behind TLS is 2000 further.
TLS_PORTS = {name: port + 2000 for name, port in PORTS.items() if name != 'metadata'}

SWIFT_STORAGE_PORTS = {'object': 26200, 'container': 26201, 'account': 26202}
MEMCACHED_PORT = 21211
RABBITMQ_USER = 'cloud'
RABBITMQ_PORT = 26672
RABBITMQ_NODE_PORT = 26673
EPMD_PORT = 24369

REGION = 'RegionOne'
TLS_REGION = 'RegionTLS'

# Long and odd enough that a test can search a log for them.
PASSWORD = 'cloud-Passw0rd-of-tests'
APPLICATION_CREDENTIAL_SECRET = 'application-Cr3dential-of-tests'
TEMP_URL_KEY = 'temp-Url-k3y-of-tests'

# Nova's hosts and Cinder's backends by availability zone.
COMPUTE_HOSTS = {'compute-1': 'az1', 'compute-2': 'az1', 'compute-3': 'az2'}
ZONES = ('az1', 'az2')
VOLUME_TYPES = ('fast', 'slow')
# Host name under which everything else reports, so that the state outlives a change of the machine's own name.
CONTROLLER = 'controller'


def url(name: str) -> str:
    return f'http://{HOST}:{PORTS[name]}'


def tls_url(name: str) -> str:
    return f'https://{HOST}:{TLS_PORTS[name]}'


AUTH_URL = url('keystone') + '/v3'
TLS_AUTH_URL = tls_url('keystone') + '/v3'
CA_FILE = STATE / 'tls' / 'ca.pem'


def child_environment() -> dict[str, str]:
    """Environment of every process of the cloud: nothing of the caller's OpenStack, Python or proxy settings."""
    inherited = {name: os.environ[name] for name in ('PATH', 'TERM', 'TMPDIR') if name in os.environ}
    return inherited | {
        'HOME': str(STATE / 'home'),
        # stevedore keeps its table of entry points there
        'XDG_CACHE_HOME': str(STATE / 'home' / 'cache'),
        'LC_ALL': 'C.UTF-8',
        'PYTHONPATH': str(DRIVERS),
        'PYTHONNOUSERSITE': '1',
        'PYTHONDONTWRITEBYTECODE': '1',
    }
