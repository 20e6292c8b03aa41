from cloud import ini, settings
from cloud.process import Process
from cloud.readiness import Answers
from cloud.services.service import CatalogEntry, Service, config_file, console_script

STORES = {
    'images': settings.STATE / 'glance' / 'images',
    'os_glance_staging_store': settings.STATE / 'glance' / 'staging',
    'os_glance_tasks_store': settings.STATE / 'glance' / 'tasks',
}


def prepare() -> None:
    for folder in STORES.values():
        folder.mkdir(parents=True, exist_ok=True)


service = Service(
    name='glance',
    catalog=CatalogEntry('image', 'glance'),
    prepare=prepare,
    config={
        'glance.conf': ini.openstack('glance', {
            'DEFAULT': {
                'bind_host': settings.HOST,
                'bind_port': settings.PORTS['glance'],
                'workers': 0,
                'enabled_backends': 'images:file',
                'enabled_import_methods': '[glance-direct,web-download,copy-image]',
                'worker_self_reference_url': settings.url('glance'),
            },
            'database': {'connection': ini.database('glance')},
            'glance_store': {'default_backend': 'images'},
            **{name: {'filesystem_store_datadir': folder} for name, folder in STORES.items()},
            # a web server of a test has any port, and an address that Glance takes only if it is named
            'import_filtering_opts': {'allowed_ports': '[]', 'allowed_hosts': f'[{settings.HOST},localhost]'},
            'paste_deploy': {
                'flavor': 'keystone',
                'config_file': settings.UNPACKED / 'usr/share/glance-common/glance-api-paste.ini',
            },
        })
    },
    databases=['glance'],
    schema=console_script('glance.cmd.manage:main', 'glance-manage', *config_file('glance.conf'), 'db_sync'),
    processes=[
        Process(
            'glance',
            console_script('glance.cmd.api:main', 'glance-api', *config_file('glance.conf')),
            ready=Answers(settings.PORTS['glance'], status=300),
            needs=['glance schema'],
            ports=[settings.PORTS['glance']],
        )
    ],
)
