import type { Caller, Reply } from '../http.ts';
import type { Flavor } from '../state.ts';
import { uuid, type World } from '../world.ts';
import { badRequest, type Call, check, fault, linksOf, member, onlyForAdmins } from './requests.ts';
import { createFlavorSchema } from './schemas.ts';

/** Flavors: no filter by name, pages by `flavors_links`. */
export class Flavors {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  #visible(caller: Caller): Flavor[] {
    return [...this.#world.state.flavors.values()]
      .filter(
        (flavor) =>
          caller.admin || flavor.projects === undefined || flavor.projects.includes(caller.projectId),
      )
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  get(caller: Caller, flavorId: string, code: 400 | 404 = 404): Flavor {
    const flavor = this.#visible(caller).find(({ id }) => id === flavorId);
    if (!flavor) {
      throw fault(
        code === 400 ? 'badRequest' : 'itemNotFound',
        code,
        `Flavor ${flavorId} could not be found.`,
      );
    }
    return flavor;
  }

  list(call: Call, detail: boolean): Reply {
    const { query, baseUrl } = call.request;
    const limit = Math.min(
      Number(query.get('limit') ?? Number.POSITIVE_INFINITY),
      this.#world.options.flavorPageSize,
    );
    const found = this.#visible(call.caller).filter((flavor) => call.caller.admin || !flavor.disabled);
    const marker = query.get('marker');
    const at = found.findIndex((flavor) => flavor.id === marker);
    if (marker !== null && at < 0) {
      throw badRequest(`marker [${marker}] not found`);
    }
    const page = found.slice(at + 1, at + 1 + limit);
    const last = page.at(-1);
    const next = new URLSearchParams(query);
    next.set('marker', last?.id ?? '');
    return {
      status: 200,
      body: {
        flavors: page.map((flavor) =>
          detail
            ? shownFlavor(call, flavor)
            : { id: flavor.id, name: flavor.name, links: linksOf(call, `flavors/${flavor.id}`) },
        ),
        ...(last && page.length === limit
          ? {
              flavors_links: [
                { rel: 'next', href: `${baseUrl}/v2.1/flavors${detail ? '/detail' : ''}?${next.toString()}` },
              ],
            }
          : {}),
      },
    };
  }

  create(call: Call): Reply {
    onlyForAdmins(call, 'os_compute_api:os-flavor-manage:create');
    check(createFlavorSchema, call.body);
    const given = member(call.body, 'flavor');
    const name = String(given.name);
    if ([...this.#world.state.flavors.values()].some((flavor) => flavor.name === name)) {
      throw fault('conflictingRequest', 409, `Flavor with name ${name} already exists.`);
    }
    const flavor: Flavor = {
      id: uuid(),
      name,
      vcpus: Number(given.vcpus),
      ram: Number(given.ram),
      disk: Number(given.disk),
      ephemeral: Number(given['OS-FLV-EXT-DATA:ephemeral'] ?? 0),
      swap: Number(given.swap ?? 0),
      disabled: false,
    };
    this.#world.state.flavors.set(flavor.id, flavor);
    return { status: 200, body: { flavor: shownFlavor(call, flavor) } };
  }

  delete(call: Call, flavorId: string): Reply {
    onlyForAdmins(call, 'os_compute_api:os-flavor-manage:delete');
    this.#world.state.flavors.delete(this.get(call.caller, flavorId).id);
    return { status: 202 };
  }
}

export function shownFlavor(call: Call, flavor: Flavor): Record<string, unknown> {
  return {
    id: flavor.id,
    name: flavor.name,
    ram: flavor.ram,
    disk: flavor.disk,
    swap: flavor.swap === 0 && call.version < 75 ? '' : flavor.swap,
    'OS-FLV-EXT-DATA:ephemeral': flavor.ephemeral,
    'OS-FLV-DISABLED:disabled': flavor.disabled,
    vcpus: flavor.vcpus,
    'os-flavor-access:is_public': flavor.projects === undefined,
    rxtx_factor: 1.0,
    links: linksOf(call, `flavors/${flavor.id}`),
  };
}
