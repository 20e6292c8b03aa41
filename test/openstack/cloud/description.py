"""What the tests read: cloud.json, and an openrc for the command line."""
import json
import shlex
from typing import Any

from cloud import settings
from cloud.api import Api
from cloud.services.service import Service

CLOUD_JSON = settings.STATE / 'cloud.json'


def access(services: list[Service]) -> dict[str, Any]:
    """How to reach the cloud, and as whom."""
    bosh = Api('bosh')

    def login(name: str) -> dict[str, str]:
        return {'user': name, 'password': settings.PASSWORD, 'project': name}

    return {
        'auth_url': settings.AUTH_URL,
        'region': settings.REGION,
        'auth_url_tls': settings.TLS_AUTH_URL,
        'region_tls': settings.TLS_REGION,
        'ca_file': str(settings.CA_FILE),
        'domain': 'Default',
        'domain_id': 'default',
        **login('bosh'),
        'user_id': bosh.user_id,
        'project_id': bosh.project_id,
        'admin': login('admin'),
        'other': login('other'),
        'endpoints': {
            service.catalog.type: bosh.endpoint(service.catalog.type) for service in services if service.catalog},
        'metadata_url': settings.url('metadata'),
    }


def write(description: dict[str, Any]) -> None:
    CLOUD_JSON.write_text(json.dumps(description, indent=2) + '\n')
    _write_openrc('openrc', 'bosh')
    _write_openrc('openrc-admin', 'admin')
    _write_openrc('openrc-tls', 'bosh', OS_AUTH_URL=settings.TLS_AUTH_URL, OS_REGION_NAME=settings.TLS_REGION,
                  OS_CACERT=str(settings.CA_FILE))


def _write_openrc(file: str, user: str, **changes: str) -> None:
    variables = {
        'OS_AUTH_TYPE': 'password',
        'OS_AUTH_URL': settings.AUTH_URL,
        'OS_IDENTITY_API_VERSION': '3',
        'OS_USERNAME': user,
        'OS_PASSWORD': settings.PASSWORD,
        'OS_USER_DOMAIN_NAME': 'Default',
        'OS_PROJECT_NAME': user,
        'OS_PROJECT_DOMAIN_NAME': 'Default',
        'OS_REGION_NAME': settings.REGION,
        'OS_INTERFACE': 'public',
        **changes,
    }
    lines = ['unset OS_CACERT', *(f'export {name}={shlex.quote(value)}' for name, value in variables.items())]
    (settings.STATE / file).write_text('\n'.join(lines) + '\n')
