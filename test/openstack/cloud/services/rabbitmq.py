from cloud import settings
from cloud.process import Process
from cloud.readiness import Listens
from cloud.services.service import Service

HOME = settings.STATE / 'rabbitmq'

EPMD_ENVIRONMENT = {'ERL_EPMD_ADDRESS': settings.HOST, 'ERL_EPMD_PORT': settings.EPMD_PORT}


def prepare() -> None:
    HOME.mkdir(exist_ok=True)


service = Service(
    name='rabbitmq',
    prepare=prepare,
    config={
        'rabbitmq.conf': f"""\
listeners.tcp.local = {settings.HOST}:{settings.RABBITMQ_PORT}
default_user = {settings.RABBITMQ_USER}
default_pass = {settings.PASSWORD}
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 50MB
log.file = false
log.console = true
log.console.level = warning
"""
    },
    processes=[
        # Erlang would start one by itself, and leave it behind.
        Process(
            'epmd',
            ['epmd'],
            ready=Listens((settings.EPMD_PORT,)),
            ports=[settings.EPMD_PORT],
            environment=EPMD_ENVIRONMENT,
        ),
        Process(
            'rabbitmq',
            ['/usr/lib/rabbitmq/bin/rabbitmq-server'],
            ready=Listens((settings.RABBITMQ_PORT,)),
            needs=['epmd'],
            ports=[settings.RABBITMQ_PORT, settings.RABBITMQ_NODE_PORT],
            environment=EPMD_ENVIRONMENT | {
                'HOME': HOME,
                'RABBITMQ_NODENAME': 'cloud@localhost',
                'RABBITMQ_DIST_PORT': settings.RABBITMQ_NODE_PORT,
                'RABBITMQ_CONFIG_FILE': settings.ETC / 'rabbitmq.conf',
                'RABBITMQ_CONF_ENV_FILE': '/dev/null',
                'RABBITMQ_ENABLED_PLUGINS_FILE': HOME / 'enabled_plugins',
                'RABBITMQ_MNESIA_BASE': HOME / 'mnesia',
                'RABBITMQ_LOG_BASE': HOME / 'log',
                'RABBITMQ_PID_FILE': HOME / 'pid',
                # one scheduler that does not spin: the cores are for the APIs
                'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS':
                    '+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}',
            },
            stop_seconds=30,
        ),
    ],
)
