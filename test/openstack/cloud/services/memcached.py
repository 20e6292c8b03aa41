from cloud import settings
from cloud.process import Process
from cloud.readiness import Listens
from cloud.services.service import Service

service = Service(
    name='memcached',
    processes=[
        Process(
            'memcached',
            ['memcached', '-u', 'root', '-l', settings.HOST, '-p', settings.MEMCACHED_PORT, '-m', 64],
            ready=Listens((settings.MEMCACHED_PORT,)),
            ports=[settings.MEMCACHED_PORT],
        )
    ],
)
