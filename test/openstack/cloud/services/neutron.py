from cloud import ini, settings
from cloud.process import Process
from cloud.readiness import Answers
from cloud.services.service import CatalogEntry, Service, config_file, console_script

QUOTAS = ('network', 'subnet', 'port', 'router', 'floatingip', 'security_group', 'security_group_rule')

service = Service(
    name='neutron',
    catalog=CatalogEntry('network', 'neutron'),
    config={
        'neutron.conf': ini.openstack('neutron', {
            'DEFAULT': {
                'host': settings.CONTROLLER,
                'state_path': settings.STATE / 'neutron',
                'transport_url': ini.RABBITMQ_URL,
                'bind_host': settings.HOST,
                'bind_port': settings.PORTS['neutron'],
                # everything in one process
                'api_workers': 0,
                'rpc_workers': 0,
                'rpc_state_report_workers': 0,
                'core_plugin': 'ml2',
                'service_plugins': 'router,tag',
                'api_paste_config': settings.UNPACKED / 'usr/share/neutron-common/api-paste.ini',
                'dhcp_agent_notification': False,
                # Nova waits for the news that a port is wired
                'notify_nova_on_port_status_changes': True,
                'notify_nova_on_port_data_changes': True,
            },
            'database': {'connection': ini.database('neutron')},
            'ml2': {
                'type_drivers': 'flat,vxlan',
                'tenant_network_types': 'vxlan',
                'mechanism_drivers': 'agentless',
                'extension_drivers': 'port_security',
            },
            'ml2_type_flat': {'flat_networks': 'public'},
            'ml2_type_vxlan': {'vni_ranges': '1:10000'},
            'quotas': {'default_quota': -1} | {f'quota_{name}': -1 for name in QUOTAS},
            'nova': ini.peer('nova'),
            'placement': ini.peer('neutron'),
        })
    },
    databases=['neutron'],
    schema=console_script(
        'neutron.db.migration.cli:main', 'neutron-db-manage', *config_file('neutron.conf'), 'upgrade', 'heads'),
    processes=[
        Process(
            'neutron',
            console_script('neutron.cmd.eventlet.server:main', 'neutron-server', *config_file('neutron.conf')),
            ready=Answers(settings.PORTS['neutron']),
            needs=['neutron schema', 'rabbitmq'],
            ports=[settings.PORTS['neutron']],
        )
    ],
)
