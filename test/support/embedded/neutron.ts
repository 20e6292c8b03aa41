import { type ApiRequest, type Caller, type Reply, Routes } from './http.ts';
import { Addresses } from './neutron/addresses.ts';
import { failure } from './neutron/failures.ts';
import { FloatingIps } from './neutron/floating-ips.ts';
import { Networks } from './neutron/networks.ts';
import { Ports, portRow } from './neutron/ports.ts';
import { bodyOf, type Call, list, show } from './neutron/requests.ts';
import { Routers } from './neutron/routers.ts';
import { SecurityGroups } from './neutron/security-groups.ts';
import { Subnets, subnetPoolRow, subnetRow } from './neutron/subnets.ts';
import { Visible } from './neutron/visible.ts';
import type { SecurityGroup } from './state.ts';
import type { World } from './world.ts';

/** Networking API v2.0: https://docs.openstack.org/api-ref/network/v2/ */
export class Neutron {
  /** For Nova, which binds ports and makes some of its own. */
  readonly ports: Ports;
  readonly #routes: Routes<Call>;

  constructor(world: World) {
    const visible = new Visible(world);
    const addresses = new Addresses(world);
    const networks = new Networks(world, visible);
    const ports = new Ports(world, visible, addresses);
    const subnets = new Subnets(world, visible, ports);
    const floatingIps = new FloatingIps(world, visible, addresses);
    const routers = new Routers(world, visible, addresses);
    const groups = new SecurityGroups(world, visible);
    this.ports = ports;
    this.#routes = new Routes<Call>()
      .on('GET', '/v2.0/networks', (call) => list(call, 'networks', visible.networks(call.caller)))
      .on('POST', '/v2.0/networks', (call) => networks.create(call))
      .on('GET', '/v2.0/networks/{}', (call, id) =>
        show(call, 'networks', { ...visible.network(call.caller, id) }),
      )
      .on('PUT', '/v2.0/networks/{}', (call, id) => networks.update(call, id))
      .on('DELETE', '/v2.0/networks/{}', (call, id) => networks.delete(call, id))

      .on('GET', '/v2.0/subnets', (call) => list(call, 'subnets', visible.subnets(call.caller)))
      .on('POST', '/v2.0/subnets', (call) => subnets.create(call))
      .on('GET', '/v2.0/subnets/{}', (call, id) =>
        show(call, 'subnets', subnetRow(visible.subnet(call.caller, id))),
      )
      .on('DELETE', '/v2.0/subnets/{}', (call, id) => subnets.delete(call, id))

      .on('GET', '/v2.0/subnetpools', (call) =>
        list(call, 'subnetpools', visible.own(world.state.subnetPools, call.caller).map(subnetPoolRow)),
      )
      .on('POST', '/v2.0/subnetpools', (call) => subnets.createPool(call))
      .on('GET', '/v2.0/subnetpools/{}', (call, id) =>
        show(call, 'subnetpools', subnetPoolRow(visible.subnetPool(call.caller, id))),
      )
      .on('DELETE', '/v2.0/subnetpools/{}', (call, id) => subnets.deletePool(call, id))

      .on('GET', '/v2.0/ports', (call) => ports.list(call))
      .on('POST', '/v2.0/ports', (call) => ports.post(call))
      .on('GET', '/v2.0/ports/{}', (call, id) => show(call, 'ports', portRow(visible.port(call.caller, id))))
      .on('PUT', '/v2.0/ports/{}', (call, id) => ports.update(call, id))
      .on('DELETE', '/v2.0/ports/{}', (call, id) => ports.delete(call, id))

      .on('GET', '/v2.0/floatingips', (call) => floatingIps.list(call))
      .on('POST', '/v2.0/floatingips', (call) => floatingIps.create(call))
      .on('GET', '/v2.0/floatingips/{}', (call, id) =>
        show(call, 'floatingips', floatingIps.row(visible.floatingIp(call.caller, id))),
      )
      .on('PUT', '/v2.0/floatingips/{}', (call, id) => floatingIps.update(call, id))
      .on('DELETE', '/v2.0/floatingips/{}', (call, id) => floatingIps.delete(call, id))

      .on('GET', '/v2.0/routers', (call) =>
        list(
          call,
          'routers',
          visible.own(world.state.routers, call.caller).map((router) => ({ ...router })),
        ),
      )
      .on('GET', '/v2.0/routers/{}', (call, id) =>
        show(call, 'routers', { ...visible.router(call.caller, id) }),
      )
      .on('PUT', '/v2.0/routers/{}/add_router_interface', (call, id) => routers.addInterface(call, id))
      .on('PUT', '/v2.0/routers/{}/remove_router_interface', (call, id) => routers.removeInterface(call, id))

      .on('GET', '/v2.0/security-groups', (call) =>
        list(call, 'security-groups', visible.securityGroups(call.caller).map(withoutRules)),
      )
      .on('POST', '/v2.0/security-groups', (call) => groups.create(call))
      .on('GET', '/v2.0/security-groups/{}', (call, id) =>
        show(call, 'security-groups', withoutRules(visible.securityGroup(call.caller, id))),
      )
      .on('DELETE', '/v2.0/security-groups/{}', (call, id) => groups.delete(call, id));
  }

  async handle(request: ApiRequest, caller: Caller): Promise<Reply> {
    const route = this.#routes.find(request.method, request.path.replace(/\.json$/, ''));
    if (!route) {
      throw failure(404, 'HTTPNotFound', 'The resource could not be found.');
    }
    if (!('run' in route)) {
      throw failure(
        405,
        'HTTPMethodNotAllowed',
        'The server could not comply with the request since it is either malformed or otherwise incorrect.',
      );
    }
    return route.run({ request, caller, given: await bodyOf(request) });
  }
}

/** Rules do not matter to a CPI: groups are shown with none. */
function withoutRules(group: SecurityGroup) {
  return { ...group, security_group_rules: [] };
}
