"""What is in Keystone before any other service is used: catalog, roles, projects and users."""
from cloud import settings
from cloud.api import Api
from cloud.services.service import CatalogEntry, Service

SERVICE_ROLES = ('admin', 'service')
USER_ROLES = ('member', 'load-balancer_member')
# The second user and its project stay empty: what one project sees of another's things.
USERS = ('bosh', 'other')


def make_users_and_catalog(services: list[Service]) -> None:
    """Can be broken off and begun again."""
    admin = Api('admin')
    if not admin.find('identity', '/regions', id=settings.TLS_REGION):
        admin.post('identity', '/regions', {'region': {'id': settings.TLS_REGION}})
    in_catalog = [service for service in services if service.catalog]
    for service in in_catalog:
        _register(admin, service.name, service.catalog)

    role_ids = {name: admin.ensure('identity', '/roles', 'role', name)['id'] for name in SERVICE_ROLES + USER_ROLES}
    project_ids = {
        name: admin.ensure('identity', '/projects', 'project', name)['id'] for name in ('service', *USERS)}

    def user_with_roles(name: str, project: str, roles: tuple[str, ...]) -> None:
        project_id = project_ids[project]
        user_id = admin.ensure(
            'identity', '/users', 'user', name, password=settings.PASSWORD, default_project_id=project_id)['id']
        for role in roles:
            admin.request('PUT', 'identity', f'/projects/{project_id}/users/{user_id}/roles/{role_ids[role]}')

    for service in in_catalog:
        # keystone asks itself
        if service.name != 'keystone':
            user_with_roles(service.name, 'service', SERVICE_ROLES)
    for name in USERS:
        user_with_roles(name, name, USER_ROLES)


def _register(admin: Api, port_name: str, entry: CatalogEntry) -> None:
    service_id = admin.ensure('identity', '/services', 'service', entry.name, type=entry.type)['id']
    known = {
        (endpoint['region'], endpoint['interface'])
        for endpoint in admin.get('identity', f'/endpoints?service_id={service_id}')['endpoints']
    }
    bases = {settings.REGION: settings.url(port_name), settings.TLS_REGION: settings.tls_url(port_name)}
    for region, base in bases.items():
        for interface in ('public', 'internal', 'admin'):
            if (region, interface) not in known:
                path = entry.path if interface != 'admin' or entry.admin_path is None else entry.admin_path
                admin.post('identity', '/endpoints', {'endpoint': {
                    'service_id': service_id, 'region_id': region, 'interface': interface, 'url': base + path}})
