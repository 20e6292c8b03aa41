"""TLS in front of every API, with a certificate of a CA that only the tests trust."""
from cloud import program, settings
from cloud.process import Process
from cloud.readiness import Listens
from cloud.services.service import Service

FOLDER = settings.CA_FILE.parent
CA_KEY = FOLDER / 'ca.key'
CERTIFICATE = FOLDER / 'server.pem'


def prepare() -> None:
    if CERTIFICATE.exists():
        return
    FOLDER.mkdir(exist_ok=True)
    key, request, signed, extensions = (
        FOLDER / f'server.{suffix}' for suffix in ('key', 'csr', 'crt', 'ext'))
    extensions.write_text(f'subjectAltName = IP:{settings.HOST}, DNS:localhost\nextendedKeyUsage = serverAuth\n')
    _openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', 3650, '-subj', '/CN=CA of the test cloud',
             '-addext', 'keyUsage = critical, keyCertSign, cRLSign', '-keyout', CA_KEY, '-out', settings.CA_FILE)
    _openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj', f'/CN={settings.HOST}', '-keyout', key, '-out', request)
    _openssl('x509', '-req', '-in', request, '-CA', settings.CA_FILE, '-CAkey', CA_KEY, '-CAcreateserial',
             '-days', 3650, '-extfile', extensions, '-out', signed)
    CERTIFICATE.write_text(signed.read_text() + key.read_text())


def _openssl(*arguments: object) -> None:
    program.run('openssl', ['openssl', *arguments])


def _front(name: str) -> str:
    return f"""
listen {name}
    bind {settings.HOST}:{settings.TLS_PORTS[name]} ssl crt {CERTIFICATE}
    http-request set-header X-Forwarded-Proto https
    server {name} {settings.HOST}:{settings.PORTS[name]}
"""


service = Service(
    name='haproxy',
    prepare=prepare,
    config={
        'haproxy.cfg': """\
global
    maxconn 500
defaults
    mode http
    timeout connect 5s
    timeout client 10m
    timeout server 10m
"""
        + ''.join(map(_front, settings.TLS_PORTS))
    },
    processes=[
        Process(
            'haproxy',
            ['haproxy', '-db', '-f', settings.ETC / 'haproxy.cfg'],
            ready=Listens(tuple(settings.TLS_PORTS.values())),
            ports=list(settings.TLS_PORTS.values()),
        )
    ],
)
