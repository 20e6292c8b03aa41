"""The cloud's REST APIs as one of its users sees them."""
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from cloud import settings
from cloud.errors import CloudError

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ApiError(CloudError):
    def __init__(self, method: str, url: str, status: int, text: str):
        super().__init__(f'{method} {url} answered {status}: {text[:500]}')
        self.status = status


class Api:
    """Requests to any service, with a token of `user` in the project of the same name."""

    def __init__(self, user: str):
        self._user = user
        self._lock = threading.Lock()
        self._token: str | None = None
        self._access: dict[str, Any] = {}

    @property
    def user_id(self) -> str:
        return self._log_in()['user']['id']

    @property
    def project_id(self) -> str:
        return self._log_in()['project']['id']

    def endpoint(self, service_type: str) -> str:
        for service in self._log_in()['catalog']:
            if service['type'] == service_type:
                for endpoint in service['endpoints']:
                    if (endpoint['region'], endpoint['interface']) == (settings.REGION, 'public'):
                        return endpoint['url']
        raise CloudError(f'The catalog has no {service_type} in {settings.REGION}')

    def get(self, service_type: str, path: str) -> Any:
        return self.request('GET', service_type, path)

    def post(self, service_type: str, path: str, body: object) -> Any:
        return self.request('POST', service_type, path, body)

    def request(self, method: str, service_type: str, path: str, body: object = None,
                headers: dict[str, str] | None = None) -> Any:
        """The answer, if it is JSON. `body` is sent as JSON, or as it is when it is bytes."""
        self._log_in()
        url = self.endpoint(service_type) + path
        return _send(method, url, body, {'X-Auth-Token': self._token or '', **(headers or {})})[0]

    def find(self, service_type: str, path: str, **wanted: object) -> Any:
        """The first member of a collection with these attributes, or None."""
        answer = self.get(service_type, path)
        members = next(value for value in answer.values() if isinstance(value, list))
        return next((one for one in members if all(one.get(key) == wanted[key] for key in wanted)), None)

    def ensure(self, service_type: str, path: str, kind: str, name: str, **attributes: object) -> Any:
        """The member of a collection that has this name, which is made if there is none."""
        return self.find(service_type, path, name=name) or self.post(
            service_type, path, {kind: {'name': name, **attributes}})[kind]

    def _log_in(self) -> dict[str, Any]:
        with self._lock:
            if self._token is None:
                user = {'name': self._user, 'domain': {'id': 'default'}, 'password': settings.PASSWORD}
                body = {'auth': {
                    'identity': {'methods': ['password'], 'password': {'user': user}},
                    'scope': {'project': {'name': self._user, 'domain': {'id': 'default'}}},
                }}
                answer, headers = _send('POST', settings.AUTH_URL + '/auth/tokens', body, {})
                self._access, self._token = answer['token'], headers['X-Subject-Token']
            return self._access


def poll(what: str, holds: Callable[[], Any], seconds: float = 120) -> Any:
    """Asks until the answer is true-ish, and returns it."""
    give_up = time.monotonic() + seconds
    while not (answer := holds()):
        if time.monotonic() > give_up:
            raise CloudError(f'{what}: still not so after {seconds} s; see the logs in {settings.LOG}')
        time.sleep(0.2)
    return answer


def _send(method: str, url: str, body: object, headers: dict[str, str]) -> tuple[Any, Any]:
    data = body
    if body is not None and not isinstance(body, bytes):
        data = json.dumps(body).encode()
        headers = {'Content-Type': 'application/json', **headers}
    request = urllib.request.Request(url, data, {'Accept': 'application/json', **headers}, method=method)
    try:
        with _opener.open(request, timeout=120) as response:
            content = response.read()
            is_json = response.headers.get_content_type() == 'application/json'
            return json.loads(content) if content and is_json else None, response.headers
    except urllib.error.HTTPError as error:
        raise ApiError(method, url, error.code, error.read().decode(errors='replace')) from error
    except OSError as error:
        raise CloudError(f'{method} {url} failed: {error}') from error
