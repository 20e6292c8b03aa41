"""Config files out of dictionaries, and the sections that all OpenStack services share."""
from cloud import settings

Sections = dict[str, dict[str, object]]

RABBITMQ_URL = (
    f'rabbit://{settings.RABBITMQ_USER}:{settings.PASSWORD}@{settings.HOST}:{settings.RABBITMQ_PORT}/')
MEMCACHED = f'{settings.HOST}:{settings.MEMCACHED_PORT}'
MARIADB_SOCKET = settings.RUN / 'mariadb.sock'


def render(sections: Sections) -> str:
    return '\n'.join(
        '\n'.join([f'[{name}]', *(f'{key} = {_text(value)}' for key, value in options.items()), ''])
        for name, options in sections.items())


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ','.join(map(str, value))
    return str(value)


def openstack(user: str, sections: Sections) -> str:
    """An oslo.config file: `sections`, and what every service that checks tokens has in its own."""
    shared: Sections = {
        'DEFAULT': {'use_stderr': True},
        'keystone_authtoken': token_check(user),
        'oslo_concurrency': {'lock_path': settings.LOCK / user},
        'oslo_messaging_notifications': {'driver': 'noop'},
        # haproxy says so when the client spoke TLS: links in answers are https then
        'oslo_middleware': {'enable_proxy_headers_parsing': True},
    }
    return render({
        name: shared.get(name, {}) | sections.get(name, {})
        for name in [*shared, *(name for name in sections if name not in shared)]
    })


def database(name: str) -> str:
    return f'mysql+pymysql://root@localhost/{name}?unix_socket={MARIADB_SOCKET}&charset=utf8'


def service_login(user: str) -> dict[str, object]:
    """How a service asks Keystone for a token of its own."""
    return {
        'auth_type': 'password',
        'auth_url': settings.AUTH_URL,
        'username': user,
        'password': settings.PASSWORD,
        'project_name': 'service',
        'user_domain_id': 'default',
        'project_domain_id': 'default',
    }


def peer(user: str) -> dict[str, object]:
    """How a service calls another one."""
    return service_login(user) | {'region_name': settings.REGION}


def token_check(user: str) -> dict[str, object]:
    return peer(user) | {
        'www_authenticate_uri': settings.url('keystone'),
        'interface': 'internal',
        'memcached_servers': MEMCACHED,
        'service_token_roles': 'service',
        'service_token_roles_required': True,
    }
