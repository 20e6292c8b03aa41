from cloud import ini, settings
from cloud.process import Process
from cloud.readiness import Answers, Consumes
from cloud.services.service import CatalogEntry, Service, config_file, console_script

CONFIG = config_file('nova.conf')
QUOTAS = ('instances', 'cores', 'ram', 'key_pairs', 'server_groups', 'server_group_members', 'injected_files')

nova_conf = ini.openstack('nova', {
    'DEFAULT': {
        'host': settings.CONTROLLER,
        'my_ip': settings.HOST,
        'state_path': settings.STATE / 'nova',
        'transport_url': ini.RABBITMQ_URL,
        'enabled_apis': 'osapi_compute,metadata',
        'osapi_compute_listen': settings.HOST,
        'osapi_compute_listen_port': settings.PORTS['nova'],
        'osapi_compute_workers': 1,
        'metadata_listen': settings.HOST,
        'metadata_listen_port': settings.PORTS['metadata'],
        'metadata_workers': 1,
        'compute_driver': 'memory_nova.Driver',
        'force_raw_images': False,
        # room for any number of servers
        'cpu_allocation_ratio': 100,
        'ram_allocation_ratio': 100,
        'disk_allocation_ratio': 100,
        'reclaim_instance_interval': 0,
        # no hypervisor, nothing to compare with
        'heal_instance_info_cache_interval': -1,
        'image_cache_manager_interval': -1,
        'running_deleted_instance_poll_interval': 0,
        'sync_power_state_interval': -1,
        'report_interval': 60,
        'service_down_time': 600,
        'rpc_response_timeout': 120,
    },
    'database': {'connection': ini.database('nova')},
    'api_database': {'connection': ini.database('nova_api')},
    'conductor': {'workers': 1},
    # the scheduler maps new hosts into the cell, as `nova-manage cell_v2 discover_hosts` would
    'scheduler': {'workers': 1, 'discover_hosts_in_cells_interval': 3},
    'wsgi': {'api_paste_config': settings.UNPACKED / 'usr/share/nova-common/api-paste.ini'},
    # a server is known to the metadata API by its address, which a test says in X-Forwarded-For
    'api': {'use_forwarded_for': True},
    'quota': {'metadata_items': 1024} | {name: -1 for name in QUOTAS},
    'service_user': ini.service_login('nova') | {'send_service_user_token': True},
    'placement': ini.peer('nova'),
    'neutron': ini.peer('nova'),
    'cinder': ini.service_login('nova') | {'os_region_name': settings.REGION},
    'glance': {'region_name': settings.REGION},
    'barbican': {'barbican_region_name': settings.REGION},
    'key_manager': {'backend': 'nova.keymgr.conf_key_mgr.ConfKeyManager'},
})


def compute(host: str) -> Process:
    return Process(
        f'nova-{host}',
        console_script('memory_nova:main', 'nova-compute', *CONFIG, *config_file(f'nova-{host}.conf')),
        ready=Consumes((f'compute.{host}',)),
        needs=['nova-conductor', 'placement', 'service users'],
    )


service = Service(
    name='nova',
    catalog=CatalogEntry('compute', 'nova', '/v2.1'),
    config={
        'nova.conf': nova_conf,
        **{
            f'nova-{host}.conf': ini.render({'DEFAULT': {'host': host, 'state_path': settings.STATE / 'nova' / host}})
            for host in settings.COMPUTE_HOSTS
        },
    },
    databases=['nova_api', 'nova', 'nova_cell0'],
    schema=console_script(
        'nova.cmd.manage:main', 'nova-manage',
        *CONFIG, 'api_db', 'sync', '--',
        *CONFIG, 'cell_v2', 'map_cell0', '--database_connection', ini.database('nova_cell0'), '--',
        *CONFIG, 'db', 'sync', '--',
        *CONFIG, 'cell_v2', 'create_cell', '--name', 'cell1',
    ),
    processes=[
        # these two ask Keystone for a token before anything else
        Process(
            'nova-conductor',
            console_script('nova.cmd.conductor:main', 'nova-conductor', *CONFIG),
            ready=Consumes(('conductor',)),
            needs=['nova schema', 'rabbitmq', 'service users'],
        ),
        Process(
            'nova-scheduler',
            console_script('nova.cmd.scheduler:main', 'nova-scheduler', *CONFIG),
            ready=Consumes(('scheduler',)),
            needs=['nova schema', 'rabbitmq', 'service users'],
        ),
        *map(compute, settings.COMPUTE_HOSTS),
        Process(
            'nova-api',
            console_script('nova.cmd.api:main', 'nova-api', *CONFIG),
            ready=Answers(settings.PORTS['nova']),
            needs=['nova schema', 'rabbitmq'],
            ports=[settings.PORTS['nova'], settings.PORTS['metadata']],
        ),
    ],
)
