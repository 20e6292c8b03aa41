from cloud import ini, settings
from cloud.process import Process
from cloud.readiness import Answers, Consumes
from cloud.services import haproxy
from cloud.services.service import CatalogEntry, Service, config_file, console_script, uwsgi

QUEUE = 'octavia_provisioning'

service = Service(
    name='octavia',
    catalog=CatalogEntry('load-balancer', 'octavia'),
    config={
        'octavia.conf': ini.openstack('octavia', {
            'DEFAULT': {'transport_url': ini.RABBITMQ_URL, 'host': settings.CONTROLLER},
            'api_settings': {
                'bind_host': settings.HOST,
                'bind_port': settings.PORTS['octavia'],
                'auth_strategy': 'keystone',
                'default_provider_driver': 'amphora',
                'enabled_provider_drivers': 'amphora:Amphorae that are not there,octavia:Another name of amphora',
            },
            'database': {'connection': ini.database('octavia')},
            'oslo_messaging': {'topic': QUEUE},
            'controller_worker': {
                'workers': 1,
                'amphora_driver': 'amphora_noop_driver',
                'compute_driver': 'compute_noop_driver',
                'image_driver': 'image_noop_driver',
                'volume_driver': 'volume_noop_driver',
                'amp_image_tag': 'amphora',
                'client_ca': settings.CA_FILE,
            },
            'certificates': {
                'cert_manager': 'local_cert_manager',
                'ca_certificate': settings.CA_FILE,
                'ca_private_key': haproxy.CA_KEY,
            },
            'health_manager': {'heartbeat_key': 'no-amphora-has-a-heart'},
            'service_auth': ini.service_login('octavia'),
            'neutron': {'region_name': settings.REGION},
        }),
        # only for the worker: the API makes the VIP's port with the driver that is Octavia's default
        'octavia-worker.conf': ini.render({'controller_worker': {'network_driver': 'vip_port_only'}}),
    },
    databases=['octavia'],
    schema=console_script(
        'octavia.db.migration.cli:main', 'octavia-db-manage', *config_file('octavia.conf'), 'upgrade', 'head'),
    processes=[
        uwsgi(
            'octavia',
            '/usr/bin/octavia-wsgi',
            Answers(settings.PORTS['octavia']),
            arguments=['--pyargv', ' '.join(map(str, config_file('octavia.conf')))],
            needs=['octavia schema', 'rabbitmq'],
        ),
        Process(
            'octavia-worker',
            console_script('octavia.cmd.octavia_worker:main', 'octavia-worker',
                           *config_file('octavia.conf'), *config_file('octavia-worker.conf')),
            ready=Consumes((QUEUE,)),
            needs=['octavia schema', 'rabbitmq'],
        ),
    ],
)
