from cloud import ini, settings
from cloud.readiness import Answers
from cloud.services.service import CatalogEntry, Service, config_file, console_script, uwsgi

service = Service(
    name='placement',
    catalog=CatalogEntry('placement', 'placement'),
    config={
        'placement.conf': ini.openstack(
            'placement', {'placement_database': {'connection': ini.database('placement')}})
    },
    databases=['placement'],
    schema=console_script(
        'placement.cmd.manage:main', 'placement-manage', *config_file('placement.conf'), 'db', 'sync'),
    processes=[
        uwsgi(
            'placement',
            '/usr/bin/placement-api',
            Answers(settings.PORTS['placement']),
            needs=['placement schema'],
            environment={'OS_PLACEMENT_CONFIG_DIR': settings.ETC},
        )
    ],
)
