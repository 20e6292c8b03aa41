import type { ServiceClient } from '../service-client.ts';

export interface SecurityGroup {
  id: string;
  name: string;
  project_id: string;
}

const FIELDS = ['id', 'name', 'project_id'];

/** https://docs.openstack.org/api-ref/network/v2/#security-groups-security-groups */
export class SecurityGroups {
  readonly #neutron: ServiceClient;

  constructor(neutron: ServiceClient) {
    this.#neutron = neutron;
  }

  async listByName(names: readonly string[]): Promise<SecurityGroup[]> {
    return this.#list({ name: names });
  }

  async listById(ids: readonly string[]): Promise<SecurityGroup[]> {
    return this.#list({ id: ids });
  }

  async #list(filter: { name: readonly string[] } | { id: readonly string[] }): Promise<SecurityGroup[]> {
    const answer = await this.#neutron.get<{ security_groups: SecurityGroup[] }>('/security-groups', {
      query: { ...filter, fields: FIELDS },
    });
    return answer.security_groups;
  }
}
