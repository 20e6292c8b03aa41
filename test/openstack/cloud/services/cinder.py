from cloud import ini, settings
from cloud.process import Process
from cloud.readiness import Answers, Consumes
from cloud.services.service import CatalogEntry, Service, config_file, console_script

BACKENDS = {f'{kind}-{zone}': (kind, zone) for zone in settings.ZONES for kind in settings.VOLUME_TYPES}
STATE = settings.STATE / 'cinder'
QUOTAS = ('volumes', 'snapshots', 'gigabytes', 'backups', 'backup_gigabytes')


def prepare() -> None:
    (STATE / 'conversion').mkdir(parents=True, exist_ok=True)


def backend(kind: str, zone: str) -> dict[str, object]:
    return {
        'volume_driver': 'sparse_cinder.SparseFileDriver',
        'volume_backend_name': kind,
        'backend_availability_zone': zone,
        'sparse_files_folder': STATE / 'volumes',
    }


service = Service(
    name='cinder',
    catalog=CatalogEntry('volumev3', 'cinderv3', '/v3/%(project_id)s'),
    prepare=prepare,
    config={
        'cinder.conf': ini.openstack('cinder', {
            'DEFAULT': {
                'host': settings.CONTROLLER,
                'my_ip': settings.HOST,
                'state_path': STATE,
                'image_conversion_dir': STATE / 'conversion',
                'transport_url': ini.RABBITMQ_URL,
                'osapi_volume_listen': settings.HOST,
                'osapi_volume_listen_port': settings.PORTS['cinder'],
                'osapi_volume_workers': 1,
                'api_paste_config': settings.UNPACKED / 'usr/share/cinder-common/api-paste.ini',
                'resource_query_filters_file': settings.UNPACKED / 'etc/cinder/resource_filters.json',
                'auth_strategy': 'keystone',
                'glance_api_servers': settings.url('glance'),
                'enabled_backends': tuple(BACKENDS),
                'default_volume_type': settings.VOLUME_TYPES[0],
                'default_availability_zone': settings.ZONES[0],
                'storage_availability_zone': settings.ZONES[0],
                'volume_clear': 'none',
                # The first report comes after one interval. Until then, a backend that was down for longer than
                # service_down_time counts as down.
                'report_interval': 10,
                'service_down_time': 600,
                'backend_stats_polling_interval': 10,
                **{f'quota_{name}': -1 for name in QUOTAS},
            },
            'database': {'connection': ini.database('cinder')},
            **{name: backend(*kind_and_zone) for name, kind_and_zone in BACKENDS.items()},
            # Debian's Cinder lets Nova detach a volume only with a token of the service beside the user's.
            'service_user': ini.service_login('cinder') | {'send_service_user_token': True},
            'nova': ini.peer('cinder'),
            'key_manager': {'backend': 'cinder.keymgr.conf_key_mgr.ConfKeyManager'},
        })
    },
    databases=['cinder'],
    schema=console_script('cinder.cmd.manage:main', 'cinder-manage', *config_file('cinder.conf'), 'db', 'sync'),
    processes=[
        Process(
            'cinder-api',
            console_script('cinder.cmd.api:main', 'cinder-api', *config_file('cinder.conf')),
            ready=Answers(settings.PORTS['cinder'], status=300),
            needs=['cinder schema', 'rabbitmq'],
            ports=[settings.PORTS['cinder']],
        ),
        Process(
            'cinder-scheduler',
            console_script('cinder.cmd.scheduler:main', 'cinder-scheduler', *config_file('cinder.conf')),
            ready=Consumes(('cinder-scheduler',)),
            needs=['cinder schema', 'rabbitmq'],
        ),
        Process(
            'cinder-volume',
            console_script('cinder.cmd.volume:main', 'cinder-volume', *config_file('cinder.conf')),
            ready=Consumes(tuple(f'cinder-volume.{settings.CONTROLLER}@{name}' for name in BACKENDS)),
            needs=['cinder schema', 'rabbitmq'],
        ),
    ],
)
