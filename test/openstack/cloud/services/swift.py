"""Object store of one device without replicas, with temporary URLs and the S3 API."""
from cloud import ini, program, settings
from cloud.process import Process
from cloud.readiness import Answers
from cloud.services.service import CatalogEntry, Service, console_script

# Where Swift looks for swift.conf and the rings.
FOLDER = settings.ETC / 'swift'
DEVICES = settings.STATE / 'swift'
DEVICE = 'disk'

FILTERS: dict[str, dict[str, object]] = {
    'catch_errors': {},
    'gatekeeper': {},
    'healthcheck': {},
    'proxy-logging': {},
    'cache': {'use': 'egg:swift#memcache', 'memcache_servers': ini.MEMCACHED},
    'listing_formats': {},
    'bulk': {},
    'tempurl': {'methods': 'GET HEAD PUT POST DELETE'},
    # S3 requests carry no token: they pass here, and s3token asks Keystone about their signature
    'authtoken': {
        'paste.filter_factory': 'keystonemiddleware.auth_token:filter_factory',
        'delay_auth_decision': True,
        **ini.token_check('swift'),
    },
    's3api': {'location': settings.REGION},
    's3token': {
        'auth_uri': settings.AUTH_URL,
        'reseller_prefix': 'AUTH_',
        'delay_auth_decision': True,
        # Keystone tells the result only to a service
        **ini.service_login('swift'),
    },
    'keystoneauth': {'reseller_prefix': 'AUTH_', 'operator_roles': 'admin, member'},
    'copy': {},
    'container-quotas': {},
    'account-quotas': {},
    'slo': {},
    'dlo': {},
    'versioned_writes': {'allow_versioned_writes': True, 'allow_object_versioning': True},
    'symlink': {},
}


def egg(name: str) -> str:
    return f'egg:swift#{name.replace("-", "_")}'


def default_section(port: int) -> dict[str, object]:
    return {'bind_ip': settings.HOST, 'bind_port': port, 'workers': 0, 'user': 'root', 'swift_dir': FOLDER}


def proxy_conf() -> str:
    return ini.render({
        'DEFAULT': default_section(settings.PORTS['swift']),
        'pipeline:main': {'pipeline': ' '.join([*FILTERS, 'proxy-logging', 'proxy-server'])},
        **{
            f'filter:{name}': options if 'paste.filter_factory' in options else {'use': egg(name)} | options
            for name, options in FILTERS.items()
        },
        'app:proxy-server': {'use': 'egg:swift#proxy', 'account_autocreate': True, 'allow_account_management': True},
    })


def storage_conf(kind: str) -> str:
    return ini.render({
        'DEFAULT': default_section(settings.SWIFT_STORAGE_PORTS[kind]) | {
            'devices': DEVICES,
            'mount_check': False,
            'fallocate_reserve': 0,
        },
        'pipeline:main': {'pipeline': f'healthcheck {kind}-server'},
        'filter:healthcheck': {'use': 'egg:swift#healthcheck'},
        f'app:{kind}-server': {'use': f'egg:swift#{kind}'},
    })


def prepare() -> None:
    (DEVICES / DEVICE).mkdir(parents=True, exist_ok=True)
    if all((FOLDER / f'{kind}.ring.gz').exists() for kind in settings.SWIFT_STORAGE_PORTS):
        return
    runs: list[object] = []
    for kind, port in settings.SWIFT_STORAGE_PORTS.items():
        builder = FOLDER / f'{kind}.builder'
        runs += [
            builder, 'create', 4, 1, 0, '--',
            builder, 'add', f'r1z1-{settings.HOST}:{port}/{DEVICE}', 1, '--',
            builder, 'rebalance', '--',
        ]
    program.run('swift-ring-builder', console_script('swift.cli.ringbuilder:main', 'swift-ring-builder', *runs))


def server(kind: str, port: int) -> Process:
    return Process(
        f'swift-{kind}',
        [settings.PYTHON, '-P', settings.SOURCE / 'swift_server.py', FOLDER, settings.ETC / f'swift-{kind}.conf',
         f'{kind}-server'],
        ready=Answers(port, '/healthcheck'),
        ports=[port],
        needs=['swift preparation', 'memcached'],
    )


service = Service(
    name='swift',
    catalog=CatalogEntry('object-store', 'swift', '/v1/AUTH_%(project_id)s', admin_path='/v1'),
    prepare=prepare,
    config={
        'swift/swift.conf': ini.render({
            'swift-hash': {'swift_hash_path_prefix': 'cloud', 'swift_hash_path_suffix': 'tests'},
            'storage-policy:0': {'name': 'only', 'default': True},
        }),
        'swift-proxy.conf': proxy_conf(),
        **{f'swift-{kind}.conf': storage_conf(kind) for kind in settings.SWIFT_STORAGE_PORTS},
    },
    processes=[
        server('proxy', settings.PORTS['swift']),
        *(server(kind, port) for kind, port in settings.SWIFT_STORAGE_PORTS.items()),
    ],
)
