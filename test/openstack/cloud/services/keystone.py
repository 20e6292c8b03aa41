import base64
import os

from cloud import ini, settings
from cloud.readiness import Answers
from cloud.services.service import CatalogEntry, Service, config_file, console_script, uwsgi

TOKEN_KEYS = settings.STATE / 'keystone' / 'token-keys'
CREDENTIAL_KEYS = settings.STATE / 'keystone' / 'credential-keys'

MANAGE = console_script('keystone.cmd.manage:main', 'keystone-manage')
CONFIG = config_file('keystone.conf')


def prepare() -> None:
    for folder in (TOKEN_KEYS, CREDENTIAL_KEYS):
        folder.mkdir(parents=True, exist_ok=True)
        # Keystone encrypts with the key of the highest number; 0 is the next one
        for number in ('0', '1'):
            key = folder / number
            if not key.exists():
                key.write_bytes(base64.urlsafe_b64encode(os.urandom(32)))


service = Service(
    name='keystone',
    catalog=CatalogEntry('identity', 'keystone', '/v3'),
    prepare=prepare,
    config={
        'keystone.conf': ini.render({
            'DEFAULT': {'use_stderr': True},
            'database': {'connection': ini.database('keystone')},
            'cache': {
                'enabled': True,
                'backend': 'dogpile.cache.memcached',
                'memcache_servers': ini.MEMCACHED,
            },
            'token': {'provider': 'fernet', 'expiration': 4 * 3600},
            'fernet_tokens': {'key_repository': TOKEN_KEYS},
            # the receipts of multi-factor logins; their default is a folder in /etc, which has to exist
            'fernet_receipts': {'key_repository': TOKEN_KEYS},
            'credential': {'key_repository': CREDENTIAL_KEYS},
            # the default, 12 rounds, makes each login cost a third of a second
            'identity': {'password_hash_rounds': 4},
            'oslo_messaging_notifications': {'driver': 'noop'},
            'oslo_middleware': {'enable_proxy_headers_parsing': True},
        })
    },
    databases=['keystone'],
    schema=[
        *MANAGE, *CONFIG, 'db_sync', '--',
        *CONFIG, 'bootstrap', '--bootstrap-username', 'admin', '--bootstrap-password', settings.PASSWORD,
        '--bootstrap-project-name', 'admin', '--bootstrap-service-name', 'keystone',
        '--bootstrap-region-id', settings.REGION, '--bootstrap-public-url', settings.AUTH_URL,
        '--bootstrap-internal-url', settings.AUTH_URL, '--bootstrap-admin-url', settings.AUTH_URL,
    ],
    processes=[
        uwsgi(
            'keystone',
            '/usr/bin/keystone-wsgi-public',
            Answers(settings.PORTS['keystone'], '/v3'),
            needs=['keystone schema', 'memcached'],
            environment={'OS_KEYSTONE_CONFIG_FILES': settings.ETC / 'keystone.conf'},
        )
    ],
)
